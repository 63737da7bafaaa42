"""The lists of what creators recorded. What staff may do to the rows is in actions.py.

Staff can search for a reader's e-mail address in any spelling. No URL of a page contains this address.
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
from backoffice.lists.columns import actor_column, amount_column, column, refund_tag
from backoffice.lists.filters import ListedFilter
from backoffice.lists.links import list_link, row_link, user_link
from backoffice.lists.read_only import ReadOnlyAdmin
from backoffice.lists.totals import Amounts, States
from foundation import money
from foundation.words import beginning_words, ending_words
from monetization import fees, sponsors
from monetization.models import Earner, Erasure, Refund, Sponsor, Subscription, SubscriptionEvent, Tip


class CurrencyFilter(ListedFilter):
    """Show the rows in one currency. The filter offers the most common currencies."""

    title = "currency"
    parameter_name = "currency__exact"

    def offered(self) -> Iterable[str]:
        return ("USD", "EUR", "GBP")


class CreatorsAdmin(ActingAdmin):
    """A list of rows that belong to a creator."""

    instant = "created_at"
    sortable_by = ("created_at",)
    ordering = ("-created_at",)
    owner_field = "creator_id"
    its_creator = column("creator", lambda row: user_link(row.creator_id))


class ReadersAdmin(CreatorsAdmin):
    """A list of rows about a creator's readers, who can be searched by their e-mail address."""

    kept_out_of_files = ("mailbox",)

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if is_private(term):
            matches = queryset.filter(self.model.in_mailbox(term))
            if matches.exists():
                return matches
        return super().matching(queryset, term)


@admin.register(Earner)
class EarnerAdmin(ActingAdmin):
    list_display = ("creator_id", "one_sponsor_at_a_time", "everything")
    two_lines = ("creator_id", "", "", "one_sponsor_at_a_time")
    sortable_by = ("creator_id",)
    search_fields = ("creator__misar_id",)
    search_help_text = (
        "A creator's whole Misar ID. A creator appears here after placing a sponsor, or after dismissing a "
        "part of the overview."
    )
    ordering = ("creator_id",)
    nothing_yet = "A creator appears here after placing a sponsor."
    fields = ("creator", "one_sponsor_at_a_time", "overlaps")
    kept_out_of_files = ("dismissed",)
    owner_field = "creator_id"
    staff_actions = actions.OF_EARNER

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
        *("created_at", "its_creator", "sponsor_name", "position", "first_day", "last_day"),
        *("price", "cancelled_at", "id"),
    )
    two_lines = ("sponsor_name", "price", "created_at", "position")
    figures = ("price",)
    also_sortable_by = {
        **{"sponsor_name": ("sponsor_name",), "price": ("currency", "price_cents")},
        **{"first_day": ("active_from",), "last_day": ("active_until",)},
    }
    sums = Amounts({"priced": "price_cents"})
    list_filter = ("position",)
    lookups = ("creator__misar_id__exact", "currency__exact", "created_at__gte", "created_at__lt")
    search_fields = ("id", "creator__misar_id")
    search_help_text = "The whole ID of a placement, or a creator's whole Misar ID."
    fields = (
        *("its_creator", "sponsor_name", "position", "first_day", "last_day", "price"),
        *("logo_url", "target_url", "cancelled_at", "created_at"),
    )
    kept_out_of_files = ("form_key",)
    nothing_yet = "No creator has placed a sponsor."
    staff_actions = actions.OF_SPONSOR
    price = amount_column("price", "price_cents")
    first_day = column("first day", lambda sponsor: beginning_words(sponsor.active_from))
    last_day = column("last day", lambda sponsor: ending_words(sponsor.active_until))


@admin.register(Subscription)
class SubscriptionAdmin(ReadersAdmin):
    list_display = (
        *("created_at", "its_creator", "subscriber_email", "plan", "amount", "interval", "status", "id"),
    )
    two_lines = ("subscriber_email", "amount", "created_at", "status")
    figures = ("amount",)
    also_sortable_by = {
        **{"amount": ("currency", "amount_cents"), "status": ("status",)},
        **{"plan": ("plan",), "interval": ("interval",)},
    }
    sums = States("status")
    list_filter = ("status", "interval", CurrencyFilter)
    lookups = ("creator__misar_id__exact", "created_at__gte", "created_at__lt")
    search_fields = ("id", "creator__misar_id", "stripe_subscription_id")
    search_help_text = "A whole subscription ID, Stripe ID, creator's Misar ID, or reader's address."
    fields = (
        *("its_creator", "subscriber_email", "plan", "interval", "amount", "status", "events"),
        *("stripe_subscription_id", "status_at", "terms_at", "created_at"),
    )
    nothing_yet = "No creator has recorded a subscription."
    staff_actions = actions.OF_SUBSCRIPTION
    amount = amount_column("amount", "amount_cents")
    events = column(
        "events",
        lambda row: list_link(SubscriptionEvent, "What happened to it", subscription__id__exact=row.pk),
    )


