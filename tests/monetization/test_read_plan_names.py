"""`manage.py read_plan_names`: subscriptions that were recorded when names were read by another rule."""

from io import StringIO

import pytest
from django.core.management import call_command

from monetization.figures import stats
from monetization.models import Subscription, SubscriptionEvent
from tests.monetization.records import broken_records, change, subscribe

pytestmark = pytest.mark.django_db

PLAN = "New Year's special - monthly"


def run(*words):
    out = StringIO()
    call_command("read_plan_names", *words, stdout=out)
    return out.getvalue().splitlines()


def as_recorded_before(creator, plan, interval, yearly_cents):
    """A subscription whose name an earlier release read otherwise: with its interval, income and event."""
    known = {"year": "annual", "month": "monthly", "unknown": "gold"}[interval]
    found = subscribe(creator, plan=known, amount_cents=1200)
    assert found.yearly_cents == yearly_cents
    Subscription.objects.filter(pk=found.pk).update(plan=plan)
    return found


def mrr(creator):
    return stats.of_creator(creator).currencies["USD"].mrr_cents


def test_without_apply_it_only_lists_what_would_change(creator):
    found = as_recorded_before(creator, PLAN, "year", 1200)
    subscribe(creator, "b@example.com")
    assert run() == [f"{found.pk}: Not known", "1 subscription would change. Run with --apply."]
    found.refresh_from_db()
    assert (found.interval, found.yearly_cents) == ("year", 1200)
    assert SubscriptionEvent.objects.count() == 2


@pytest.mark.parametrize(
    ("plan", "before", "yearly_before", "after", "yearly_after"),
    [
        (PLAN, "year", 1200, "unknown", 0),
        ("Monthly access, billed annually", "year", 1200, "unknown", 0),
        ("60 per annum", "unknown", 0, "year", 1200),
    ],
)
def test_apply_stores_the_new_interval_as_a_change_of_income(
    creator, plan, before, yearly_before, after, yearly_after
):
    found = as_recorded_before(creator, plan, before, yearly_before)
    assert run("--apply")[-1] == "1 subscription changed."
    found.refresh_from_db()
    assert (found.interval, found.yearly_cents) == (after, yearly_after)
    event = SubscriptionEvent.objects.latest("pk")
    assert (event.kind, event.yearly_cents_delta) == ("changed", yearly_after - yearly_before)
    assert (event.status, event.plan, event.amount_cents) == ("active", plan, 1200)
    assert mrr(creator) == yearly_after // 12
    assert broken_records() == []
    assert run("--apply") == ["0 subscriptions changed."]


def test_a_cancelled_one_gets_its_interval_without_an_event(creator):
    found = as_recorded_before(creator, PLAN, "year", 1200)
    change(found, status="cancelled")
    events = SubscriptionEvent.objects.count()
    run("--apply")
    found.refresh_from_db()
    assert (found.interval, SubscriptionEvent.objects.count()) == ("unknown", events)
    change(found, status="active")
    assert mrr(creator) == 0
    assert broken_records() == []


def test_names_that_are_read_as_before_do_not_change(creator):
    for plan in ("monthly", "annual", "weekly", "quarterly", "gold", "every 2 months"):
        subscribe(creator, f"{plan[:4]}@example.com", plan=plan)
    assert run("--apply") == ["0 subscriptions changed."]
    assert SubscriptionEvent.objects.count() == 6


def test_no_plans_name_is_printed(creator):
    as_recorded_before(creator, "ada@example.com, New Year's, monthly", "year", 1200)
    assert "ada" not in " ".join(run("--apply"))
