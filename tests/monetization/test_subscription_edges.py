"""Subscriptions: what a plan's name says of its billing, and changes within one second."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monetization import subscriptions
from monetization.errors import ChangedMeanwhile
from monetization.models import Subscription
from tests.monetization.records import change, subscribe

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("plan", "interval"),
    [
        ("Weekly Letter, yearly", "year"),
        ("weekly-digest-monthly", "month"),
        ("Headquarters monthly", "month"),
        ("twelve-month plan", "unknown"),
        ("eighteen months", "unknown"),
        ("every 3rd month", "unknown"),
        ("The Weekly", "week"),
    ],
)
def test_the_interval_is_that_of_the_billing_not_of_the_letter(plan, interval):
    assert subscriptions.interval_of(plan) == interval


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
