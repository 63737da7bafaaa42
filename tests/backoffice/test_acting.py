"""The checks that a staff action repeats under its lock, and what its page says if nothing changed."""

import secrets
from functools import partial

import pytest
from django.contrib.admin.utils import quote
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Act, ServiceKey, User
from backoffice.actions import acts, pages
from tests.backoffice.members import member_of, signed_in
from tests.crowd import at_once, begin, wait_until_another_waits, wallet_locked_by_another
from tests.factories import StaffFactory, UserFactory
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent, TopUp, Wallet
from wallet.payments import settlement

pytestmark = pytest.mark.django_db


def page_of(name, row):
    return reverse(f"admin:{name}", args=[quote(row)])


def send(client, page, **fields):
    return client.post(page, {"reason": "asked by mail", "key": secrets.token_hex(8)} | fields)


def parked(user_id="usr_1", **fields):
    return StripeEvent.objects.create(
        id="evt_1", type="checkout.session.completed", state="parked", user_id=user_id, **fields
    )


RESOLVE = ("wallet_stripeevent_resolve", "evt_1")


# --- Own account --------------------------------------------------------------------------------------


def test_a_staff_member_cannot_take_the_credits_of_another_users_payment(give):
    member = StaffFactory.create(misar_id="usr_colleague")
    event = parked("usr_1")
    answer = send(signed_in(member), page_of(*RESOLVE), credits="5", user_id="usr_colleague")
    assert "You can&#x27;t do this for your own account" in answer.text
    assert not Entry.objects.exists()
    assert not Act.objects.exists()
    event.refresh_from_db()
    assert event.state == "parked"


def test_the_act_is_shown_on_the_page_of_the_user_who_gets_the_credits(staff):
    parked("usr_1")
    assert send(staff, page_of(*RESOLVE), credits="5", user_id="usr_2").status_code == 302
    act = Act.objects.get()
    assert (act.about, act.model, act.row_id) == ("usr_2", "wallet.stripeevent", "evt_1")
    summary = "Resolved by hand; 5 credits went to usr_2."
    assert summary in staff.get(page_of("one_user", "usr_2")).text
    assert summary in staff.get(page_of("wallet_stripeevent_change", "evt_1")).text


@pytest.mark.parametrize("page", ["wallet_wallet_adjust", "accounts_user_plan", "accounts_user_access"])
def test_there_is_no_form_for_ones_own_account(page):
    member = StaffFactory.create(misar_id="usr_colleague")
    Wallet.objects.create(user_id="usr_colleague", created_at=timezone.now())
    UserFactory.create(misar_id="usr_1")
    client = signed_in(member)
    assert client.get(page_of(page, "usr_colleague")).status_code == 404
    assert client.get(page_of(page, "usr_1")).status_code == 200


def test_an_act_on_a_wallet_is_not_an_act_on_the_user_with_the_same_key(staff):
    user = UserFactory.create(misar_id="usr_1")
    assert send(staff, page_of("wallet_wallet_adjust", "usr_1"), credits="5").status_code == 302
    summary = "Adjusted by +5 credits to 5."
    assert summary in staff.get(page_of("wallet_wallet_change", "usr_1")).text
    assert summary not in staff.get(page_of("accounts_user_change", "usr_1")).text
    assert not acts.on_row(user).exists()


def test_a_colleagues_adjustment_does_not_count_as_the_credits_of_an_event():
    """The ledger knows the key. Without the check, the event would be closed and no credit would move."""
    event = parked("usr_1")
    one, two = (signed_in(member_of("billing")) for _ in range(2))
    form = {"credits": "5", "key": "k" * 32}
    assert send(one, page_of("wallet_wallet_adjust", "usr_1"), **form).status_code == 302
    answer = send(two, page_of(*RESOLVE), **form, user_id="usr_1")
    assert "This form was used already" in answer.text
    event.refresh_from_db()
    assert (event.state, available_of("usr_1"), Act.objects.count()) == ("parked", 5, 1)


