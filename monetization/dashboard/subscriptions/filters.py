"""Which of a creator's subscriptions a list shows."""

from dataclasses import dataclass

from accounts.models import User
from monetization.dashboard.filters import FilterForm, choice_field, matching, search_field
from monetization.models import Subscription, SubscriptionQuerySet


@dataclass(frozen=True)
class SubscriptionFilter:
    """Which of a creator's subscriptions; the default is all.

    `status` is active, past_due or cancelled. `interval_unknown` is those that pay and are in no MRR, since
    their plan's name tells no billing interval. `search` is an e-mail address or its beginning, in any case,
    or a whole Stripe or subscription id.
    """

    status: str = ""
    interval_unknown: bool = False
    currency: str = ""
    search: str = ""

    def apply(self, creator: User) -> SubscriptionQuerySet:
        """The creator's subscriptions of this filter, newest first."""
        subscriptions = Subscription.objects.visible_to(creator).order_by("-created_at", "-pk")
        if self.status:
            subscriptions = subscriptions.filter(status=self.status)
        if self.interval_unknown:
            subscriptions = subscriptions.paying().filter(interval=Subscription.Interval.UNKNOWN)
        if self.currency:
            subscriptions = subscriptions.filter(currency=self.currency)
        if self.search:
            subscriptions = matching(
                subscriptions, self.search, whole=("stripe_subscription_id", "id"), beginning=("reader",)
            )
        return subscriptions


class SubscriptionFilterForm(FilterForm):
    """Subscriptions by status, billing interval and currency, or those of one reader or one Stripe id."""

    status = choice_field("Status", "All", Subscription.Status.choices)
    interval = choice_field("Billing interval", "All", [("unknown", "Not known, so not in MRR")])
    currency = choice_field("Currency", "All currencies", ())
    search = search_field("E-mail or Stripe id")

    def chosen(self) -> SubscriptionFilter:
        """The subscriptions that are asked for."""
        read = self.read()
        return SubscriptionFilter(
            status=read.get("status", ""),
            interval_unknown=read.get("interval") == "unknown",
            currency=read.get("currency", ""),
            search=read.get("search", ""),
        )
