"""Subscriptions: recorded, changed in any order of the messages, and every change kept with its effect."""

from collections import Counter, defaultdict
from datetime import timedelta
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from monetization import subscriptions
from monetization.errors import AlreadyRecorded, NotFound
from monetization.figures import stats
from monetization.models import Subscription, SubscriptionEvent
from monetization.subscriptions import NotYet
from tests.crowd import at_once, outcomes_at_once, patiently
from tests.factories import UserFactory
from tests.monetization.records import (
    NOON,
    broken_records,
    change,
    clock_at,
    days,
    last_event_of,
    now_of,
    refused,
    subscribe,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def events_of(subscription):
    """What is kept of a subscription: what happened, and what it did to the year."""
    events = SubscriptionEvent.objects.filter(subscription=subscription).order_by("pk")
    return [(event.kind, event.yearly_cents_delta) for event in events]


# --- Recorded ---------------------------------------------------------------------------------------


def test_a_subscription_is_recorded_active_and_its_beginning_kept(creator):
    found = subscribe(creator, "Reader@Example.com")
    assert found.pk.startswith("sub_")
    assert (found.status, found.interval, found.yearly_cents) == ("active", "month", 12 * 799)
    assert (found.subscriber_email, found.reader) == ("Reader@Example.com", "reader@example.com")
    event = SubscriptionEvent.objects.get()
    assert (event.kind, event.status, event.plan, event.amount_cents) == ("created", "active", "monthly", 799)
    assert (event.creator, event.currency, event.yearly_cents_delta) == (creator, "USD", 12 * 799)
    assert event.occurred_at == found.created_at


@pytest.mark.parametrize(
    ("plan", "interval", "yearly"),
    [
        ("monthly", "month", 1200),
        ("annual", "year", 100),
        ("quarterly", "quarter", 400),
        ("weekly", "week", 5200),
        ("New Year's special - monthly", "unknown", 0),
        ("gold", "unknown", 0),
    ],
)
def test_the_income_of_a_year_follows_from_the_plans_name(creator, plan, interval, yearly):
    found = subscribe(creator, plan=plan, amount_cents=100)
    assert (found.interval, found.yearly_cents) == (interval, yearly)
    change(found, plan="monthly")
    change(found, plan=plan)
    found.refresh_from_db()
    assert (found.interval, found.yearly_cents) == (interval, yearly)
    assert broken_records() == []


def test_a_free_subscription_brings_nothing_and_still_counts(creator):
    assert subscribe(creator, amount_cents=0).yearly_cents == 0
    assert events_of(Subscription.objects.get()) == [("created", 0)]


# --- Recorded once ----------------------------------------------------------------------------------


def test_the_same_stripe_id_again_is_the_first_record(creator):
    first = subscribe(creator, stripe_subscription_id="sub_1")
    again = subscribe(creator, "somebody.else@example.com", stripe_subscription_id="sub_1")
    assert again == first
    assert again.subscriber_email == "reader@example.com"
    assert events_of(first) == [("created", 12 * 799)]


@pytest.mark.parametrize("other", [{"plan": "annual"}, {"amount_cents": 800}, {"currency": "EUR"}])
def test_the_same_stripe_id_with_other_facts_is_refused_and_points_to_patch(creator, other):
    subscribe(creator, stripe_subscription_id="sub_1")
    with pytest.raises(AlreadyRecorded, match="use PATCH"):
        subscribe(creator, stripe_subscription_id="sub_1", **other)
    assert Subscription.objects.count() == SubscriptionEvent.objects.count() == 1


def test_a_replay_is_compared_with_how_it_began_not_with_what_became_of_it(creator):
    first = subscribe(creator, stripe_subscription_id="sub_1")
    change(first, plan="annual", amount_cents=7900, status="cancelled")
    assert subscribe(creator, stripe_subscription_id="sub_1") == first
    with pytest.raises(AlreadyRecorded):
        subscribe(creator, plan="annual", amount_cents=7900, stripe_subscription_id="sub_1")
    assert now_of(first) == ("cancelled", "annual", 7900, 0)


def test_stripe_ids_are_each_creators_own_and_two_without_one_are_two(creator, stranger):
    assert subscribe(creator, stripe_subscription_id="sub_1") != subscribe(
        stranger, amount_cents=1, stripe_subscription_id="sub_1"
    )
    assert subscribe(creator) != subscribe(creator)


@pytest.mark.django_db(transaction=True)
def test_one_stripe_id_from_24_callers_is_one_subscription_and_one_event(creator):
    calls = [lambda: patiently(lambda: subscribe(creator, stripe_subscription_id="sub_1"))] * 24
    assert len({found.pk for found in at_once(calls)}) == 1
    assert Subscription.objects.count() == SubscriptionEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_stripe_id_with_different_prices_at_once_has_one_winner(creator):
    def record(amount_cents):
        return subscribe(creator, amount_cents=amount_cents, stripe_subscription_id="sub_1")

    outcomes = outcomes_at_once([partial(patiently, partial(record, 700 + n)) for n in range(8)])
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {type(None): 1, AlreadyRecorded: 7}
    assert broken_records() == []


# --- Changed ----------------------------------------------------------------------------------------


def test_each_change_is_an_event_with_what_it_does_to_the_year(creator):
    found = subscribe(creator)
    for what in (
        {"status": "past_due"},
        {"status": "active"},
        {"plan": "annual", "amount_cents": 7900},
        {"amount_cents": 8000},
        {"plan": "gold"},
        {"plan": "weekly"},
        {"status": "cancelled"},
        {"amount_cents": 100},
        {"status": "active"},
    ):
        change(found, **what)
    assert events_of(found) == [
        ("created", 9588),
        ("past_due", 0),
        ("reactivated", 0),
        ("changed", 7900 - 9588),
        ("changed", 100),
        ("changed", -8000),
        ("changed", 52 * 8000),
        ("cancelled", -52 * 8000),
        ("changed", 0),
        ("reactivated", 5200),
    ]
    assert now_of(found) == ("active", "weekly", 100, 5200)
    assert broken_records() == []


def test_an_event_says_how_things_stood_after_it(creator):
    found = subscribe(creator, currency="EUR")
    then = timezone.now() - days(2)
    change(found, status="cancelled", plan="annual", occurred_at=then)
    cancelled, changed = SubscriptionEvent.objects.filter(subscription=found).order_by("pk")[1:]
    assert (cancelled.status, cancelled.plan, cancelled.currency) == ("cancelled", "monthly", "EUR")
    assert (changed.status, changed.plan, changed.amount_cents) == ("cancelled", "annual", 799)
    assert cancelled.occurred_at == changed.occurred_at == then
    assert cancelled.created_at > then


@pytest.mark.parametrize(
    "same",
    [
        {"status": "active"},
        {"plan": "monthly"},
        {"amount_cents": 799},
        {"plan": "monthly", "amount_cents": 799},
        {},
    ],
)
def test_what_is_so_already_is_no_event(creator, same):
    found = subscribe(creator)
    before = now_of(found)
    change(found, **same)
    assert now_of(found) == before
    assert events_of(found) == [("created", 12 * 799)]


def test_the_same_plan_again_does_not_read_its_name_anew(creator):
    """Its interval may have been read by an earlier version's rules: with no event, no figure moves."""
    found = subscribe(creator, plan="gold")
    Subscription.objects.filter(pk=found.pk).update(plan="monthly")
    change(found, plan="monthly")
    assert now_of(found) == ("active", "monthly", 799, 0)
    assert broken_records() == []


def test_sums_of_a_year_are_exact(creator):
    """Three of 10.00 a year are 2.50 a month; each month rounded alone would make it 2.49."""
    for n in range(3):
        subscribe(creator, f"reader{n}@example.com", plan="annual", amount_cents=1000)
    assert stats.of_creator(creator).currencies["USD"].mrr_cents == 250


def test_another_creators_or_none_is_not_found(creator, stranger):
    theirs = subscribe(stranger)
    for subscription_id in (theirs.pk, "sub_none"):
        with pytest.raises(NotFound):
            subscriptions.change(creator=creator, subscription_id=subscription_id, status="cancelled")
    assert now_of(theirs)[0] == "active"


# --- In any order -----------------------------------------------------------------------------------


def test_an_older_status_never_overwrites_a_newer_one(creator):
    found, then = subscribe(creator), timezone.now() - days(1)
    change(found, status="cancelled", occurred_at=then)
    change(found, status="past_due", occurred_at=then - HOUR)
    assert now_of(found)[0] == "cancelled"
    assert events_of(found) == [("created", 9588), ("cancelled", -9588)]


def test_older_terms_never_overwrite_newer_ones(creator):
    found, then = subscribe(creator), timezone.now() - days(1)
    change(found, plan="annual", amount_cents=7900, occurred_at=then)
    change(found, amount_cents=500, occurred_at=then - HOUR)
    change(found, plan="weekly", occurred_at=then - HOUR)
    assert now_of(found) == ("active", "annual", 7900, 7900)
    assert len(events_of(found)) == 2


def test_status_and_terms_have_clocks_of_their_own(creator):
    found, then = subscribe(creator), timezone.now() - days(1)
    change(found, status="past_due", occurred_at=then)
    change(found, amount_cents=899, occurred_at=then - HOUR)
    assert now_of(found)[:3] == ("past_due", "monthly", 899)
    # One message older for the one, newer for the other.
    change(found, status="active", amount_cents=999, occurred_at=then - HOUR / 2)
    assert now_of(found)[:3] == ("past_due", "monthly", 999)


def test_what_changes_nothing_still_moves_the_clock(creator):
    """Active at ten, said again, outlives a cancellation at nine."""
    found, then = subscribe(creator), timezone.now() - days(1)
    change(found, status="active", amount_cents=799, occurred_at=then)
    change(found, status="cancelled", amount_cents=1, occurred_at=then - HOUR)
    assert now_of(found) == ("active", "monthly", 799, 9588)
    assert len(events_of(found)) == 1


def test_a_change_from_before_it_was_recorded_counts(creator):
    """The record may be made after what it records."""
    found = subscribe(creator)
    change(found, status="cancelled", occurred_at=timezone.now() - days(40))
    assert now_of(found)[0] == "cancelled"


def test_without_a_time_it_happened_now(creator):
    found = subscribe(creator)
    with clock_at(NOON):
        change(found, status="past_due")
    found.refresh_from_db()
    assert found.status_at == NOON
    assert found.terms_at is None


@pytest.mark.parametrize("ahead", [timedelta(minutes=5, seconds=1), days(1), days(10_000)])
def test_a_change_in_the_future_is_refused(creator, ahead):
    found = subscribe(creator)
    with clock_at(NOON), pytest.raises(NotYet):
        change(found, status="cancelled", occurred_at=NOON + ahead)
    assert now_of(found)[0] == "active"


def test_clocks_may_differ_a_little(creator):
    found = subscribe(creator)
    with clock_at(NOON):
        change(found, status="cancelled", occurred_at=NOON + timedelta(minutes=5))
    assert now_of(found)[0] == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_messages_at_once_end_with_the_newest_and_add_up(creator):
    found, then = subscribe(creator), timezone.now() - days(1)
    words = ["past_due", "active", "cancelled"]

    def tell(n):
        change(found, status=words[n % 3], amount_cents=100 + n, occurred_at=then + n * HOUR / 60)

    at_once([partial(patiently, partial(tell, n)) for n in range(12)])
    assert now_of(found)[:3] == ("cancelled", "monthly", 111)
    assert broken_records() == []


# --- Any history ------------------------------------------------------------------------------------

PLANS = ["monthly", "annual", "quarterly", "weekly", "gold"]
TIMES = {"monthly": 12, "annual": 1, "quarterly": 4, "weekly": 52, "gold": 0}


class Histories(RuleBasedStateMachine):
    """One creator per example. The model is what each subscription should be, and when it last changed."""

    def __init__(self):
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.creator: Any = UserFactory()
        self.rows = {}  # id: [currency, status, plan, amount, status_at, terms_at]
        self.first = {}  # Stripe id: the facts it was recorded with, and our id

    def teardown(self):
        assert broken_records() == []
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    @rule(
        plan=st.sampled_from(PLANS),
        amount=st.integers(0, 5000),
        currency=st.sampled_from(["USD", "EUR", "JPY"]),
        stripe_id=st.sampled_from([None, "sub_1", "sub_2", "sub_3"]),
    )
    def record(self, plan, amount, currency, stripe_id):
        facts = {"plan": plan, "amount_cents": amount, "currency": currency}
        known, ours = self.first.get(stripe_id, (None, None))
        if known not in (None, facts):
            with pytest.raises(AlreadyRecorded):
                subscribe(self.creator, stripe_subscription_id=stripe_id, **facts)
            return
        found = subscribe(self.creator, stripe_subscription_id=stripe_id, **facts)
        if known:
            assert found.pk == ours
            return
        self.rows[found.pk] = [currency, "active", plan, amount, None, None]
        if stripe_id:
            self.first[stripe_id] = (facts, found.pk)

    @precondition(lambda self: self.first)
    @rule(data=st.data())
    def record_again(self, data):
        stripe_id = data.draw(st.sampled_from(sorted(self.first)))
        facts, ours = self.first[stripe_id]
        assert subscribe(self.creator, stripe_subscription_id=stripe_id, **facts).pk == ours

    @precondition(lambda self: self.rows)
    @rule(
        data=st.data(),
        status=st.sampled_from([None, "active", "past_due", "cancelled"]),
        plan=st.sampled_from([None, *PLANS]),
        amount=st.one_of(st.none(), st.integers(0, 5000)),
        hour=st.integers(0, 6),
        times=st.integers(1, 2),
    )
    def change(self, data, status, plan, amount, hour, times):
        pk = data.draw(st.sampled_from(list(self.rows)))
        for _ in range(times):
            subscriptions.change(
                creator=self.creator,
                subscription_id=pk,
                status=status,
                plan=plan,
                amount_cents=amount,
                occurred_at=NOON + hour * HOUR,
            )
        row = self.rows[pk]
        if status and (row[4] is None or hour >= row[4]):
            tied = hour == row[4] and "cancelled" in (row[1], status)
            row[1], row[4] = "cancelled" if tied else status, hour
        if (plan or amount is not None) and (row[5] is None or hour >= row[5]):
            row[2], row[3], row[5] = plan or row[2], row[3] if amount is None else amount, hour

    @invariant()
    def rows_events_and_figures_are_the_models(self):
        yearly: dict[str, int] = defaultdict(int)
        at_risk: dict[str, int] = defaultdict(int)
        for currency, status, plan, amount, *_ in self.rows.values():
            yearly[currency] += amount * TIMES[plan] * (status != "cancelled")
            at_risk[currency] += amount * TIMES[plan] * (status == "past_due")
        mine = Subscription.objects.filter(creator=self.creator)
        assert {row.pk: (row.currency, row.status, row.plan, row.amount_cents) for row in mine} == {
            pk: tuple(row[:4]) for pk, row in self.rows.items()
        }
        for row in mine:
            assert last_event_of(row) == (row.status, row.plan, row.amount_cents)
        told: dict[str, int] = defaultdict(int)
        for event in SubscriptionEvent.objects.filter(creator=self.creator):
            told[event.currency] += event.yearly_cents_delta
        assert told == yearly
        figures = stats.of_creator(self.creator).currencies
        for currency, cents in yearly.items():
            found = figures.get(currency, stats.Figures())
            assert found.mrr_cents == (2 * cents + 12) // 24
            assert found.at_risk_cents == (2 * at_risk[currency] + 12) // 24


@pytest.mark.parametrize("histories", [5, pytest.param(25, marks=pytest.mark.slow)])
def test_after_any_history_the_income_from_events_is_the_income_from_rows(db, histories):
    with clock_at(NOON + days(1)):
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=histories,
                stateful_step_count=20,
                derandomize=True,  # The same histories each time: a failure comes from a change of the code.
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


# --- The laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE monetization_subscriptionevent SET yearly_cents_delta = 0",
        "UPDATE monetization_subscriptionevent SET occurred_at = now()",
        "UPDATE monetization_subscriptionevent SET status = 'active'",
        "DELETE FROM monetization_subscriptionevent",
        "TRUNCATE monetization_subscriptionevent",
    ],
)
def test_events_are_never_changed_nor_removed(creator, statement):
    change(subscribe(creator), status="past_due")
    refused("monetization_subscriptionevent is history", statement)


@pytest.mark.parametrize(
    ("law", "statement"),
    [
        ("cancelled_earns_nothing", "UPDATE monetization_subscription SET status = 'cancelled'"),
        ("not_negative", "UPDATE monetization_subscription SET amount_cents = -1"),
        ("not_negative", "UPDATE monetization_subscription SET yearly_cents = -1"),
        ("stripe_id_once", "UPDATE monetization_subscription SET stripe_subscription_id = 'sub_1'"),
    ],
)
def test_a_subscription_that_cannot_be_is_not_written(creator, law, statement):
    subscribe(creator, stripe_subscription_id="sub_1")
    subscribe(creator)
    refused(f"monetization_subscription_{law}", statement)


def test_a_subscription_with_a_history_cannot_be_removed(creator):
    subscribe(creator)
    refused("is history", "DELETE FROM monetization_subscription")