# --- Current permissions -----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_remove_each_other_at_once_do_not_both_succeed():
    for _ in range(4):
        one, two = member_of("admin"), member_of("admin")
        calls = [
            partial(send, signed_in(by), page_of("accounts_user_access", of.pk), is_active="on")
            for by, of in ((one, two), (two, one))
        ]
        answers = at_once(calls)
        done = [answer.status_code for answer in answers].count(302)
        inside = User.objects.filter(pk__in=[one.pk, two.pk], is_staff=True).count()
        assert (done, inside) in ((1, 1), (0, 2))


TAKEN = {
    "role": lambda member: member.groups.clear(),
    "back-office": lambda member: User.objects.filter(pk=member.pk).update(is_staff=False),
    "account": lambda member: User.objects.filter(pk=member.pk).update(is_active=False),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", TAKEN)
@pytest.mark.parametrize("adds", [False, True], ids=["action", "addition"])
def test_a_form_does_nothing_if_its_sender_loses_access_while_it_waits(what, adds):
    member = member_of("admin")
    page = reverse("admin:accounts_servicekey_add") if adds else page_of("wallet_wallet_adjust", "usr_1")
    call = partial(send, signed_in(member), page, credits="5", product="mail", rights="charge")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=member.pk)
        outcome = begin(call)
        wait_until_another_waits()
        TAKEN[what](member)
    answer = outcome.result(timeout=120)
    assert answer.status_code == 200
    assert "Your access was changed meanwhile" in answer.text
    assert "secret" not in answer.context
    for model in (Entry, ServiceKey, Act):
        assert not model._default_manager.exists()


# --- What Stripe says ---------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [{}, {"type": "tip", "user_id": "usr_1"}, None])
def test_a_session_at_stripe_that_is_not_ours_changes_nothing(db, checkout_event, metadata):
    """The metadata of a top-up's session was changed at Stripe."""
    topup = TopUp.objects.create(user_id="usr_1", stripe_session_id="cs_test_1", state="pending")
    session = checkout_event(metadata=metadata)["data"]["object"]
    summary = settlement.settle_as_told(session)
    assert summary == "Stripe does not call this a top-up of the wallet; nothing was changed."
    topup.refresh_from_db()
    assert (topup.state, Entry.objects.exists()) == ("pending", False)


# --- What pages say -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_form_keeps_what_was_typed_while_the_database_is_busy(give):
    give("usr_1", 10)
    client = signed_in(StaffFactory.create())
    page = page_of("wallet_wallet_adjust", "usr_1")
    form = {"credits": "7", "reason": "typed with care", "key": "k"}
    with wallet_locked_by_another("usr_1"):
        answer = client.post(page, form)
    assert answer.status_code == 200
    assert pages.BUSY in answer.text
    assert "typed with care" in answer.text
    assert 'value="7"' in answer.text
    assert (available_of("usr_1"), Act.objects.exists()) == (10, False)
    assert client.post(page, form).status_code == 302
    assert available_of("usr_1") == 17


def test_a_limit_that_refuses_is_shown_once(settings):
    settings.STAFF_CREDITS_A_DAY = {"billing": 100}
    client = signed_in(member_of("billing"))
    page = page_of("wallet_wallet_adjust", "usr_1")
    sentence = "You may move 100 credits by hand in 24 hours; 100 of them are left."
    assert client.get(page).text.count(sentence) == 1
    answer = send(client, page, credits="101")
    assert answer.context["form"].non_field_errors() == [sentence]
    assert answer.text.count(sentence) == 1
    assert (
        sentence in send(client, page, credits="x").text
    )  # Refused for another reason, so the limit is shown beneath its field.


def test_a_secret_is_shown_once_and_a_repeated_form_says_so(staff):
    form = {"product": "mail", "rights": "charge", "key": "k"}
    page = reverse("admin:accounts_servicekey_add")
    secret = send(staff, page, **form).context["secret"]
    again = staff.post(page, {"reason": "asked by mail"} | form, follow=True)
    assert again.redirect_chain[0][1] == 302
    assert secret not in again.text
    assert "the secret of the new key was shown then" in again.text
    assert ServiceKey.objects.count() == Act.objects.count() == 1
