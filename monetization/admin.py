"""What creators recorded, in the back-office: looked at freely, changed only by the verbs of the API."""

from itertools import islice

from django.contrib import admin
from django.utils import timezone

from accounts.acting import ActingAdmin
from misar_billing import money
from misar_billing.admin import ReadOnlyAdmin
from monetization import by_hand, fees, sponsors
from monetization.models import Earner, Erasure, Refund, Sponsor, Subscription, SubscriptionEvent, Tip


@admin.register(Earner)
class EarnerAdmin(ActingAdmin):
    list_display = ("creator_id", "one_sponsor_at_a_time")
    search_fields = ("creator__misar_id__exact",)
    search_help_text = "A creator's Misar ID, whole; creators are here once they placed a sponsor."
    fields = ("creator", "one_sponsor_at_a_time", "overlaps")
    readonly_fields = ("overlaps",)
    verbs = by_hand.OF_EARNER

    @admin.display(description="overlaps")
    def overlaps(self, earner: Earner) -> str:
        pairs = islice(sponsors.overlaps(earner.creator, at=timezone.now()), sponsors.NAMED_MAX)
        named = [
            f"{first.sponsor_name} and {second.sponsor_name} in the {first.position}"
            for first, second in pairs
        ]
        return "; ".join(named) or "none"


@admin.register(Sponsor)
class SponsorAdmin(ActingAdmin):
    list_display = (
        "id",
        "creator_id",
        "sponsor_name",
        "position",
        "active_from",
        "active_until",
        "price",
        "cancelled_at",
    )
    list_filter = ("position",)
    search_fields = ("id__exact", "creator__misar_id__exact")
    search_help_text = "A placement or a creator's Misar ID; whole."
    ordering = ("-created_at",)
    verbs = by_hand.OF_SPONSOR

    @admin.display(description="price")
    def price(self, sponsor: Sponsor) -> str:
        return money.amount(sponsor.price_cents, sponsor.currency) if sponsor.price_cents is not None else "–"


@admin.register(Subscription)
class SubscriptionAdmin(ActingAdmin):
    list_display = ("id", "creator_id", "subscriber_email", "plan", "amount", "status", "created_at")
    list_filter = ("status", "interval", "currency")
    search_fields = (
        "id__exact",
        "creator__misar_id__exact",
        "reader__exact",
        "stripe_subscription_id__exact",
    )
    search_help_text = (
        "A subscription, a creator's Misar ID, a reader's address in lower case, a Stripe id; whole."
    )
    ordering = ("-created_at",)
    verbs = by_hand.OF_SUBSCRIPTION

    @admin.display(description="amount")
    def amount(self, subscription: Subscription) -> str:
        return money.amount(subscription.amount_cents, subscription.currency)


@admin.register(SubscriptionEvent)
class SubscriptionEventAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "subscription_id",
        "kind",
        "status",
        "plan",
        "yearly_cents_delta",
        "currency",
    )
    list_filter = ("kind",)
    search_fields = ("subscription__id__exact",)
    ordering = ("-created_at",)


@admin.register(Tip)
class TipAdmin(ActingAdmin):
    list_display = ("id", "creator_id", "gross", "fee", "net", "refunded", "name", "created_at")
    list_filter = ("currency",)
    search_fields = ("id__exact", "creator__misar_id__exact", "reader__exact", "stripe_payment_id__exact")
    search_help_text = "A tip, a creator's Misar ID, a reader's address in lower case, a Stripe id; whole."
    ordering = ("-created_at",)
    verbs = by_hand.OF_TIP

    @admin.display(description="gross", ordering="gross_cents")
    def gross(self, tip: Tip) -> str:
        return money.amount(tip.gross_cents, tip.currency)

    @admin.display(description="fee")
    def fee(self, tip: Tip) -> str:
        return f"{money.amount(tip.fee_cents, tip.currency)} ({fees.percent(tip.fee_bps)})"

    @admin.display(description="net")
    def net(self, tip: Tip) -> str:
        return money.amount(tip.net_cents, tip.currency)

    @admin.display(description="refunded")
    def refunded(self, tip: Tip) -> str:
        return money.amount(tip.refunded_cents, tip.currency) if tip.refunded_cents else "–"


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("id", "tip_id", "amount", "fee_returned", "actor", "reason", "created_at")
    search_fields = ("id__exact", "tip__id__exact", "creator__misar_id__exact")
    ordering = ("-created_at",)

    @admin.display(description="amount")
    def amount(self, refund: Refund) -> str:
        return money.amount(refund.amount_cents, refund.currency)

    @admin.display(description="fee returned")
    def fee_returned(self, refund: Refund) -> str:
        return money.amount(refund.fee_returned_cents, refund.currency)


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "actor", "tips", "subscriptions")
    ordering = ("-created_at",)
