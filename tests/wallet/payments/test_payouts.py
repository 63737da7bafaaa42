"""What Stripe says of our balance and its payouts, read from the sandbox into rows, by month."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from foundation.calendar import add_months
from tests.wallet.entries import sql
from tests.wallet.lives import Life
from tests.wallet.resting import rest, resting_triggers
from wallet.books import laws
from wallet.models import ClosedMoney, MonthMoney, PayoutItem, PayoutReading, StripeMovement, StripePayout
from wallet.payments.payouts import money, reading

pytestmark = pytest.mark.django_db

ROWS = (StripeMovement, StripePayout, PayoutItem)
*_, OF_MONEY = laws.LAWS_OF_DAYS


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """What moved at Stripe just now is read, too."""
    monkeypatch.setattr(reading, "SETTLING", timedelta(seconds=-1))


@pytest.fixture
def life(stand_in, deliver):
    def begun(user_id="usr_1", dollars=25):
        return Life(stand_in, deliver, user_id=user_id, dollars=dollars)

    return begun


def this_month():
    return timezone.now().astimezone(UTC).date().replace(day=1)


def money_in(month):
    """A month's money. It must be read."""
    found = money.money_of(month)
    assert found is not None
    return found


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


def test_a_second_run_reads_on_and_stores_nothing_twice(life, stand_in, monkeypatch):
    life()
    with monkeypatch.context() as earlier:
        earlier.setattr(reading, "SETTLING", timedelta(minutes=30))
        first = reading.read(since=timezone.now() - timedelta(days=1))
    assert not StripeMovement.objects.exists()
    stand_in.sandbox.control("payouts")
    second = reading.read()
    assert second is not None
    assert PayoutReading.objects.get(until=second).since == first
    before = [list(model.objects.order_by("pk").values()) for model in ROWS]
    assert [len(rows) for rows in before] == [2, 1, 1]
    with resting_triggers():  # As if the run had been interrupted before it stored how far it came.
        PayoutReading.objects.all().delete()
    reading.read()
    assert [list(model.objects.order_by("pk").values()) for model in ROWS] == before


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

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


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


def sent(pk, day, amount, status="paid", **facts):
    moment = datetime(2026, 3, day, tzinfo=UTC)
    facts = {"currency": "usd", "is_automatic": True, "itemized_at": moment} | facts
    return StripePayout.objects.create(
        id=pk, created_at=moment, arrives_at=moment, amount=amount, status=status, **facts
    )


def moved(pk, day, category, amount, payout="", **facts):
    StripeMovement.objects.create(
        id=pk,
        created_at=datetime(2026, 3, day, 12, tzinfo=UTC),
        category=category,
        currency="usd",
        amount=amount,
        fee=0,
        **facts,
    )
    if payout:
        PayoutItem.objects.create(movement_id=pk, payout_id=payout)


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
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 4, 2, tzinfo=UTC))
    before = {each.category: each.paid_out for each in money_in(MARCH.date()).moved}
    assert before["charge"] == paid_out
    money.close()
    assert {each.category: each.paid_out for each in money_in(MARCH.date()).moved} == before


@pytest.fixture
def told_by_stripe(monkeypatch):
    """Stripe has nothing new, and says of each payout what `of` has. `asked` are the payouts asked for."""
    said = SimpleNamespace(asked=[], of={})

    def one(kind, pk):
        body = {"arrival_date": int(MARCH.timestamp()), "reconciliation_status": "in_progress"}
        said.asked.append(pk)
        return body | said.of.get(pk, {"status": "paid"})

    monkeypatch.setattr(reading.stripe_lists, "one", one)
    monkeypatch.setattr(reading.stripe_lists, "pages", lambda kind, **where: iter(()))
    return said


def test_payouts_are_followed_from_the_last_run_on_however_long_ago_it_was(told_by_stripe):
    sent("po_old", 1, 100)
    sent("po_young", 20, 200)
    sent("po_under_way", 2, 300, "in_transit")
    sent("po_failed", 21, 400, "failed")
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 3, 22, tzinfo=UTC))
    told_by_stripe.of["po_young"] = {"status": "failed"}
    reading.read()
    assert told_by_stripe.asked == ["po_under_way", "po_young"]
    states = dict(StripePayout.objects.values_list("id", "status"))
    assert states == {
        "po_old": "paid",
        "po_young": "failed",
        "po_under_way": "paid",
        "po_failed": "failed",
    }


def test_a_payout_of_which_stripe_never_says_what_is_in_it_holds_up_no_month(told_by_stripe):
    sent("po_1", 5, 100, itemized_at=None)
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 4, 2, tzinfo=UTC))
    told_by_stripe.of["po_1"] = {"status": "paid"}
    reading.read()
    assert money.close() == []
    told_by_stripe.of["po_1"] = {"status": "paid", "reconciliation_status": "not_applicable"}
    reading.read()
    assert money.close()[0] == MARCH.date()
    [payout] = money.payouts_of(MARCH.date())
    assert (payout.is_automatic, payout.is_itemized) == (False, False)
