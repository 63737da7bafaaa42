"""What Stripe says of our balance and its payouts, read from the sandbox into rows, by month."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from foundation.calendar import add_months
from sandbox import store
from tests.wallet.entries import sql
from tests.wallet.payments.payout_rows import MARCH, money_in, moved, sent, this_month
from tests.wallet.resting import rest, resting_triggers
from wallet.books import laws
from wallet.models import ClosedMoney, MonthMoney, PayoutItem, PayoutReading, StripeMovement, StripePayout
from wallet.payments import settlement
from wallet.payments.payouts import money, reading

pytestmark = pytest.mark.django_db

ROWS = (StripeMovement, StripePayout, PayoutItem)
*_, OF_MONEY = laws.LAWS_OF_DAYS


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """What moved at Stripe just now is read, too."""
    monkeypatch.setattr(reading, "SETTLING", timedelta(seconds=-1))


def by_category(found):
    return {(each.category, each.of_topups): (each.movements, each.amount, each.fee) for each in found.moved}


def test_everything_that_moved_is_read_and_adds_up(life, stand_in):
    one, other = life(), life("usr_2", 50)
    one.refunds(10)
    dispute = other.is_disputed()
    other.happens(f"disputes/{dispute}/win")
    payout = stand_in.sandbox.control("payouts")
    late = life("usr_3", 10)
    assert reading.read() is not None
    found = money_in(this_month())
    assert by_category(found) == {
        ("charge", True): (3, 2500 + 5000 + 1000, 102 + 175 + 59),
        ("refund", True): (1, -1000, 0),
        ("dispute", True): (1, -5000, 1500),
        ("dispute_reversal", True): (1, 5000, -1500),
        ("payout", False): (1, -payout["amount"], 0),
    }
    assert found.opening == {}
    # What is on the balance is what came after the payout.
    assert found.closing == {"usd": 1000 - 59}
    paid_out = sum(each.paid_out for each in found.moved)
    assert paid_out == payout["amount"] == 2500 + 5000 - 1000 - 102 - 175
    [sent] = money.payouts_of(this_month())
    assert (sent.id, sent.net, sent.movements) == (payout["id"], payout["amount"], 5)
    assert (sent.is_automatic, sent.is_itemized, sent.status) == (True, True, "paid")
    assert not PayoutItem.objects.filter(movement_id__in=_movements_of(late)).exists()


def _movements_of(life):
    intent = life.topup.payment_intent_id
    return StripeMovement.objects.filter(payment_intent_id=intent).values("id")


def stored():
    """All rows, without the time of the last question."""
    rows = [list(model.objects.order_by("pk").values()) for model in ROWS]
    return [[{**row, "asked_at": None} for row in of_model] for of_model in rows]


def test_a_second_run_reads_on_and_stores_nothing_twice(life, stand_in, monkeypatch):
    life()
    with monkeypatch.context() as earlier:
        earlier.setattr(reading, "SETTLING", timedelta(minutes=30))
        first = reading.read(since=timezone.now() - timedelta(days=1))
    assert not StripeMovement.objects.exists()
    stand_in.sandbox.control("payouts")
    second = reading.read()
    assert first
    assert second
    # Early in a month, the second run makes two: one of each month.
    assert PayoutReading.objects.filter(since=first).exists()
    before = stored()
    assert [len(rows) for rows in before] == [2, 1, 1]
    with resting_triggers():  # As if the run had been interrupted before it stored how far it came.
        PayoutReading.objects.all().delete()
    reading.read()
    assert stored() == before


def test_a_payout_by_hand_has_no_items(life, stand_in):
    life()
    stand_in.sandbox.control("payouts", amount=500)
    reading.read()
    [payout] = money.payouts_of(this_month())
    assert (payout.is_automatic, payout.is_itemized, payout.amount, payout.net) == (False, False, 500, 0)


def test_charges_that_gave_no_credits_are_apart(stand_in):
    stand_in.paid_session(cents=700, user_id="usr_1")  # Its webhook has not come.
    since = timezone.now() - timedelta(days=1)
    reading.read(since=since)
    found = money_in(this_month())
    assert by_category(found) == {("charge", False): (1, 700, 50)}


def test_where_there_is_no_topup_there_is_nothing_to_read(stand_in):
    out = StringIO()
    call_command("read_payouts", stdout=out)
    assert out.getvalue() == "There is no top-up yet.\n"
    assert money.money_of(this_month()) is None
    assert money.close() == []


def test_the_command_says_when_stripe_cannot_be_read(life, stand_in):
    life()
    stand_in.misbehaves(api_failure=503)
    with pytest.raises(CommandError):
        call_command("read_payouts")
    assert not PayoutReading.objects.exists()


# --- Closing ------------------------------------------------------------------------------------------


@pytest.fixture
def spring():
    """Movements of two months, read until May; one payout in April, of March's money."""
    rows = (
        ("txn_1", 3, 30, "charge", 2500, 102),
        ("txn_2", 4, 1, "refund", -500, 0),
        ("txn_3", 4, 2, "payout", -2398, 0),
    )
    for pk, month, day, category, amount, fee in rows:
        StripeMovement.objects.create(
            id=pk,
            created_at=datetime(2026, month, day, 12, tzinfo=UTC),
            category=category,
            currency="usd",
            amount=amount,
            fee=fee,
        )
    payout = StripePayout.objects.create(
        id="po_1",
        created_at=datetime(2026, 4, 2, tzinfo=UTC),
        arrives_at=datetime(2026, 4, 3, tzinfo=UTC),
        amount=2398,
        currency="usd",
        status="paid",
        is_automatic=True,
    )
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 5, 2, tzinfo=UTC))
    return payout


