"""The form of a top-up opens one checkout, however often it is sent."""

import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from foundation.errors import KeyReused
from tests.crowd import at_once, begin
from tests.wallet.entries import sql
from wallet.errors import StripeOutOfReach
from wallet.models import TopUp
from wallet.payments import checkout, settlement, stripe_gateway

KEY = "1f" * 32
State = TopUp.State


def start(key=KEY, user_id="usr_1", dollars=25, product="wallet", return_url="/wallet"):
    return checkout.start(
        user_id=user_id, amount_dollars=dollars, product=product, return_url=return_url, key=key
    )


def backdate(**age):
    created_at = timezone.now() - timedelta(**age)
    assert TopUp.objects.update(created_at=created_at) == 1


# --- The same form again ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_same_form_again_leads_to_the_same_checkout(stand_in):
    first = start()
    assert [start(), start()] == [first, first]
    topup = TopUp.objects.get()
    assert topup.stripe_session_id in first
    assert (topup.form_key, topup.state) == (KEY, State.CREATED)
    assert len(stand_in.client.v1.checkout.sessions.list().data) == 1


@pytest.mark.django_db
def test_the_same_form_again_leads_there_even_when_it_says_another_way_back(stand_in):
    assert start() == start(return_url="/wallet?returnTo=/elsewhere", product="blog")
    assert TopUp.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("other", [{"dollars": 50}, {"user_id": "usr_2"}, {"key": "2e" * 32}, {"key": "x"}])
def test_another_amount_user_or_form_is_another_top_up(stand_in, other):
    assert start() != start(**other)
    assert TopUp.objects.count() == 2


@pytest.mark.django_db
def test_without_a_key_each_request_is_a_top_up_of_its_own(stand_in):
    assert start(key="") != start(key="")
    assert TopUp.objects.filter(form_key="").count() == 2


@pytest.mark.django_db
def test_the_database_itself_keeps_a_form_to_one_top_up(db):
    facts = {"user_id": "usr_1", "form_key": KEY, "amount_cents": 2500}
    TopUp.objects.create(**facts)
    TopUp.objects.create(**facts | {"amount_cents": 5000})
    with pytest.raises(IntegrityError, match="wallet_topup_form_once"), transaction.atomic():
        TopUp.objects.create(**facts)


@pytest.mark.django_db
def test_a_release_that_knows_no_forms_can_still_write_a_top_up():
    sql(
        "INSERT INTO wallet_topup (id, user_id, product, state, payment_intent_id, remark, created_at)"
        " VALUES ('top_1', 'usr_1', '', 'creating', '', '', now())"
    )
    assert TopUp.objects.get().form_key == ""


# --- Both at once -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("api_delay_seconds", [0, 1.2])
def test_sent_twice_at_once_it_opens_one_checkout(stand_in, settings, api_delay_seconds):
    settings.STRIPE_CALLS_AT_ONCE = 4
    stand_in.misbehaves(api_delay_seconds=api_delay_seconds)
    addresses = at_once([start, start, start])
    stand_in.misbehaves(api_delay_seconds=0)
    assert len(set(addresses)) == 1
    topup = TopUp.objects.get()
    assert topup.state == State.CREATED
    assert topup.stripe_session_id in addresses[0]
    assert len(stand_in.client.v1.checkout.sessions.list().data) == 1


@pytest.mark.django_db(transaction=True)
def test_a_second_one_that_finds_no_place_leaves_the_first_alone(stand_in, settings):
    settings.STRIPE_CALLS_AT_ONCE = 1
    stand_in.misbehaves(api_delay_seconds=600)
    first = begin(start)
    while stripe_gateway._places()._value:  # Until the first one has it.
        time.sleep(0.01)
    with pytest.raises(StripeOutOfReach):
        start()
    assert TopUp.objects.get().state == State.CREATING
    stand_in.misbehaves(api_delay_seconds=0)
    address = first.result(timeout=120)
    assert TopUp.objects.get().state == State.CREATED
    assert start() == address


# --- A form whose first request was cut off ----------------------------------------------------------


@pytest.fixture
def cut_off(stand_in):
    """Stripe has made the session; the process ended before it learnt its id."""
    address = start()
    TopUp.objects.update(stripe_session_id=None, state=State.CREATING)
    return address


@pytest.mark.django_db
def test_a_form_whose_request_was_cut_off_comes_to_the_session_that_stripe_made(cut_off, stand_in):
    assert start() == cut_off
    topup = TopUp.objects.get()
    assert topup.stripe_session_id in cut_off
    assert topup.state == State.CREATED


@pytest.mark.django_db
def test_a_form_whose_request_was_cut_off_before_stripe_heard_of_it_is_opened_late(stand_in):
    TopUp.objects.create(user_id="usr_1", product="wallet", amount_cents=2500, form_key=KEY)
    backdate(minutes=28)
    assert TopUp.objects.get().stripe_session_id is None
    address = start()
    topup = TopUp.objects.get()
    session = stand_in.session(topup.stripe_session_id)
    assert session["url"] == address
    assert session["expires_at"] == int(topup.created_at.timestamp()) + stripe_gateway.SESSION_SECONDS


