"""How many credits staff may move in 24 hours, by role, also with forms sent at the same time."""

import secrets
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.actors import actor_of
from accounts.models import Act
from backoffice import roles
from backoffice.credits import limits
from monetization import tips
from monetization.models import Refund
from tests.backoffice.members import member_of, ready, signed_in
from tests.crowd import at_once
from tests.factories import StaffFactory, UserFactory
from tests.monetization.records import clock_at
from tests.wallet import by_hand
from tests.wallet.past import charged, wrote
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.models import Entry, StripeEvent
from wallet.payments import resolving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def usual_limits(settings):
    settings.STAFF_CREDITS_A_DAY = {"billing": 100, "admin": 1000}
    settings.STAFF_REFUND_CENTS_MAX = {"billing": 500, "admin": 5000}


@pytest.fixture
def billing():
    return member_of("billing")


def send(client, name, row, /, **fields):
    return client.post(page_of(name, row), form_of(**fields))


def page_of(name, row):
    return reverse(f"admin:{name}", args=[quote(row)])


def form_of(**fields):
    return {"reason": "asked by mail", "key": secrets.token_hex(8)} | fields


def adjust(client, credits, user_id="usr_1"):
    return send(client, "wallet_wallet_adjust", user_id, credits=str(credits))


def charge(credits):
    return debits.debit(
        user_id="usr_1",
        credits=credits,
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature="blog.article.generate",
        count=credits,
        product="blog",
    )


# --- Which limit --------------------------------------------------------------------------------------


def test_the_role_with_the_largest_limit_counts():
    table = {"billing": 100, "admin": 1000}
    assert roles.allowance(member_of("billing"), table) == 100
    assert roles.allowance(member_of("support", "billing", "admin"), table) == 1000
    assert roles.allowance(member_of("support"), table) == 0
    assert roles.allowance(member_of(), table) == 0
    assert roles.allowance(StaffFactory.create(), table) is None


# --- Credits ------------------------------------------------------------------------------------------


def test_up_to_the_limit_and_not_beyond(give, billing):
    give("usr_1", 500)
    client = signed_in(billing)
    assert adjust(client, 60).status_code == 302
    answer = adjust(client, 41)
    assert answer.status_code == 200
    assert "You may move 100 credits by hand in 24 hours; 40 of them are left." in answer.text
    assert available_of("usr_1") == 560
    assert adjust(client, 40).status_code == 302
    assert "0 of them are left" in adjust(client, 1).text
    assert Act.objects.count() == 2


def test_removing_counts_like_adding_and_over_all_users(give, billing):
    give("usr_1", 500)
    client = signed_in(billing)
    assert adjust(client, -60).status_code == 302
    assert adjust(client, 41, user_id="usr_2").status_code == 200
    assert adjust(client, 40, user_id="usr_2").status_code == 302


def test_credits_given_back_and_resolved_count_too(give, billing, deliver, checkout_event):
    give("usr_1", 500)
    entry = charge(90)
    deliver(checkout_event(currency="eur"))
    event = StripeEvent.objects.get()
    client = signed_in(billing)
    back = partial(send, client, "wallet_entry_give-back", entry.pk)
    resolved = partial(send, client, "wallet_stripeevent_resolve", event.pk, user_id="usr_1")
    assert back(credits="70").status_code == 302
    assert "30 of them are left" in resolved(credits="31").text
    event.refresh_from_db()
    assert event.state == "parked"  # The resolution is rolled back with the credits.
    assert resolved(credits="20").status_code == 302
    assert "10 of them are left" in back(credits="").text
    assert available_of("usr_1") == 500


def test_a_charge_that_its_product_gives_back_counts_for_no_staff_member(give, billing):
    give("usr_1", 500)
    entry = charge(90)
    by_hand.give_back(entry=entry, reason="failed", key="k", actor="service:wsk_test")
    assert limits.of(billing) == limits.Allowance(100, 0)


def test_credits_that_a_colleague_moved_do_not_count(give, billing):
    give("usr_1", 500)
    assert adjust(signed_in(member_of("billing")), 100).status_code == 302
    assert adjust(signed_in(billing), 100).status_code == 302


def test_moved_credits_no_longer_count_after_24_hours(billing):
    by_hand.adjust(user_id="usr_1", credits=100, reason="x", key="k", actor=actor_of(billing))
    [entry] = Entry.objects.all()
    moved = partial(Entry.objects.moved_by_hand, actor_of(billing))
    assert moved(since=entry.created_at) == 100
    assert moved(since=entry.created_at + timedelta(microseconds=1)) == 0


def test_a_host_whose_clock_is_ahead_forgets_no_moved_credits(give, billing):
    give("usr_1", 500)
    by_hand.adjust(user_id="usr_1", credits=100, reason="x", key="k", actor=actor_of(billing))
    with clock_at(timezone.now() + timedelta(hours=30)):
        assert limits.of(billing) == limits.Allowance(100, 100)


