"""Short ways to a creator's records, by the verbs that production uses, and what must hold of all of them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Act
from monetization import sponsors, subscriptions, tips
from monetization.models import Refund, Sponsor, Subscription, SubscriptionEvent, Tip
from tests.factories import StaffFactory
from tests.wallet.entries import sql
from wallet.models import StripeEvent

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """Let the verbs write and read as if it were then."""
    with mock.patch.object(timezone, "now", return_value=moment):
        yield


def days(number: float) -> timedelta:
    return timedelta(days=number)


def tip(creator: Any, amount_cents: int = 500, **facts: Any) -> Tip:
    return tips.record(creator=creator, amount_cents=amount_cents, **facts)


def refund(tip: Tip, amount_cents: int | None = None, key: str = "form-1") -> Refund:
    return tips.refund(
        tip_id=tip.pk, amount_cents=amount_cents, reason="Asked for", key=key, actor="user:staff:1"
    )


def subscribe(
    creator: Any,
    email: str = "reader@example.com",
    plan: str = "monthly",
    amount_cents: int = 799,
    currency: str = "USD",
    **facts: Any,
) -> Subscription:
    return subscriptions.record(
        creator=creator,
        subscriber_email=email,
        plan=plan,
        amount_cents=amount_cents,
        currency=currency,
        **facts,
    )


def change(subscription: Subscription, **what: Any) -> Subscription:
    return subscriptions.change(creator=subscription.creator, subscription_id=subscription.pk, **what)


def last_event_of(subscription: Subscription) -> tuple[str, str, int]:
    """The status, plan and price after the last event."""
    event = SubscriptionEvent.objects.filter(subscription=subscription).latest("pk")
    return event.status, event.plan, event.amount_cents


def now_of(subscription: Subscription) -> tuple[str, str, int, int]:
    """How things stand by the row: status, plan, price, and the income of a year."""
    found = Subscription.objects.get(pk=subscription.pk)
    return found.status, found.plan, found.amount_cents, found.yearly_cents


def place(
    creator: Any,
    name: str = "Acme",
    *,
    starts: datetime | None = None,
    ends: datetime | None = None,
    position: str = "header",
    **facts: Any,
) -> Sponsor:
    """A placement; a week from now on, if nothing else is said."""
    starts = starts or timezone.now()
    return sponsors.place(
        creator=creator,
        sponsor_name=name,
        logo_url="https://cdn.example.com/logo.png",
        target_url="https://acme.example.com",
        position=position,
        active_from=starts,
        active_until=ends or starts + days(7),
        **facts,
    )


def upcoming(creator: Any, name: str = "Acme", **facts: Any) -> Sponsor:
    """A placement of a week that begins in three days."""
    return place(creator, name, starts=timezone.now() + days(3), **facts)


def broken_records() -> list[tuple[Any, ...]]:
    """Rows that are not what their history adds up to."""
    return sql(
        """
        SELECT subscription.id, subscription.yearly_cents, sum(event.yearly_cents_delta)
          FROM monetization_subscription subscription
          LEFT JOIN monetization_subscriptionevent event ON event.subscription_id = subscription.id
         GROUP BY subscription.id
        HAVING subscription.yearly_cents IS DISTINCT FROM sum(event.yearly_cents_delta)
        """
    ) + sql(
        """
        SELECT tip.id, tip.refunded_cents, tip.fee_returned_cents
          FROM monetization_tip tip LEFT JOIN monetization_refund refund ON refund.tip_id = tip.id
         GROUP BY tip.id
        HAVING tip.refunded_cents <> coalesce(sum(refund.amount_cents), 0)
            OR tip.fee_returned_cents <> coalesce(sum(refund.fee_returned_cents), 0)
            OR bool_or(refund.currency <> tip.currency OR refund.creator_id <> tip.creator_id)
        """
    )


def refused(law: str, query: str, *values: Any) -> None:
    """A statement that goes past the verbs, and must be refused by the law of this name."""
    with pytest.raises(IntegrityError, match=law):
        _in_a_transaction(query, *values)


@transaction.atomic
def _in_a_transaction(query: str, *values: Any) -> None:
    connection.check_constraints()  # Deferred laws speak now: of what was before, and of this.
    sql(query, *values)
    connection.check_constraints()


# --- A reader who is to be erased ----------------------------------------------------------------------

READER = "bob@x.co"
NAME = "Bob Lloblaw"
MESSAGE = "The law blog is the best"
NEIGHBOURS = [
    "jacob@x.co",
    "bob@x.com",
    "bob@x.co.uk",
    "bob@x.co-op.org",
    "bob+news@x.co",
    "a.bob@x.co",
    "bob@y.x.co",
]


def give(creator: Any, email: str = READER, **facts: Any) -> Tip:
    """A tip of the reader who is to be erased."""
    return tip(creator, email=email, name=NAME, message=MESSAGE, **facts)


def everything() -> dict[str, str]:
    """Every row of every table, as text."""
    tables = connection.introspection.table_names()
    return {table: "\n".join(row for (row,) in sql(f'SELECT t::text FROM "{table}" t')) for table in tables}


def tables_with(*words: str) -> set[str]:
    """Where one of the words is still kept, in any case."""
    return {table for table, rows in everything().items() for word in words if word.lower() in rows.lower()}


def write_to_the_log(words: str, row: Any) -> None:
    """What staff wrote beside an act of theirs."""
    staff: Any = StaffFactory()
    Act.objects.create(
        staff=staff, verb="plan", label="Change", model=row._meta.label_lower, row_id=row.pk, told=words
    )


def hear_of(data: Any, **options: Any) -> StripeEvent:
    """An event of Stripe's, kept as it came."""
    return hear_of_text(json.dumps({"id": "evt_1", "data": data}, **options))


def hear_of_text(payload: str) -> StripeEvent:
    number = StripeEvent.objects.count()
    return StripeEvent.objects.create(pk=f"evt_{number}", type="charge.updated", payload=payload)