def test_a_month_waits_until_stripe_has_said_what_its_payouts_hold(spring):
    assert [each.month for each in money.close()] == [3]
    PayoutItem.objects.create(movement_id="txn_1", payout_id="po_1")
    StripePayout.objects.update(itemized_at=timezone.now())
    assert [each.month for each in money.close()] == [4]
    assert money.close() == []
    march, april = (money_in(MARCH.date().replace(month=month)) for month in (3, 4))
    assert (march.opening, march.closing) == ({}, {"usd": 2398})
    assert [each.paid_out for each in march.moved] == [0]
    assert (april.opening, april.closing) == ({"usd": 2398}, {"usd": -500})
    assert march.closed_at
    assert april.closed_at


def test_a_closed_month_of_money_stays_as_it_is(spring):
    money.close()
    before = money_in(MARCH.date())
    PayoutItem.objects.create(movement_id="txn_1", payout_id="po_1")
    assert money_in(MARCH.date()) == before
    for table in (MonthMoney, ClosedMoney, StripeMovement):
        with pytest.raises(IntegrityError), transaction.atomic():
            sql(f"DELETE FROM {table._meta.db_table}")


def test_months_that_are_not_closed_begin_with_those_before(spring):
    april = money_in(add_months(MARCH.date(), 1))
    assert (april.opening, april.closing, april.closed_at) == ({"usd": 2398}, {"usd": -500}, None)
    assert money.money_of(add_months(MARCH.date(), 3)) is None


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wallet_monthmoney SET amount = 1",
        "UPDATE wallet_monthmoney SET fee = 1",
        "DELETE FROM wallet_monthmoney",
        "UPDATE wallet_stripemovement SET created_at = '2026-03-02' WHERE id = 'txn_2'",
    ],
)
def test_the_law_names_a_month_that_its_movements_do_not_add_up_to(spring, change):
    money.close()
    rest()
    sql(change)
    assert {row.law for row in laws.violations()} == {OF_MONEY}


# --- Payouts that fail, and late runs -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "paid_out"),
    [
        ("paid", "", 2500),
        ("failed", "", 0),
        ("failed", "paid", 2500),
        ("failed", "pending", 2500),
        ("failed", "failed", 0),
    ],
)
def test_a_payout_that_failed_sent_nothing_until_another_sends_its_money(first, second, paid_out):
    moved("txn_1", 3, "charge", 2500, "po_1")
    sent("po_1", 5, 2500, first)
    moved("txn_2", 5, "payout", -2500)
    if first == "failed":
        moved("txn_3", 8, "payout_reversal", 2500, "po_2" if second else "", source_id="po_1")
    if second:
        sent("po_2", 10, 2500, second)
        moved("txn_4", 10, "payout", -2500)
    if second == "failed":
        moved("txn_5", 12, "payout_reversal", 2500, source_id="po_2")
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 4, 2, tzinfo=UTC))
    before = {each.category: each.paid_out for each in money_in(MARCH.date()).moved}
    assert before["charge"] == paid_out
    money.close()
    assert {each.category: each.paid_out for each in money_in(MARCH.date()).moved} == before


