"""Races: real threads, each with its own connection, let go at one moment; then the books."""

import random
from collections import Counter
from functools import partial

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from foundation.database.transactions import TRIES_MAX, retried
from tests.conftest import Caller
from tests.crowd import (
    at_once,
    begin,
    outcomes_at_once,
    patiently,
    second_connection,
    wait_until_another_waits,
)
from tests.wallet import by_hand
from tests.wallet.entries import sql
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.errors import InsufficientCredits, NothingToGiveBack
from wallet.models import Entry, StripeEvent, TopUp, Wallet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def caller(service_key):
    """Makes a caller for each thread: Django's test client is not for several."""
    return lambda: Caller({"x-wallet-service-key": service_key})


def adjust(credits, key, user_id="usr_1"):
    facts = {"reason": "Goodwill", "key": key, "actor": "user:staff:1"}
    return patiently(lambda: by_hand.adjust(user_id=user_id, credits=credits, **facts))


def give_back(charge, key, credits=None):
    facts = {"reason": "It failed.", "key": key, "actor": "user:staff:1"}
    return patiently(lambda: by_hand.give_back(entry=charge, credits=credits, **facts))


def charge_of(credits):
    return debits.debit(
        user_id="usr_1",
        credits=credits,
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature="blog.article.generate",
        count=credits,
        product="blog",
    )


# --- Charges ----------------------------------------------------------------------------------------


def test_160_charges_on_100_credits_let_exactly_100_through(give, article_rate, caller):
    """32 callers with 5 charges each."""
    give("usr_1", 100)

    def five_charges(n):
        service = caller()
        keys = [f"article:{n}-{each}" for each in range(5)]
        return [patiently(partial(service.deduct, idempotency_key=key)) for key in keys]

    answers = [answer for five in at_once([partial(five_charges, n) for n in range(32)]) for answer in five]
    assert Counter(answer.status_code for answer in answers) == {200: 160}
    bodies = [answer.json() for answer in answers]
    assert Counter(body["allowed"] for body in bodies) == {True: 100, False: 60}
    # Each credit went to one request, and every refused request was told of an empty wallet.
    assert sorted(body["balanceAfter"] for body in bodies if body["allowed"]) == list(range(100))
    assert all(
        body == {"allowed": False, "balanceBefore": 0, "required": 1}
        for body in bodies
        if not body["allowed"]
    )
    assert available_of("usr_1") == 0
    assert Entry.objects.filter(kind="deduct").count() == 100


def test_charges_of_several_credits_never_overdraw(give, article_rate, caller):
    give("usr_1", 20)

    def charge(n):
        return patiently(lambda: caller().deduct(count=3, idempotency_key=f"article:{n}")).json()

    answers = at_once([partial(charge, n) for n in range(24)])
    assert Counter(answer["allowed"] for answer in answers) == {True: 6, False: 18}
    assert all(answer["balanceBefore"] == 2 for answer in answers if not answer["allowed"])
    assert available_of("usr_1") == 2


def test_one_key_from_48_callers_is_one_debit_and_one_answer(give, article_rate, caller):
    give("usr_1", 100)
    charge = {"count": 2, "idempotency_key": "article:1"}
    answers = at_once([lambda: patiently(lambda: caller().deduct(**charge))] * 48)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {
        b'{"allowed":true,"balanceBefore":100,"balanceAfter":98,"deducted":2}'
    }
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {"true": 47, None: 1}
    assert Entry.objects.filter(kind="deduct").count() == 1


def test_one_key_on_the_last_credit_answers_all_alike(give, article_rate, caller):
    """The losers find an empty wallet before they could meet the key: history still decides."""
    give("usr_1", 1)
    answers = at_once([lambda: patiently(lambda: caller().deduct(idempotency_key="article:1"))] * 16)
    assert {answer.content for answer in answers} == {
        b'{"allowed":true,"balanceBefore":1,"balanceAfter":0,"deducted":1}'
    }


def test_one_key_for_different_work_at_once_has_one_winner(give, article_rate, caller):
    give("usr_1", 100)

    def charge(count):
        return count, patiently(lambda: caller().deduct(count=count, idempotency_key="article:1"))

    answers = at_once([partial(charge, count) for count in range(1, 17)])
    winners = [(count, answer.json()["deducted"]) for count, answer in answers if answer.status_code == 200]
    assert len(winners) == 1
    assert winners[0][0] == winners[0][1]
    assert {answer.status_code for _, answer in answers} == {200, 409}
    assert all(answer.json()["allowed"] is False for _, answer in answers if answer.status_code == 409)


