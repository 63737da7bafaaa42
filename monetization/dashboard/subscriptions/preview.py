"""Preview what a change would do to a subscription."""

from dataclasses import dataclass

from foundation import money
from monetization import subscriptions
from monetization.figures import stats
from monetization.models import Subscription
from monetization.plan_names import interval_of
from monetization.templatetags.records import effect

Status = Subscription.Status
Interval = Subscription.Interval


@dataclass(frozen=True)
class Preview:
    """The effect of a change: (name, before, after) for each value that changes, and a sentence about MRR.

    `lines` is empty if nothing would change.
    """

    lines: list[tuple[str, str, str]]
    effect: str


def preview_of(subscription: Subscription, *, status: str, plan: str, amount_cents: int) -> Preview:
    """Return what `subscriptions.change` would do with this status, plan and amount."""
    currency = subscription.currency
    interval = subscription.interval if plan == subscription.plan else interval_of(plan)
    yearly = subscriptions.yearly_cents(status=status, interval=interval, amount_cents=amount_cents)
    before, after = (money.amount(each, currency) for each in (subscription.amount_cents, amount_cents))
    lines = [
        ("Status", subscription.get_status_display(), Status(status).label),
        ("Plan", subscription.plan, plan),
        ("Billing interval", subscription.get_interval_display(), Interval(interval).label),
        ("Price", before, after),
    ]
    delta = yearly - subscription.yearly_cents
    sentence = f"MRR changes by {effect(delta, currency)}." if delta else "MRR stays as it is."
    if status == Status.PAST_DUE and yearly:
        at_risk = money.amount(stats.mrr_of(yearly), currency)
        sentence += f" {at_risk} of it is at risk: a past-due subscription counts until it is cancelled."
    elif status != Status.CANCELLED and interval == Interval.UNKNOWN:
        sentence += (
            " The plan's name does not clearly say the billing interval, so the subscription is not in MRR."
        )
    return Preview([line for line in lines if line[1] != line[2]], sentence)
