"""What the pages of acts ask again before anything moves, and what they say where nothing did."""

import secrets
from functools import partial

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Act, ServiceKey, User
from backoffice.actions import acts, pages
from tests.crowd import at_once, begin, wait_until_somebody_waits, wallet_locked_by_somebody
from tests.factories import StaffFactory, UserFactory, enter
from wallet.books import ledger
from wallet.models import Entry, StripeEvent, TopUp, Wallet
from wallet.payments import settlement

pytestmark = pytest.mark.django_db


def member_of(role, **fields):
    member = StaffFactory.create(is_superuser=False, **fields)
    member.groups.set(Group.objects.filter(name=role))
    return member


def signed_in(member):
    client = Client()
    enter(client, member)
    return client


def page_of(name, row):
    return reverse(f"admin:{name}", args=[quote(row)])


def send(client, page, **fields):
    return client.post(page, {"reason": "asked by mail", "key": secrets.token_hex(8)} | fields)


def parked(user_id="usr_1", **fields):
    return StripeEvent.objects.create(
        id="evt_1", type="checkout.session.completed", state="parked", user_id=user_id, **fields
    )


RESOLVE = ("wallet_stripeevent_resolve", "evt_1")


# --- Whose affairs ------------------------------------------------------------------------------------


def test_nobody_gives_themselves_the_credits_of_a_payment_that_names_somebody_else(give):
    member = StaffFactory.create(misar_id="usr_colleague")
    event = parked("usr_1")
    answer = send(signed_in(member), page_of(*RESOLVE), credits="5", user_id="usr_colleague")
    assert "You can&#x27;t do this for your own account" in answer.text
    assert not Entry.objects.exists()
    assert not Act.objects.exists()
    event.refresh_from_db()
    assert event.state == "parked"


def test_who_gets_the_credits_of_a_payment_has_the_act_on_their_page(staff):
    parked("usr_1")
    assert send(staff, page_of(*RESOLVE), credits="5", user_id="usr_2").status_code == 302
    act = Act.objects.get()
    assert (act.about, act.model, act.row_id) == ("usr_2", "wallet.stripeevent", "evt_1")
    told = "Resolved by hand; 5 credits went to usr_2."
    assert told in staff.get(page_of("one_user", "usr_2")).text
    assert told in staff.get(page_of("wallet_stripeevent_change", "evt_1")).text


@pytest.mark.parametrize("page", ["wallet_wallet_adjust", "accounts_user_plan", "accounts_user_access"])
def test_there_is_no_form_for_ones_own_affairs(page):
    member = StaffFactory.create(misar_id="usr_colleague")
    Wallet.objects.create(user_id="usr_colleague", created_at=timezone.now())
    UserFactory.create(misar_id="usr_1")
    client = signed_in(member)
    assert client.get(page_of(page, "usr_colleague")).status_code == 404
    assert client.get(page_of(page, "usr_1")).status_code == 200


def test_an_act_on_a_wallet_is_none_on_the_user_of_the_same_key(staff):
    user = UserFactory.create(misar_id="usr_1")
    assert send(staff, page_of("wallet_wallet_adjust", "usr_1"), credits="5").status_code == 302
    told = "Adjusted by +5 credits to 5."
    assert told in staff.get(page_of("wallet_wallet_change", "usr_1")).text
    assert told not in staff.get(page_of("accounts_user_change", "usr_1")).text
    assert not acts.on_row(user).exists()


def test_a_colleagues_adjustment_does_not_pass_for_the_credits_of_an_event():
    """The ledger knows the key: with it the event would be closed, and no credit would have moved."""
    event = parked("usr_1")
    one, two = (signed_in(member_of("billing")) for _ in range(2))
    asked = {"credits": "5", "key": "k" * 32}
    assert send(one, page_of("wallet_wallet_adjust", "usr_1"), **asked).status_code == 302
    answer = send(two, page_of(*RESOLVE), **asked, user_id="usr_1")
    assert "This form was used already" in answer.text
    event.refresh_from_db()
    assert (event.state, ledger.balance_of("usr_1"), Act.objects.count()) == ("parked", 5, 1)


# --- With the rights of now ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_shut_each_other_out_at_once_are_not_both_shut_out():
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
@pytest.mark.parametrize("adds", [False, True], ids=["verb", "addition"])
def test_a_form_whose_senders_rights_are_taken_while_it_waits_does_nothing(what, adds):
    member = member_of("admin")
    page = reverse("admin:accounts_servicekey_add") if adds else page_of("wallet_wallet_adjust", "usr_1")
    call = partial(send, signed_in(member), page, credits="5", product="mail")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=member.pk)
        outcome = begin(call)
        wait_until_somebody_waits()
        TAKEN[what](member)
    answer = outcome.result(timeout=120)
    assert answer.status_code == 200
    assert "Your access was changed meanwhile" in answer.text
    assert "secret" not in answer.context
    for model in (Entry, ServiceKey, Act):
        assert not model._default_manager.exists()


# --- Of what Stripe says ------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [{}, {"type": "tip", "user_id": "usr_1"}, None])
def test_what_stripe_says_of_a_payment_that_is_none_of_ours_changes_nothing(db, checkout_event, metadata):
    """The session of a top-up whose metadata somebody changed at Stripe."""
    topup = TopUp.objects.create(user_id="usr_1", stripe_session_id="cs_test_1", state="pending")
    session = checkout_event(metadata=metadata)["data"]["object"]
    told = settlement.settle_as_told(session)
    assert told == "Stripe does not call this a top-up of the wallet; nothing was changed."
    topup.refresh_from_db()
    assert (topup.state, Entry.objects.exists()) == ("pending", False)


# --- What is said -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_busy_database_is_said_on_the_form_with_what_was_typed(give):
    give("usr_1", 10)
    client = signed_in(StaffFactory.create())
    page = page_of("wallet_wallet_adjust", "usr_1")
    form = {"credits": "7", "reason": "typed with care", "key": "k"}
    with wallet_locked_by_somebody("usr_1"):
        answer = client.post(page, form)
    assert answer.status_code == 200
    assert pages.BUSY in answer.text
    assert "typed with care" in answer.text
    assert 'value="7"' in answer.text
    assert (ledger.balance_of("usr_1"), Act.objects.exists()) == (10, False)
    assert client.post(page, form).status_code == 302
    assert ledger.balance_of("usr_1") == 17


def test_a_limit_that_refuses_is_said_once(settings):
    settings.STAFF_CREDITS_A_DAY = {"billing": 100}
    client = signed_in(member_of("billing"))
    page = page_of("wallet_wallet_adjust", "usr_1")
    said = "You may move 100 credits by hand in 24 hours; 100 of them are left."
    assert client.get(page).text.count(said) == 1
    answer = send(client, page, credits="101")
    assert answer.context["form"].non_field_errors() == [said]
    assert answer.text.count(said) == 1
    assert said in send(client, page, credits="x").text  # Refused for another cause: beneath its field.


def test_a_secret_is_shown_once_and_the_form_sent_again_says_so(staff):
    asked = {"product": "mail", "key": "k"}
    page = reverse("admin:accounts_servicekey_add")
    secret = send(staff, page, **asked).context["secret"]
    again = staff.post(page, {"reason": "asked by mail"} | asked, follow=True)
    assert again.redirect_chain[0][1] == 302
    assert secret not in again.text
    assert "its secret was shown then" in again.text
    assert ServiceKey.objects.count() == Act.objects.count() == 1