@pytest.mark.parametrize(("hours", "counted"), [(23, 100), (25, 0)])
def test_moved_credits_count_for_24_hours(billing, hours, counted):
    wrote(100, timezone.now() - timedelta(hours=hours), actor=actor_of(billing))
    assert limits.of(billing) == limits.Allowance(100, counted)


def test_a_role_that_is_not_in_the_setting_may_move_nothing(billing, settings):
    settings.STAFF_CREDITS_A_DAY = {"admin": 1000}
    assert "Your role may not move credits by hand" in adjust(signed_in(billing), 1).text
    assert not Entry.objects.exists()


def test_a_superuser_is_limited_only_by_what_one_form_may_move(staff, settings):
    settings.ADJUSTMENT_CREDITS_MAX = 5000
    assert adjust(staff, 5000).status_code == 302
    assert "At most 5,000 credits at once" in adjust(staff, 5001).text
    assert available_of("usr_1") == 5000


def test_a_whole_charge_may_be_more_than_one_form_may_move(staff, give, settings):
    give("usr_1", 500)
    entry = charge(90)
    settings.ADJUSTMENT_CREDITS_MAX = 89
    answer = send(staff, "wallet_entry_give-back", entry.pk, credits="")
    assert "At most 89 credits at once" in answer.text
    assert available_of("usr_1") == 410


def test_the_form_says_how_much_is_left(billing):
    client = signed_in(billing)
    adjust(client, 99)
    page = client.get(reverse("admin:wallet_wallet_adjust", args=[quote("usr_1")]))
    assert "1 of them is left" in page.text


def test_the_form_sent_again_is_not_counted_twice(billing):
    client = signed_in(billing)
    for _ in range(3):
        assert send(client, "wallet_wallet_adjust", "usr_1", credits="60", key="k").status_code == 302
    assert limits.of(billing) == limits.Allowance(100, 60)


@pytest.mark.django_db(transaction=True)
def test_forms_sent_at_once_do_not_pass_the_limit_together(billing):
    """Each form removes 60 of 100 from another wallet, so no lock of a wallet puts them in order."""
    clients = [signed_in(billing) for _ in range(6)]
    calls = [
        ready(client, page_of("wallet_wallet_adjust", f"usr_{n}"), form_of(credits="60"))
        for n, client in enumerate(clients)
    ]
    assert sorted(answer.status_code for answer in at_once(calls)) == [200] * 5 + [302]
    assert limits.of(billing) == limits.Allowance(100, 60)


def test_moved_credits_are_read_through_an_index(billing):
    wrote(200, timezone.now(), actor=actor_of(billing))
    for _ in range(100):
        charged(1, timezone.now())
    with CaptureQueriesContext(
        connection,
    ) as queries:
        Entry.objects.moved_by_hand(actor_of(billing), since=timezone.now() - timedelta(days=1))
    with connection.cursor() as cursor:
        # Without rows and statistics, two indexes cost the same, and PostgreSQL may choose either.
        cursor.execute("ANALYZE wallet_entry")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {queries[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "wallet_entry_kind" in plan


def test_staff_who_may_not_adjust_can_close_an_event_without_credits(deliver, checkout_event):
    deliver(checkout_event(currency="eur"))
    event = StripeEvent.objects.get()
    member = member_of("support")
    member.user_permissions.add(Permission.objects.get(codename="resolve_stripeevent"))
    client = signed_in(member)
    page = client.get(reverse("admin:wallet_stripeevent_resolve", args=[event.pk]))
    assert set(page.context["form"].fields) == {"reason", "key", "seen", "basis"}
    assert (
        send(client, "wallet_stripeevent_resolve", event.pk, credits="25", user_id="usr_1").status_code == 302
    )
    assert not Entry.objects.exists()
    event.refresh_from_db()
    assert resolving.is_resolvable(event) is False


# --- Refunds of tips ----------------------------------------------------------------------------------


@pytest.fixture
def tip():
    return tips.record(creator=UserFactory.create(), amount_cents=9999, stripe_payment_id="pi_1")


@pytest.fixture
def refund(tip):
    return lambda client, cents: send(client, "monetization_tip_refund", tip.pk, amount_cents=cents)


def test_a_refund_is_limited_by_role_over_the_whole_tip(refund, billing):
    client = signed_in(billing)
    answer = refund(client, "501")
    assert "Your refunds of one tip may be at most 5.00 USD in total." in answer.text
    assert refund(client, "300").status_code == 302
    assert refund(client, "201").status_code == 200  # Refunds in parts count together.
    assert refund(client, "200").status_code == 302
    assert sum(Refund.objects.values_list("amount_cents", flat=True)) == 500


def test_all_that_is_left_may_be_more_than_a_role_may_refund(refund, billing):
    assert refund(signed_in(billing), "").status_code == 200
    assert not Refund.objects.exists()
    assert refund(signed_in(StaffFactory.create()), "").status_code == 302


def test_a_role_without_a_limit_for_refunds_records_none(refund, billing, settings):
    settings.STAFF_REFUND_CENTS_MAX = {}
    assert "Your role may not record refunds" in refund(signed_in(billing), "1").text
    assert not Refund.objects.exists()
