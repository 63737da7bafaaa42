"""Staff have Stripe asked about a top-up: what it says, and what follows."""

import pytest
from django.urls import reverse

from accounts.models import Act
from tests.wallet import by_hand
from tests.wallet.conftest import forget_the_client
from wallet import identifiers
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments import claims
from wallet.payments.models import Payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(staff):
    """Open the form of a top-up and send it."""

    def asked(topup):
        page = reverse("admin:wallet_topup_ask-stripe", args=[topup.pk])
        key = staff.get(page).context["form"].initial["key"]
        return staff.post(page, {"reason": "They say that they paid", "key": key})

    return asked


def told():
    return Act.objects.latest("pk").told


def test_a_payment_whose_webhook_was_lost_comes_in(stand_in, start_topup, ask):
    topup = start_topup()
    stand_in.happens("pay", topup.stripe_session_id)
    assert ask(topup).status_code == 302
    assert told() == "Stripe calls it paid: 25 credits came in."
    assert available_of("usr_1") == 25
    topup.refresh_from_db()
    assert topup.state == "paid"
    assert topup.entry.actor == "stripe"


def test_the_same_form_again_credits_once(stand_in, start_topup, staff):
    topup = start_topup()
    stand_in.happens("pay", topup.stripe_session_id)
    page = reverse("admin:wallet_topup_ask-stripe", args=[topup.pk])
    form = {"reason": "They paid", "key": staff.get(page).context["form"].initial["key"]}
    assert [staff.post(page, form).status_code for _ in range(2)] == [302, 302]
    assert staff.post(page, form | {"key": "another"}).status_code == 302
    assert told() == "Stripe calls it paid, and its credits had come in already."
    assert staff.get(page).status_code == 404
    assert Entry.objects.count() == 1


def test_a_checkout_that_is_open_stays_as_it_is(start_topup, ask):
    topup = start_topup()
    ask(topup)
    assert told() == "Stripe still waits for the user to pay; nothing was changed."
    topup.refresh_from_db()
    assert topup.state == "created"


def test_a_payment_through_a_bank_is_on_its_way(stand_in, start_topup, ask):
    topup = start_topup()
    stand_in.happens("pay_later", topup.stripe_session_id)
    ask(topup)
    assert "waits for the bank" in told()
    topup.refresh_from_db()
    assert topup.state == "pending"


def test_a_checkout_that_expired_is_closed(stand_in, start_topup, ask):
    topup = start_topup()
    stand_in.happens("expire", topup.stripe_session_id)
    ask(topup)
    assert told() == "Stripe calls it expired."
    topup.refresh_from_db()
    assert topup.state == "expired"


def test_a_session_that_stripe_does_not_know(stand_in, ask):
    topup = TopUp.objects.create(user_id="usr_1", state="created", stripe_session_id="cs_test_never_was")
    ask(topup)
    assert told() == "Stripe knows no such session; nothing was changed."


def test_what_cannot_be_credited_is_told_and_moves_nothing(stand_in, ask):
    session_id = stand_in.paid_session(currency="eur")
    ask(TopUp.objects.create(user_id="usr_1", state="created", stripe_session_id=session_id))
    assert told() == "It cannot be credited: The payment is not in US dollars."
    assert not Entry.objects.exists()


def test_what_was_resolved_by_hand_is_not_credited(stand_in, start_topup, ask):
    topup = start_topup()
    session_id = topup.stripe_session_id
    stand_in.happens("pay", session_id)
    decided = {"session_id": session_id, "user_id": "usr_1", "entry_id": identifiers.transaction_id()}
    claims.claim(session_id, state=Payment.State.BY_HAND, **decided)
    by_hand.adjust(
        id=decided["entry_id"],
        user_id="usr_1",
        credits=25,
        reason="x",
        key="k",
        actor="user:staff:ada",
        stripe_session_id=session_id,
    )
    StripeEvent.objects.create(
        id="evt_1", type="checkout.session.completed", state="resolved", stripe_session_id=session_id
    )
    ask(topup)
    assert "was resolved by hand before" in told()
    assert available_of("usr_1") == 25


@pytest.mark.parametrize("trouble", [{"api_failure": 500}, {"api_failure": 401}])
def test_a_stripe_that_does_not_answer_is_said_on_the_form(stand_in, start_topup, ask, trouble):
    topup = start_topup()
    stand_in.misbehaves(**trouble)
    forget_the_client()
    answer = ask(topup)
    assert (answer.status_code, Act.objects.count()) == (200, 0)
    assert "Stripe does not answer right now" in answer.text


def test_a_top_up_without_a_session_or_paid_already_cannot_be_asked_about(staff, give):
    give("usr_1", 25)
    TopUp.objects.create(user_id="usr_2", state="failed")
    for topup in TopUp.objects.all():
        page = reverse("admin:wallet_topup_ask-stripe", args=[topup.pk])
        assert staff.get(page).status_code == 404
        assert "Ask Stripe" not in staff.get(reverse("admin:wallet_topup_change", args=[topup.pk])).text
    nameless = TopUp.objects.get(user_id="usr_2")
    page = reverse("admin:wallet_topup_ask-stripe", args=[nameless.pk])
    answer = staff.post(page, {"reason": "x", "key": "k"})
    assert "never opened a session" in answer.text
    assert not StripeEvent.objects.exists()