@admin.register(SubscriptionEvent)
class SubscriptionEventAdmin(CreatorsAdmin):
    list_display = ("created_at", "of", "its_creator", "kind", "status", "plan", "yearly", "occurred_at")
    two_lines = ("its_creator", "yearly", "created_at", "kind")
    figures = ("yearly",)
    also_sortable_by = {"kind": ("kind",), "occurred_at": ("occurred_at",)}
    sums = States("kind")
    list_filter = ("kind",)
    lookups = ("subscription__id__exact", "creator__misar_id__exact")
    search_fields = ("subscription__id", "creator__misar_id")
    search_help_text = "The whole ID of a subscription, or a creator's whole Misar ID."
    nothing_yet = "No change of a subscription is recorded yet."
    of = column("subscription", lambda event: row_link(Subscription, event.subscription_id))
    yearly = amount_column("a year", "yearly_cents_delta")


@admin.register(Tip)
class TipAdmin(ReadersAdmin):
    list_display = ("created_at", "its_creator", "gross", "fee", "net", "refunded", "name", "id")
    two_lines = ("its_creator", "gross", "created_at", "refunded")
    figures = ("gross", "fee", "net")
    also_sortable_by = {
        **{"gross": ("currency", "gross_cents"), "net": ("currency", "net_cents")},
        "refunded": ("currency", "refunded_cents"),
    }
    sums = Amounts({"gross": "gross_cents", "fee": "fee_cents", "refunded": "refunded_cents"})
    list_filter = (CurrencyFilter,)
    lookups = ("creator__misar_id__exact", "created_at__gte", "created_at__lt")
    search_fields = ("id", "creator__misar_id", "stripe_payment_id")
    search_help_text = "A whole tip ID, Stripe payment ID, creator's Misar ID, or reader's address."
    fields = (
        *("its_creator", "gross", "fee", "net", "refunded", "fee_returned", "refunds_of_it", "plan"),
        *("name", "email", "message", "message_hidden_at", "stripe_payment_id", "created_at"),
    )
    nothing_yet = "No creator has recorded a tip."
    staff_actions = actions.OF_TIP
    gross = amount_column("gross", "gross_cents")
    net = amount_column("net", "net_cents")
    refunded = column("refunded", lambda tip: _refunded(tip))
    fee_returned = amount_column("fee returned", "fee_returned_cents", dash_for_zero=True)

    @admin.display(description="fee")
    def fee(self, tip: Tip) -> str:
        return f"{money.amount(tip.fee_cents, tip.currency)} ({fees.percent(tip.fee_bps)})"

    @admin.display(description="refunds")
    def refunds_of_it(self, tip: Tip) -> str:
        return list_link(Refund, "Its refunds", tip__id__exact=tip.pk) if tip.refunded_cents else ""


def _refunded(tip: Tip) -> str:
    if not tip.refunded_cents:
        return ""
    amount = money.amount(tip.refunded_cents, tip.currency)
    return refund_tag(amount, is_whole=tip.refunded_cents == tip.gross_cents)


@admin.register(Refund)
class RefundAdmin(CreatorsAdmin):
    list_display = (*("created_at", "of", "its_creator", "amount", "fee_returned", "by", "reason", "id"),)
    two_lines = ("its_creator", "amount", "created_at", "of")
    figures = ("amount", "fee_returned")
    also_sortable_by = {"amount": ("currency", "amount_cents")}
    sums = Amounts({"refunded": "amount_cents", "fee returned": "fee_returned_cents"})
    list_filter = (CurrencyFilter,)
    lookups = (*("creator__misar_id__exact", "created_at__gte", "created_at__lt", "tip__id__exact"),)
    search_fields = ("id", "tip__id", "creator__misar_id")
    search_help_text = "The whole ID of a refund or a tip, or a creator's whole Misar ID."
    fields = ("of", "its_creator", "amount", "fee_returned", "by", "reason", "key", "created_at")
    nothing_yet = "No tip has been refunded."
    by = actor_column()
    of = column("tip", lambda refund: row_link(Tip, refund.tip_id))
    amount = amount_column("amount", "amount_cents")
    fee_returned = amount_column("fee returned", "fee_returned_cents")


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "by", "tips", "subscriptions")
    two_lines = ("created_at", "tips", "by", "")
    fields = ("by", "tips", "subscriptions", "created_at")
    by = actor_column()
    figures = ("tips", "subscriptions")
    instant = "created_at"
    ordering = ("-created_at",)
    nothing_yet = "No reader has been erased."