# --- Top-ups ----------------------------------------------------------------------------------------


@pytest.fixture(params=["known", "unknown"])
def session(request, caplog):
    """One session, with our record of it or without; no event of it may fail and be healed by its retry."""
    if request.param == "known":
        TopUp.objects.create(
            user_id="usr_1", stripe_session_id="cs_test_1", state="created", amount_cents=2500
        )
    yield
    messages = [record.getMessage() for record in caplog.get_records("call")]
    assert not [message for message in messages if "could not be handled" in message]


def test_one_event_24_times_at_once_credits_once(deliver, checkout_event, session):
    event = checkout_event()
    answers = at_once([lambda: patiently(lambda: deliver(event))] * 24)
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, b'{"received":true}')}
    assert available_of("usr_1") == 25
    assert Entry.objects.count() == TopUp.objects.count() == 1
    assert list(StripeEvent.objects.values_list("state", flat=True)) == ["handled"]


def test_24_events_of_one_session_at_once_credit_once(deliver, checkout_event, session):
    types = ["checkout.session.completed", "checkout.session.async_payment_succeeded"]
    events = [checkout_event(event_id=f"evt_{n}", type=types[n % 2]) for n in range(24)]
    answers = at_once([partial(patiently, partial(deliver, event)) for event in events])
    assert {answer.status_code for answer in answers} == {200}
    assert available_of("usr_1") == 25
    assert Entry.objects.count() == TopUp.objects.count() == 1
    assert Counter(StripeEvent.objects.values_list("state", flat=True)) == {"handled": 24}


def test_one_session_told_for_two_users_at_once_credits_one_and_parks_the_other(deliver, checkout_event):
    users = ["usr_1", "usr_2"]
    events = [checkout_event(event_id=f"evt_{n}", user_id=users[n % 2]) for n in range(12)]
    answers = at_once([partial(patiently, partial(deliver, event)) for event in events])
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(available_of(user_id) for user_id in users) == [0, 25]
    assert Wallet.objects.count() == Entry.objects.count() == TopUp.objects.count() == 1
    assert Counter(StripeEvent.objects.values_list("state", flat=True)) == {"handled": 6, "parked": 6}
    remarks = StripeEvent.objects.filter(state="parked").values_list("remark", flat=True)
    assert all("names another user" in remark for remark in remarks)


def test_sessions_of_one_user_at_once_are_all_credited(deliver, checkout_event):
    events = [checkout_event(session_id=f"cs_test_{n}", amount_total=100 * (n + 1)) for n in range(16)]
    answers = at_once([partial(patiently, partial(deliver, event)) for event in events])
    assert {answer.status_code for answer in answers} == {200}
    assert available_of("usr_1") == sum(range(1, 17))


# --- Everything at once -----------------------------------------------------------------------------


def test_charges_top_ups_and_adjustments_on_one_wallet_add_up(
    give, article_rate, caller, deliver, checkout_event
):
    give("usr_1", 10)

    def top_up(n):
        event = checkout_event(session_id=f"cs_test_{n}", amount_total=1000)
        assert patiently(lambda: deliver(event)).status_code == 200
        return f"checkout-{n}", 10

    def charge(n):
        key = f"article:{n}"
        answer = patiently(lambda: caller().deduct(count=3, idempotency_key=key))
        assert answer.status_code == 200
        return key, -answer.json().get("deducted", 0)

    def correct(n):
        key = f"form-{n}"
        try:
            return key, adjust(4 if n % 2 else -4, key).credits
        except InsufficientCredits:
            return key, 0

    calls = [partial(call, n) for call in (top_up, charge, charge, correct) for n in range(8)]
    random.Random(7).shuffle(calls)  # noqa: S311 (an order, no secret)
    answers = at_once(calls)
    # Two sent each key of a charge: the same answer twice, or a refusal and, later, a charge.
    moved = {key: credits for key, credits in sorted(answers, key=lambda answer: abs(answer[1]))}
    wallet = Wallet.objects.get(pk="usr_1")
    assert wallet.balance == 10 + sum(moved.values()) >= 0
    assert wallet.entries_count == 1 + sum(credits != 0 for credits in moved.values())


def test_different_wallets_do_not_wait_for_each_other(give, article_rate, caller):
    give("usr_1", 5)
    give("usr_2", 5)
    with transaction.atomic():
        charge_of(1)  # Holds usr_1 until the end of the block.
        charging = begin(lambda: caller().deduct("usr_2"))
        assert charging.result(timeout=120).json()["allowed"] is True