# --- Payouts that come back after their month -----------------------------------------------------------


def read_on():
    """Read the newest stretch again: Stripe's times are whole seconds, and a test is faster than these."""
    with resting_triggers():
        PayoutReading.objects.order_by("-until")[:1].get().delete()
    reading.read()


@pytest.fixture
def long_ago(stand_in, monkeypatch):
    """A top-up of $25 of 70 days ago, which Stripe paid out by itself two midnights later; that payout."""
    monkeypatch.setenv("DATA_DIR", str(stand_in.sandbox.data_dir))
    paid_at = timezone.now() - timedelta(days=70)
    session = store.add_paid_session(
        user_id="usr_1", product="blog", amount_cents=2500, created=int(paid_at.timestamp())
    )
    settlement.settle(stand_in.session(session["id"]), happened_at=paid_at)
    reading.read(since=paid_at - timedelta(days=1))
    payout = StripePayout.objects.get()
    assert money.close()[-1] == add_months(this_month(), -1)
    return payout


def test_a_payout_that_fails_after_its_month_comes_back_in_a_later_one(long_ago, stand_in):
    month = long_ago.created_at.date().replace(day=1)
    closed = money_in(month)
    failed = stand_in.sandbox.control(f"payouts/{long_ago.pk}/fail")
    read_on()
    assert money_in(month) == closed
    assert {each.law for each in laws.violations()} == set()
    now = money_in(this_month())
    assert by_category(now) == {("payout_reversal", False): (1, 2398, 0)}
    assert now.opening == {"usd": 0}
    assert now.closing == {"usd": 2398}
    [earlier] = money.of_earlier_payouts(this_month())
    assert (earlier.currency, earlier.movements, earlier.net) == ("usd", 1, 2398)
    back = StripeMovement.objects.get(pk=failed["failure_balance_transaction"])
    for page in (month, this_month()):
        [payout] = money.payouts_of(page)
        assert (payout.id, payout.state, payout.came_back_at) == (long_ago.pk, "Failed", back.created_at)
    # Then Stripe sends it with the next payout.
    again = stand_in.sandbox.control("payouts")
    assert again["amount"] == 2398
    read_on()
    assert PayoutItem.objects.get(pk=back.pk).payout_id == again["id"]
    assert money_in(this_month()).closing == {"usd": 0}
    assert money_in(month) == closed


def test_a_payout_by_hand_is_canceled(life, stand_in):
    life()
    made = stand_in.sandbox.control("payouts", amount=500, status="pending")
    reading.read()
    assert money.payouts_of(this_month())[0].state == "Pending"
    stand_in.sandbox.control(f"payouts/{made['id']}/cancel")
    read_on()
    [payout] = money.payouts_of(this_month())
    assert payout.state == "Canceled"
    assert payout.came_back_at
    assert money.of_earlier_payouts(this_month()) == []
    assert money_in(this_month()).closing == {"usd": 2500 - 102}


def test_what_a_month_paid_out_is_the_same_before_and_after_its_payout_fails(told_by_stripe):
    """Its money comes back after the end of the month, before the month is closed."""
    moved("txn_1", 3, "charge", 2500, "po_1")
    sent("po_1", 5, 2500)
    moved("txn_2", 5, "payout", -2500)
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 4, 12, tzinfo=UTC))
    before = money_in(MARCH.date())
    StripeMovement.objects.create(
        id="txn_3",
        created_at=datetime(2026, 4, 11, tzinfo=UTC),
        category="payout_reversal",
        currency="usd",
        amount=2500,
        fee=0,
        source_id="po_1",
    )
    StripePayout.objects.update(status="failed")
    assert money_in(MARCH.date()) == before
    assert money.close() == [MARCH.date()]
    assert money_in(MARCH.date()).moved == before.moved
    assert sum(each.paid_out for each in before.moved) == 2500
