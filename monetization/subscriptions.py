"""Record and change readers' paid subscriptions. Each change is stored with its effect on the income.

Income is counted per year, in whole smallest units: a monthly price times 12, a quarterly price times 4, a
weekly price times 52. MRR is a twelfth of the sum, rounded once (docs/monetization.md). A subscription with
an unknown billing interval is in no sum and is counted separately.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from foundation.errors import BillingError
from foundation.mailboxes import stored_mailbox
from monetization import mails
from monetization.errors import AlreadyRecorded, ChangedMeanwhile, NotFound
from monetization.models import Subscription, SubscriptionEvent
from monetization.plan_names import interval_of

Status = Subscription.Status
Interval = Subscription.Interval
Kind = SubscriptionEvent.Kind

TIMES_A_YEAR = {Interval.WEEK: 52, Interval.MONTH: 12, Interval.QUARTER: 4, Interval.YEAR: 1}
KIND_OF = {
    Status.ACTIVE: Kind.REACTIVATED,
    Status.PAST_DUE: Kind.PAST_DUE,
    Status.CANCELLED: Kind.CANCELLED,
}
# The clocks of two hosts may differ by a few minutes. A time further in the future is a mistake: later
# changes would have no effect until that time.
AHEAD_MAX = timedelta(minutes=5)


class NotYet(BillingError):
    """Raised when the time of a change is in the future."""

    sentence = "occurred_at must not be in the future"


def yearly_cents(*, status: str, interval: str, amount_cents: int) -> int:
    """Return the yearly income of a subscription, in the smallest unit.

    This is 0 if the subscription is cancelled or its interval is UNKNOWN.
    """
    if status == Status.CANCELLED:
        return 0
    return amount_cents * TIMES_A_YEAR.get(Interval(interval), 0)


def record(
    *,
    creator: User,
    subscriber_email: str,
    plan: str,
    amount_cents: int,
    currency: str,
    stripe_subscription_id: str | None = None,
) -> Subscription:
    """Record a new paid subscriber, with the status active.

    If this `stripe_subscription_id` was recorded before, return that subscription unchanged. Raises
    AlreadyRecorded if it was recorded with another plan, amount or currency.
    """
    interval = interval_of(plan)
    yearly = yearly_cents(status=Status.ACTIVE, interval=interval, amount_cents=amount_cents)
    subscription = Subscription(
        creator=creator,
        subscriber_email=subscriber_email,
        reader=subscriber_email.lower(),
        mailbox=stored_mailbox(subscriber_email, compared=subscriber_email.lower()),
        plan=plan,
        interval=interval,
        amount_cents=amount_cents,
        currency=currency,
        yearly_cents=yearly,
        stripe_subscription_id=stripe_subscription_id,
        created_at=timezone.now(),
    )
    subscription.unknown_since = _unknown_since(subscription)
    with transaction.atomic():
        Subscription.objects.bulk_create([subscription], ignore_conflicts=True)
        known = Subscription.objects.visible_to(creator)
        if known.filter(pk=subscription.pk).exists():
            _write(subscription, Kind.CREATED, delta=yearly, occurred_at=subscription.created_at)
            return subscription
    first = known.get(stripe_subscription_id=stripe_subscription_id)
    began = beginning(first)
    if (began.plan, began.amount_cents, began.currency) != (plan, amount_cents, currency):
        raise AlreadyRecorded(
            "This stripe_subscription_id was recorded with another plan, amount or currency; "
            "use PATCH to change a subscription"
        )
    return first


def beginning(subscription: Subscription) -> SubscriptionEvent:
    """Return the first event of a subscription."""
    return SubscriptionEvent.objects.filter(subscription=subscription).order_by("pk")[0]


def newest_event(subscription: Subscription) -> int:
    """Return the id of the subscription's newest event. After a change, this id is higher."""
    return SubscriptionEvent.objects.filter(subscription=subscription).latest("pk").pk


@transaction.atomic
def change(
    *,
    creator: User,
    subscription_id: str,
    status: str | None = None,
    plan: str | None = None,
    amount_cents: int | None = None,
    occurred_at: datetime | None = None,
    seen: int | None = None,
) -> Subscription:
    """Change the given fields as of `occurred_at` (None: now), and record the change as an event.

    Requests may arrive in any order. A status that is older than the last change of the status has no effect.
    A plan or price that is older than the last change of plan or price has no effect. Times are compared in
    whole seconds. Of two changes in one second, the later arrival counts, but a cancellation counts before
    another status in either order. A change without a time is the latest one: it always has its effect. If a
    subscription becomes past due, its creator gets a mail. Raises NotFound and NotYet.

    `seen` is the `newest_event` that the creator saw. If there is a newer event, this raises ChangedMeanwhile
    and changes nothing.
    """
    if occurred_at and occurred_at > timezone.now() + AHEAD_MAX:
        raise NotYet
    mine = Subscription.objects.visible_to(creator).select_for_update()
    subscription = mine.filter(pk=subscription_id).first()
    if subscription is None:
        raise NotFound
    if seen is not None and newest_event(subscription) != seen:
        raise ChangedMeanwhile
    if status is not None:
        kind = KIND_OF[Status(status)]
        event = _change(subscription, kind, at="status_at", occurred_at=occurred_at, status=Status(status))
        if event and event.kind == Kind.PAST_DUE:
            mails.tell_of_past_due(creator, event)
    if plan is not None or amount_cents is not None:
        terms: dict[str, Any] = {"plan": subscription.plan, "interval": subscription.interval}
        if plan not in (None, subscription.plan):
            terms = {"plan": plan, "interval": interval_of(plan)}
        terms["amount_cents"] = subscription.amount_cents if amount_cents is None else amount_cents
        _change(subscription, Kind.CHANGED, at="terms_at", occurred_at=occurred_at, **terms)
    return subscription