@pytest.mark.django_db
def test_later_it_has_ended(stand_in):
    TopUp.objects.create(user_id="usr_1", product="wallet", amount_cents=2500, form_key=KEY)
    backdate(minutes=30)
    with pytest.raises(KeyReused, match=OVER):
        start()


@pytest.mark.django_db
def test_a_form_that_stripe_could_not_serve_has_ended(stand_in):
    stand_in.misbehaves(api_failure=503)
    with pytest.raises(StripeOutOfReach):
        start()
    stand_in.misbehaves(api_failure=None)
    assert TopUp.objects.get().state == State.FAILED
    with pytest.raises(KeyReused, match=OVER):
        start()


@pytest.mark.django_db
def test_asking_stripe_again_in_vain_changes_nothing(stand_in):
    address = start()
    stand_in.misbehaves(api_failure=503)
    with pytest.raises(StripeOutOfReach):
        start()
    stand_in.misbehaves(api_failure=None)
    assert TopUp.objects.get().state == State.CREATED
    assert start() == address


# --- A form whose checkout is over -------------------------------------------------------------------


PAID = "This top-up was paid already. Nothing was charged again."
ON_ITS_WAY = "The payment of this top-up is on its way. Nothing was charged again."
OVER = "This checkout has ended. Nothing was charged; start again."


@pytest.mark.django_db
@pytest.mark.parametrize("event_came", [True, False])
@pytest.mark.parametrize(
    ("happened", "sentence"),
    [
        (["pay"], PAID),
        (["pay_later"], ON_ITS_WAY),
        (["pay_later", "settle"], PAID),
        (["expire"], OVER),
    ],
)
def test_a_form_whose_checkout_is_over_names_what_came_of_it(stand_in, event_came, happened, sentence):
    """Also before the event has come: then Stripe is asked."""
    start()
    topup = TopUp.objects.get()
    for verb in happened:
        stand_in.happens(verb, topup.stripe_session_id)
    if event_came:
        unpaid = State.EXPIRED if happened == ["expire"] else State.PENDING
        session = stand_in.session(topup.stripe_session_id)
        settlement.settle(session, happened_at=timezone.now(), unpaid=unpaid)
    with pytest.raises(KeyReused, match=sentence) as raised:
        start()
    assert raised.value.status == 409
    assert TopUp.objects.count() == 1


@pytest.mark.django_db
def test_a_form_whose_slow_payment_failed_has_ended(stand_in):
    start()
    topup = TopUp.objects.get()
    for verb in ("pay_later", "fail"):
        stand_in.happens(verb, topup.stripe_session_id)
    session = stand_in.session(topup.stripe_session_id)
    settlement.settle(session, happened_at=timezone.now(), unpaid=State.FAILED)
    with pytest.raises(KeyReused, match=OVER):
        start()


@pytest.mark.django_db
def test_a_session_that_stripe_knows_nothing_of_has_ended(stand_in):
    start()
    TopUp.objects.update(stripe_session_id="cs_test_gone")
    with pytest.raises(KeyReused, match=OVER):
        start()


# --- Looking back -----------------------------------------------------------------------------------


def topup_of(user_id="usr_1", **facts):
    return TopUp.objects.create(user_id=user_id, amount_cents=2500, state=State.CREATED, **facts)


@pytest.mark.django_db
def test_a_user_comes_back_to_their_own_top_up():
    topup = topup_of(stripe_session_id="cs_test_1")
    assert checkout.returning(user_id="usr_1", session_id="cs_test_1") == topup


@pytest.mark.django_db
@pytest.mark.parametrize(
    "session_id", ["cs_test_2", "cs_test_3", "", "\0", "x" * 300, "{CHECKOUT_SESSION_ID}", "cs_test_%"]
)
def test_the_top_up_of_another_user_or_an_unknown_one_is_not_there(session_id):
    topup_of(stripe_session_id="cs_test_1")
    topup_of(user_id="usr_2", stripe_session_id="cs_test_2")
    topup_of(stripe_session_id=None)
    assert checkout.returning(user_id="usr_1", session_id=session_id) is None


@pytest.mark.django_db
def test_the_latest_top_up_is_the_newest_of_two_hours():
    def ago(**age):
        return timezone.now() - timedelta(**age)

    topup_of(created_at=ago(hours=2, seconds=1))
    assert checkout.latest("usr_1") is None
    topup_of(user_id="usr_2")
    topup_of(created_at=ago(minutes=50))
    newest = topup_of(created_at=ago(minutes=40))
    assert checkout.latest("usr_1") == newest


@pytest.mark.django_db
def test_payments_on_their_way_are_the_pending_ones_newest_first():
    def pending(minutes, user_id="usr_1"):
        created_at = timezone.now() - timedelta(minutes=minutes)
        return TopUp.objects.create(user_id=user_id, state=State.PENDING, created_at=created_at)

    topup_of()
    pending(1, user_id="usr_2")
    waiting = [pending(minutes) for minutes in range(25)]
    assert checkout.on_their_way("usr_1") == waiting[:20]
    assert checkout.on_their_way("usr_0") == []
