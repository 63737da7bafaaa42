"""What creators recorded, in the back-office, to look at (what staff do: actions.py).

Readers are searched for by their address in any case, and no address of a page holds it.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils import timezone

from backoffice.actions.pages import ActingAdmin
from backoffice.creators import actions
from backoffice.lists.change_list import is_private
from backoffice.lists.filters import ListedFilter
from backoffice.lists.links import list_link, row_link, user_link
from backoffice.lists.read_only import ReadOnlyAdmin
from foundation import money
from monetization import fees, sponsors
from monetization.models import Earner, Erasure, Refund, Sponsor, Subscription, SubscriptionEvent, Tip


class CurrencyFilter(ListedFilter):
    """In one currency: the usual ones are offered."""

    title = "currency"
    parameter_name = "currency__exact"

    def offered(self) -> Iterable[str]:
        return ("USD", "EUR", "GBP")


class CreatorsAdmin(ActingAdmin):
    """Rows that belong to a creator."""

    instant = "created_at"
    sortable_by = ("created_at",)
    ordering = ("-created_at",)

    def about(self, row: Any) -> str:
        return str(row.creator_id)

    @admin.display(description="creator")
    def its_creator(self, row: Any) -> str:
        return user_link(row.creator_id)


class ReadersAdmin(CreatorsAdmin):
    """Rows of a creator's readers, whose addresses are kept in lower case to find them by."""

    def found(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if is_private(term) and (of_reader := queryset.filter(reader=term.lower())).exists():
            return of_reader
        return super().found(queryset, term)


@admin.register(Earner)
class EarnerAdmin(ActingAdmin):
    list_display = ("creator_id", "one_sponsor_at_a_time", "everything")
    sortable_by = ("creator_id",)
    search_fields = ("creator__misar_id",)
    search_help_text = "A creator's Misar ID, whole; creators are here once they placed a sponsor."
    ordering = ("creator_id",)
    nothing_yet = "Creators are here once they placed a sponsor."
    fields = ("creator", "one_sponsor_at_a_time", "overlaps")
    readonly_fields = ("overlaps",)
    staff_actions = actions.OF_EARNER

    def about(self, row: Earner) -> str:
        return row.creator_id

    @admin.display(description="user")
    def everything(self, earner: Earner) -> str:
        return user_link(earner.creator_id, "Everything")

    @admin.display(description="overlaps")
    def overlaps(self, earner: Earner) -> str:
        pairs = islice(sponsors.overlaps(earner.creator, at=timezone.now()), sponsors.NAMED_MAX)
        named = [
            f"{first.sponsor_name} and {second.sponsor_name} in the {first.position}"
            for first, second in pairs
        ]
        return "; ".join(named) or "none"


@admin.register(Sponsor)
class SponsorAdmin(CreatorsAdmin):
    list_display = (
        *("created_at", "its_creator", "sponsor_name", "position", "active_from", "active_until"),
        *("price", "cancelled_at", "id"),
    )
    figures = ("price",)
    list_filter = ("position",)
    lookups = ("creator__misar_id__exact", "currency__exact", "created_at__gte", "created_at__lt")
    search_fields = ("id", "creator__misar_id")
    search_help_text = "A placement or a creator's Misar ID; whole."
    fields = (
        *("its_creator", "sponsor_name", "position", "active_from", "active_until", "price"),
        *("logo_url", "target_url", "cancelled_at", "created_at"),
    )
    readonly_fields = ("its_creator", "price")
    kept_out_of_files = ("form_key",)
    nothing_yet = "No creator has placed a sponsor."
    staff_actions = actions.OF_SPONSOR

    @admin.display(description="price")
    def price(self, sponsor: Sponsor) -> str:
        return money.amount(sponsor.price_cents, sponsor.currency) if sponsor.price_cents is not None else "–"


@admin.register(Subscription)
class SubscriptionAdmin(ReadersAdmin):
    list_display = (
        *("created_at", "its_creator", "subscriber_email", "plan", "amount", "interval", "status", "id"),
    )
    figures = ("amount",)
    list_filter = ("status", "interval", CurrencyFilter)
    lookups = ("creator__misar_id__exact", "created_at__gte", "created_at__lt")
    search_fields = ("id", "creator__misar_id", "stripe_subscription_id")
    search_help_text = "A subscription, a creator's Misar ID, a reader's address, a Stripe id; whole."
    fields = (
        *("its_creator", "subscriber_email", "plan", "interval", "amount", "status", "events"),
        *("stripe_subscription_id", "status_at", "terms_at", "created_at"),
    )
    readonly_fields = ("its_creator", "amount", "events")
    nothing_yet = "No creator has recorded a subscription."
    staff_actions = actions.OF_SUBSCRIPTION

    @admin.display(description="amount")
    def amount(self, subscription: Subscription) -> str:
        return money.amount(subscription.amount_cents, subscription.currency)

    @admin.display(description="events")
    def events(self, subscription: Subscription) -> str:
        return list_link(SubscriptionEvent, "What happened to it", subscription__id__exact=subscription.pk)


@admin.register(SubscriptionEvent)
class SubscriptionEventAdmin(CreatorsAdmin):
    list_display = ("created_at", "of", "its_creator", "kind", "status", "plan", "yearly", "occurred_at")
    figures = ("yearly",)
    list_filter = ("kind",)
    lookups = ("subscription__id__exact", "creator__misar_id__exact")
    search_fields = ("subscription__id", "creator__misar_id")
    search_help_text = "A subscription or a creator's Misar ID; whole."
    nothing_yet = "Nothing has happened to a subscription."

    @admin.display(description="subscription")
    def of(self, event: SubscriptionEvent) -> str:
        return row_link(Subscription, event.subscription_id)

    @admin.display(description="a year")
    def yearly(self, event: SubscriptionEvent) -> str:
        return money.amount(event.yearly_cents_delta, event.currency)


@admin.register(Tip)
class TipAdmin(ReadersAdmin):
    list_display = ("created_at", "its_creator", "gross", "fee", "net", "refunded", "name", "id")
    figures = ("gross", "fee", "net", "refunded")
    list_filter = (CurrencyFilter,)
    lookups = ("creator__misar_id__exact", "created_at__gte", "created_at__lt")
    search_fields = ("id", "creator__misar_id", "stripe_payment_id")
    search_help_text = "A tip, a creator's Misar ID, a reader's address, a Stripe id; whole."
    fields = (
        *("its_creator", "gross", "fee", "net", "refunded", "fee_returned", "refunds_of_it", "plan"),
        *("name", "email", "message", "message_hidden_at", "stripe_payment_id", "created_at"),
    )
    readonly_fields = (*("its_creator", "gross", "fee", "net", "refunded", "fee_returned", "refunds_of_it"),)
    nothing_yet = "No creator has recorded a tip."
    staff_actions = actions.OF_TIP

    @admin.display(description="gross")
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

    @admin.display(description="fee returned")
    def fee_returned(self, tip: Tip) -> str:
        return money.amount(tip.fee_returned_cents, tip.currency) if tip.fee_returned_cents else "–"

    @admin.display(description="refunds")
    def refunds_of_it(self, tip: Tip) -> str:
        return list_link(Refund, "Its refunds", tip__id__exact=tip.pk) if tip.refunded_cents else ""


@admin.register(Refund)
class RefundAdmin(CreatorsAdmin):
    list_display = (*("created_at", "of", "its_creator", "amount", "fee_returned", "actor", "reason", "id"),)
    figures = ("amount", "fee_returned")
    list_filter = (CurrencyFilter,)
    lookups = (*("creator__misar_id__exact", "created_at__gte", "created_at__lt", "tip__id__exact"),)
    search_fields = ("id", "tip__id", "creator__misar_id")
    search_help_text = "A refund, a tip or a creator's Misar ID; whole."
    fields = ("of", "its_creator", "amount", "fee_returned", "actor", "reason", "key", "created_at")
    readonly_fields = ("of", "its_creator", "amount", "fee_returned")
    nothing_yet = "No tip has been refunded."

    @admin.display(description="tip")
    def of(self, refund: Refund) -> str:
        return row_link(Tip, refund.tip_id)

    @admin.display(description="amount")
    def amount(self, refund: Refund) -> str:
        return money.amount(refund.amount_cents, refund.currency)

    @admin.display(description="fee returned")
    def fee_returned(self, refund: Refund) -> str:
        return money.amount(refund.fee_returned_cents, refund.currency)


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "actor", "tips", "subscriptions")
    figures = ("tips", "subscriptions")
    instant = "created_at"
    ordering = ("-created_at",)
    nothing_yet = "No reader has been erased."