# --- Staff ------------------------------------------------------------------------------------------


def test_two_give_backs_of_one_charge_at_once_give_it_back_once(give):
    give("usr_1", 10)
    charge = charge_of(4)
    outcomes = outcomes_at_once([partial(give_back, charge, f"refund-{n}") for n in range(8)])
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {
        type(None): 1,
        NothingToGiveBack: 7,
    }
    assert available_of("usr_1") == 10


def test_parts_given_back_at_once_never_come_to_more_than_the_charge(give):
    give("usr_1", 10)
    charge = charge_of(10)
    outcomes = outcomes_at_once([partial(give_back, charge, f"refund-{n}", 3) for n in range(8)])
    assert sum(outcome.exception() is None for outcome in outcomes) == 3
    assert available_of("usr_1") == 9


def test_one_key_given_back_by_many_at_once_is_one_entry(give):
    give("usr_1", 10)
    charge = charge_of(4)
    assert len(set(at_once([lambda: give_back(charge, "refund-1", 2)] * 8))) == 1
    assert available_of("usr_1") == 8


@pytest.mark.parametrize("held", [0, 10])
def test_one_form_sent_many_times_at_once_moves_once(give, held):
    if held:
        give("usr_1", held)
    assert len(set(at_once([lambda: adjust(5, key="form-1")] * 12))) == 1
    assert available_of("usr_1") == held + 5


def test_forms_of_different_keys_all_count_also_for_a_new_wallet():
    at_once([partial(adjust, 1, f"form-{n}") for n in range(16)])
    assert available_of("usr_1") == 16


# --- Deadlocks --------------------------------------------------------------------------------------


def test_a_webhook_that_was_the_victim_of_a_deadlock_is_tried_again(
    give, deliver, checkout_event, monkeypatch
):
    """It holds its top-up and waits for the wallet, whose holder then asks for the top-up.

    PostgreSQL ends the transaction whose patience ends first, which is the webhook's. It looks for a deadlock
    only once, so the holder must have asked by then.
    """
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options['options']} -c deadlock_timeout=5s")
    give("usr_1", 5)
    TopUp.objects.create(user_id="usr_1", stripe_session_id="cs_test_1", state="created", amount_cents=2500)
    with transaction.atomic():
        sql("SET LOCAL deadlock_timeout = '60s'; SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        sql("SELECT 1 FROM wallet_wallet WHERE user_id = 'usr_1' FOR UPDATE")
        delivering = begin(lambda: deliver(checkout_event()))
        wait_until_another_waits()
        sql("SELECT 1 FROM wallet_topup WHERE stripe_session_id = 'cs_test_1' FOR UPDATE")
    assert delivering.result(timeout=120).status_code == 200
    assert available_of("usr_1") == 30
    assert StripeEvent.objects.get().traceback == ""


def write_over_a_change_of_another_process(tries):
    """A verb that another transaction always comes before: each try ends in a serialization failure."""

    @retried
    def verb():
        with second_connection() as other, transaction.atomic():
            sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            sql("SELECT 1")
            tries.append(len(tries))
            with other.cursor() as cursor:
                cursor.execute("UPDATE wallet_rate SET label = label || '.'")
            sql("UPDATE wallet_rate SET label = 'mine'")

    return verb


@pytest.mark.breaks_the_books  # A price that no change says.
def test_a_verb_that_fails_every_time_is_given_up(article_rate):
    tries: list[int] = []
    with pytest.raises(OperationalError) as failure:
        write_over_a_change_of_another_process(tries)()
    assert isinstance(failure.value.__cause__, psycopg.errors.SerializationFailure)
    assert len(tries) == TRIES_MAX


@pytest.mark.breaks_the_books  # A price that no change says.
def test_a_verb_inside_a_transaction_is_tried_once(article_rate):
    """Only the outermost can begin again."""
    tries: list[int] = []

    @retried
    @transaction.atomic
    def outer():
        sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        inner()

    @retried
    def inner():
        sql("SELECT 1")
        tries.append(len(tries))
        with second_connection() as other, other.cursor() as cursor:
            cursor.execute("UPDATE wallet_rate SET label = label || '.'")
        if len(tries) < 2:
            sql("UPDATE wallet_rate SET label = 'mine'")

    outer()
    assert len(tries) == 2
    assert connection.in_atomic_block is False