def with_other_interval() -> Iterator[Subscription]:
    """Yield each subscription whose stored interval is not what `interval_of` returns for its plan's name.

    The interval in a yielded row is the new one, which is not stored yet (`correct_interval`). The rule may
    have been another one when the subscription was recorded.
    """
    for subscription in Subscription.objects.order_by("pk").iterator():
        interval = interval_of(subscription.plan)
        if subscription.interval != interval:
            subscription.interval = interval
            yield subscription


@transaction.atomic
def correct_interval(*, creator: User, subscription_id: str) -> None:
    """Store the interval that the plan's name says. If the yearly income changes, record it as an event."""
    mine = Subscription.objects.visible_to(creator).select_for_update()
    subscription = mine.get(pk=subscription_id)
    subscription.interval = interval_of(subscription.plan)
    delta = _update_income(subscription, ["interval"])
    if delta:
        _write(subscription, Kind.CHANGED, delta=delta, occurred_at=timezone.now())


def _change(
    subscription: Subscription, kind: Kind, *, at: str, occurred_at: datetime | None, **values: Any
) -> SubscriptionEvent | None:
    """Set these values, and set the field that `at` names to the time of the change.

    Return the event of the change, or None if no value is new. If the present values are from a later time,
    nothing changes.
    """
    last_change = getattr(subscription, at)
    moment = _moment_of(occurred_at, last_change=last_change)
    if occurred_at and last_change:
        if moment < _second(last_change):
            return None
        is_cancelled = "status" in values and subscription.status == Status.CANCELLED
        if is_cancelled and (
            moment == _second(last_change) or _is_of_cancellation(subscription, occurred_at)
        ):
            values["status"] = Status.CANCELLED
    is_new = any(getattr(subscription, name) != value for name, value in values.items())
    for name, value in (values | {at: moment}).items():
        setattr(subscription, name, value)
    delta = _update_income(subscription, [*values, at])
    if not is_new:
        return None
    return _write(subscription, kind, delta=delta, occurred_at=occurred_at or moment)


def _update_income(subscription: Subscription, changed: list[str]) -> int:
    """Save these fields and what follows from them. Return the change of the yearly income."""
    before = subscription.yearly_cents
    subscription.yearly_cents = yearly_cents(
        status=subscription.status,
        interval=subscription.interval,
        amount_cents=subscription.amount_cents,
    )
    subscription.unknown_since = _unknown_since(subscription)
    subscription.save(update_fields=[*changed, "yearly_cents", "unknown_since"])
    return subscription.yearly_cents - before


def _unknown_since(subscription: Subscription) -> datetime | None:
    if subscription.status == Status.CANCELLED or subscription.interval != Interval.UNKNOWN:
        return None
    return subscription.unknown_since or timezone.now()


def _moment_of(occurred_at: datetime | None, *, last_change: datetime | None) -> datetime:
    """Return when a change counts as made, in whole seconds.

    Stripe sends whole seconds. With fractions, a change by Stripe at 10.0 would count as older than a change
    by the creator at 10.4. (An earlier release stored fractions.) A time ahead of our clock counts as now;
    otherwise it would shut out later changes. A change without a time counts as now too, but never as older
    than the last change, which may come from a process with a faster clock.
    """
    latest = _second(_now())
    if last_change:
        latest = max(latest, _second(last_change))
    return min(_second(occurred_at), latest) if occurred_at else latest


def _now() -> datetime:
    """Return the time of the database's clock, or this host's time if it is earlier, as in a made-up past.

    Otherwise a host whose clock is ahead would shut out the timed changes that come after its own.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT least(%s, clock_timestamp())", [timezone.now()])
        now: datetime = cursor.fetchone()[0]
    return now


def _is_of_cancellation(subscription: Subscription, occurred_at: datetime) -> bool:
    """Return whether the cancellation of a cancelled subscription was sent with this time.

    Two changes with the same time ahead of our clock can count as made in two different seconds. So the times
    that were sent are compared too.
    """
    cancellation = subscription.events.filter(kind=Kind.CANCELLED).latest("pk")
    return _second(cancellation.occurred_at) == _second(occurred_at)


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _write(subscription: Subscription, kind: Kind, *, delta: int, occurred_at: datetime) -> SubscriptionEvent:
    return SubscriptionEvent.objects.create(
        subscription=subscription,
        creator_id=subscription.creator_id,
        kind=kind,
        status=subscription.status,
        plan=subscription.plan,
        amount_cents=subscription.amount_cents,
        currency=subscription.currency,
        yearly_cents_delta=delta,
        occurred_at=occurred_at,
        created_at=timezone.now(),
    )
