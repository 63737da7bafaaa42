"""Subscriptions: changes within one second, and decisions on old pages."""

from datetime import timedelta
from functools import partial
from itertools import permutations, product

import pytest
from django.utils import timezone

from monetization import subscriptions
from monetization.errors import ChangedMeanwhile
from monetization.models import Subscription
from tests.crowd import at_once, patiently
from tests.monetization.records import (
    NOON,
    broken_records,
    change,
    clock_at,
    days,
    last_event_of,
    now_of,
    subscribe,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_a_change_said_to_be_of_this_second_counts_after_one_without_a_time(creator):
    found = subscribe(creator)
    change(found, status="past_due")
    this_second = timezone.now().replace(microsecond=0)
    change(found, status="cancelled", occurred_at=this_second)
    assert Subscription.objects.get(pk=found.pk).status == "cancelled"


def test_a_clock_that_is_ahead_shuts_nothing_out(creator):
    found = subscribe(creator)
    change(found, status="past_due", occurred_at=timezone.now() + timedelta(minutes=4))
    change(found, status="cancelled")
    # A whole second may pass between what is cut to it and what is not.
    change(found, status="cancelled", occurred_at=timezone.now() + timedelta(seconds=1))
    assert Subscription.objects.get(pk=found.pk).status == "cancelled"


@pytest.mark.parametrize("ahead", [timedelta(seconds=5), days(40)])
def test_a_host_whose_clock_is_ahead_shuts_out_no_change_of_another_host(creator, ahead):
    found = subscribe(creator)
    with clock_at(timezone.now() + ahead):
        change(found, status="past_due")
        change(found, plan="yearly")
    change(found, status="cancelled", occurred_at=timezone.now())
    change(found, plan="Gold yearly", amount_cents=900, occurred_at=timezone.now())
    assert now_of(found)[:3] == ("cancelled", "Gold yearly", 900)


def test_a_decision_on_an_old_page_changes_nothing(creator):
    subscription = subscriptions.record(
        creator=creator, subscriber_email="r@example.com", plan="monthly", amount_cents=799, currency="USD"
    )
    seen = subscriptions.newest_event(subscription)
    subscriptions.change(creator=creator, subscription_id=subscription.pk, status="cancelled", seen=seen)
    with pytest.raises(ChangedMeanwhile):
        subscriptions.change(creator=creator, subscription_id=subscription.pk, status="active", seen=seen)
    subscription.refresh_from_db()
    assert subscription.status == "cancelled"


# --- One second -------------------------------------------------------------------------------------


STATUSES = ("active", "past_due", "cancelled")


@pytest.mark.parametrize(("first", "second"), list(product(STATUSES, repeat=2)))
@pytest.mark.parametrize("apart", [timedelta(0), timedelta(milliseconds=700)])
def test_of_one_second_a_cancellation_counts_in_either_order_and_else_the_later_arrival(
    creator, first, second, apart
):
    found, then = subscribe(creator), (timezone.now() - days(1)).replace(microsecond=0)
    change(found, status="past_due", occurred_at=then - HOUR)
    change(found, status=first, occurred_at=then + apart)
    change(found, status=second, occurred_at=then)
    expected = "cancelled" if "cancelled" in (first, second) else second
    assert now_of(found)[0] == expected
    assert last_event_of(found) == now_of(found)[:3]
    assert broken_records() == []


@pytest.mark.parametrize("order", list(permutations(STATUSES)))
def test_of_three_in_one_second_the_cancellation_counts(creator, order):
    found, then = subscribe(creator), timezone.now() - days(1)
    for status in order:
        change(found, status=status, occurred_at=then)
    assert now_of(found)[0] == last_event_of(found)[0] == "cancelled"


def test_of_one_second_the_later_plan_and_price_count(creator):
    found, then = subscribe(creator), timezone.now() - days(1)
    for plan, amount_cents in (("annual", 7900), ("weekly", 100), ("annual", 9900)):
        change(found, plan=plan, amount_cents=amount_cents, occurred_at=then)
        assert now_of(found)[1:3] == last_event_of(found)[1:] == (plan, amount_cents)


def test_a_cancellation_and_a_price_of_one_second_both_count(creator):
    found, then = subscribe(creator), timezone.now() - days(1)
    change(found, status="cancelled", amount_cents=1, occurred_at=then)
    change(found, status="active", amount_cents=2, occurred_at=then)
    assert now_of(found)[:3] == last_event_of(found) == ("cancelled", "monthly", 2)


def test_a_second_later_a_cancelled_one_is_active_again(creator):
    found, then = subscribe(creator), timezone.now() - days(1)
    change(found, status="cancelled", occurred_at=then)
    change(found, status="active", occurred_at=then + timedelta(seconds=1))
    assert now_of(found)[0] == "active"


@pytest.mark.django_db(transaction=True)
def test_of_one_second_at_once_the_cancellation_counts(creator):
    found, then = subscribe(creator), timezone.now() - days(1)
    calls = [partial(patiently, partial(change, found, status=s, occurred_at=then)) for s in STATUSES * 4]
    at_once(calls)
    assert now_of(found)[0] == last_event_of(found)[0] == "cancelled"
    assert broken_records() == []


# --- Clocks that differ -----------------------------------------------------------------------------


AHEAD = timedelta(seconds=2)


@pytest.mark.parametrize("then", [None, timedelta(0), timedelta(seconds=1), AHEAD])
def test_after_a_change_ahead_of_the_clock_another_of_the_same_second_counts(creator, then):
    """Past due two seconds ahead, at 12:00:00.4; cancelled at 12:00:00.6, as of now or of a whole second."""
    found = subscribe(creator)
    with clock_at(NOON + timedelta(milliseconds=400)):
        change(found, status="past_due", amount_cents=899, occurred_at=NOON + AHEAD)
    occurred_at = None if then is None else NOON + then
    with clock_at(NOON + timedelta(milliseconds=600)):
        change(found, status="cancelled", amount_cents=999, occurred_at=occurred_at)
    assert now_of(found)[:3] == last_event_of(found) == ("cancelled", "monthly", 999)


@pytest.mark.parametrize("order", [("cancelled", "active"), ("active", "cancelled")])
@pytest.mark.parametrize("later", [0, 0.7, 1.2])
def test_one_time_ahead_of_the_clock_is_one_second_though_the_clock_goes_on(creator, order, later):
    found = subscribe(creator)
    change(found, status="past_due", occurred_at=NOON - HOUR)
    for status, passed in zip(order, (0.1, 0.1 + later), strict=True):
        with clock_at(NOON + timedelta(seconds=passed)):
            change(found, status=status, occurred_at=NOON + AHEAD)
    assert now_of(found)[0] == last_event_of(found)[0] == "cancelled"


@pytest.mark.parametrize("what", [{"status": "active"}, {"plan": "annual"}, {"amount_cents": 1}])
def test_a_change_without_a_time_counts_though_another_hosts_clock_is_ahead(creator, what):
    found = subscribe(creator)
    with clock_at(NOON + timedelta(minutes=4)):
        change(found, status="cancelled", plan="weekly", amount_cents=100)
    with clock_at(NOON):
        changed = change(found, **what)
    assert {name: getattr(changed, name) for name in what} == what
    assert now_of(found)[:3] == last_event_of(found)


def test_a_change_back_without_a_time_counts_within_one_second(creator):
    found = subscribe(creator)
    with clock_at(NOON):
        for status in ("cancelled", "active", "cancelled", "active"):
            change(found, status=status)
    assert now_of(found)[0] == "active"


@pytest.mark.parametrize("at", ["status_at", "terms_at"])
def test_a_time_that_an_earlier_release_stored_with_a_fraction_is_of_that_second(creator, at):
    found = subscribe(creator)
    Subscription.objects.filter(pk=found.pk).update(**{at: NOON + timedelta(milliseconds=400)})
    change(found, status="cancelled", amount_cents=999, occurred_at=NOON)
    assert now_of(found)[:3] == ("cancelled", "monthly", 999)
