"""The wallet in the back-office, to look at: wallets, entries, payments, prices, and what was examined.

What staff do here is in actions.py. Support is given an id, a key or an e-mail address, and each list finds
by it what it names, whole.
"""

import json
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from accounts.addresses import ids_with_address
from accounts.misar_ids import is_misar_id
from accounts.models import ServiceKey
from backoffice.actions.pages import ActingAdmin
from backoffice.credits import actions
from backoffice.lists.change_list import is_private
from backoffice.lists.filters import ListedFilter
from backoffice.lists.links import list_link, row_link, user_link
from backoffice.lists.read_only import ReadOnlyAdmin
from foundation import money
from wallet.books import days, ledger
from wallet.history.products import WALLET
from wallet.models import Audit, ClosedDay, Entry, Rate, RateChange, StripeEvent, TopUp, Wallet

REVERSALS_SHOWN_MAX = 50
TOTALS = (
    '<table class="table table-tight"><thead><tr><th scope="col">Product</th><th scope="col">Kind</th>'
    '<th scope="col" class="number">Credits</th><th scope="col" class="number">Entries</th>'
    "</tr></thead><tbody>{}</tbody></table>"
)
TOTAL = (
    '<tr><td data-label="Product">{}</td><td data-label="Kind">{}</td>'
    '<td data-label="Credits" class="number">{}</td><td data-label="Entries" class="number">{}</td></tr>'
)


class ProductFilter(ListedFilter):
    """Of one product: those that have a service key or entries, and the wallet itself."""

    title = "product"
    parameter_name = "product__exact"

    def offered(self) -> Iterable[str]:
        named = ServiceKey.objects.order_by("product").values_list("product", flat=True).distinct()
        return sorted({*named, *days.products(), WALLET} - {""})


class TypeFilter(ListedFilter):
    """Of one type, among those that Stripe is asked to send."""

    title = "type"
    parameter_name = "type__exact"

    def offered(self) -> Iterable[str]:
        return (
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.async_payment_failed",
            "checkout.session.expired",
            "charge.refunded",
            "charge.dispute.created",
        )


class AddressedAdmin(ActingAdmin):
    """Rows of users, who are found by their e-mail address too; `of_user` is where a row holds their id."""

    of_user = "user_id"

    def told_of(self, term: str) -> str:
        """The Misar ID of the one user who has this address."""
        ids = ids_with_address(term) if is_private(term) else []
        return ids[0] if len(ids) == 1 else term

    def found(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if is_private(term) and (ids := ids_with_address(term)):
            return queryset.filter(**{f"{self.of_user}__in": [*ids, term]})
        return super().found(queryset, term)


@admin.register(Wallet)
class WalletAdmin(AddressedAdmin):
    list_display = ("user_id", "credits", "entries", "created_at", "everything")
    figures = ("credits", "entries")
    sortable_by = ("user_id",)
    lookups = ("balance__lt",)
    search_fields = ("user_id",)
    search_help_text = "A Misar ID or an e-mail address, whole."
    ordering = ("user_id",)
    nothing_yet = "A wallet opens with the first credits of its user."
    staff_actions = actions.OF_WALLET
    fields = ("user_id", "credits", "entries", "created_at")
    readonly_fields = ("credits", "entries")
    change_list_template = "backoffice/wallets.html"

    def about(self, row: Wallet) -> str:
        return row.pk

    def not_there_yet(self, key: str) -> Wallet | None:
        """A user whose first payment was parked has no wallet, and may be given credits all the same."""
        return ledger.unopened(key) if is_misar_id(key) else None

    @admin.display(description="balance")
    def credits(self, wallet: Wallet) -> str:
        return money.credits(wallet.balance)

    @admin.display(description="entries")
    def entries(self, wallet: Wallet) -> str:
        return list_link(Entry, money.plain(wallet.entries_count), wallet__user_id__exact=wallet.pk)

    @admin.display(description="user")
    def everything(self, wallet: Wallet) -> str:
        return user_link(wallet.pk, "Everything")


@admin.register(Entry)
class EntryAdmin(AddressedAdmin):
    list_display = ("created_at", "user", "kind", "what", "product", "moved", "balance", "actor", "id")
    figures = ("moved", "balance")
    sortable_by = ("created_at",)
    list_filter = ("kind", ProductFilter)
    instant = "created_at"
    lookups = ("created_at__gte", "created_at__lt", "wallet__user_id__exact", "stripe_session_id__exact")
    search_fields = ("id", "idempotency_key", "stripe_session_id")
    search_help_text = (
        "A Misar ID or its e-mail address, an entry, an idempotency key or a Stripe session; whole."
    )
    ordering = ("-created_at",)
    nothing_yet = "Entries are written when users top up and products charge."
    fields = (
        *("user", "kind", "moved", "balance_before", "balance_after", "what", "product", "actor", "reason"),
        *("its_topup", "it_reverses", "reversed_by", "stripe_session_id", "idempotency_key", "sequence"),
        *("effective_at", "created_at"),
    )
    readonly_fields = (
        *("user", "moved", "balance_before", "what", "its_topup", "it_reverses", "reversed_by"),
    )
    of_user = "wallet_id"
    staff_actions = actions.OF_ENTRY

    def about(self, row: Entry) -> str:
        return row.wallet_id

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """One wallet's entries by their place in it, which its own index holds in order."""
        of_one = "wallet__user_id__exact" in request.GET
        return ("-sequence", "-created_at") if of_one else ("-created_at",)

    def found(self, queryset: QuerySet[Entry], term: str) -> QuerySet[Entry]:
        if Wallet.objects.filter(pk=term).exists():
            return queryset.filter(wallet_id=term).order_by("-sequence", "-created_at")
        return super().found(queryset, term)

    @admin.display(description="Misar ID")
    def user(self, entry: Entry) -> str:
        return user_link(entry.wallet_id)

    @admin.display(description="feature")
    def what(self, entry: Entry) -> str:
        return f"{entry.feature} × {money.plain(entry.count)}" if entry.count else entry.feature

    @admin.display(description="credits")
    def moved(self, entry: Entry) -> str:
        return money.signed(entry.credits)

    @admin.display(description="balance after")
    def balance(self, entry: Entry) -> str:
        return money.plain(entry.balance_after)

    @admin.display(description="balance before")
    def balance_before(self, entry: Entry) -> str:
        return money.plain(entry.balance_before)

    @admin.display(description="top-up")
    def its_topup(self, entry: Entry) -> str:
        topup = TopUp.objects.filter(entry=entry).first() if entry.kind == Entry.Kind.TOPUP else None
        return row_link(TopUp, topup.pk) if topup else ""

    @admin.display(description="reverses")
    def it_reverses(self, entry: Entry) -> str:
        return row_link(Entry, entry.reverses_id)

    @admin.display(description="reversed by")
    def reversed_by(self, entry: Entry) -> str:
        """What was given back or clawed back of it, oldest first."""
        reversals = entry.reversals.order_by("sequence")[:REVERSALS_SHOWN_MAX]
        shown = ((row_link(Entry, each.pk), money.signed(each.credits)) for each in reversals)
        return format_html_join(", ", "{} ({})", shown)


@admin.register(TopUp)
class TopUpAdmin(AddressedAdmin):
    list_display = ("created_at", "user", "product", "state", "asked", "paid", "stripe_session_id", "remark")
    figures = ("asked", "paid")
    sortable_by = ("created_at",)
    list_filter = ("state", ProductFilter)
    instant = "created_at"
    lookups = ("created_at__gte", "created_at__lt", "user_id__exact")
    search_fields = ("user_id", "id", "stripe_session_id", "payment_intent_id")
    search_help_text = (
        "A Misar ID or its e-mail address, a top-up, a Stripe session or a payment intent; whole."
    )
    ordering = ("-created_at",)
    nothing_yet = "Top-ups are here from the moment a user asks for one."
    fields = (
        *("user", "product", "state", "asked", "paid", "its_entry", "remark", "stripe_session_id"),
        *("payment_intent_id", "livemode", "created_at", "paid_at"),
    )
    readonly_fields = ("user", "asked", "paid", "its_entry")
    same_in_files = {"currency": "USD"}
    kept_out_of_files = ("form_key",)
    staff_actions = actions.OF_TOPUP

    def about(self, row: TopUp) -> str:
        return row.user_id

    @admin.display(description="Misar ID")
    def user(self, topup: TopUp) -> str:
        return user_link(topup.user_id)

    @admin.display(description="asked for")
    def asked(self, topup: TopUp) -> str:
        return money.dollars(topup.amount_cents) if topup.amount_cents is not None else "–"

    @admin.display(description="paid")
    def paid(self, topup: TopUp) -> str:
        return money.dollars(topup.paid_cents) if topup.paid_cents is not None else "–"

    @admin.display(description="entry")
    def its_entry(self, topup: TopUp) -> str:
        return row_link(Entry, topup.entry_id)


@admin.register(StripeEvent)
class StripeEventAdmin(AddressedAdmin):
    list_display = ("received_at", "type", "state", "tries", "user", "stripe_session_id", "remark", "id")
    figures = ("tries",)
    sortable_by = ("received_at",)
    list_filter = ("state", TypeFilter)
    instant = "received_at"
    lookups = (
        *("received_at__gte", "received_at__lt", "tries__gte", "user_id__exact"),
        "stripe_session_id__exact",
    )
    search_fields = ("id", "stripe_session_id", "payment_intent_id", "user_id")
    search_help_text = "An event, a Checkout Session, a payment, a Misar ID or its e-mail address; whole."
    ordering = ("-received_at",)
    nothing_yet = "Nothing has come from Stripe yet."
    fields = (
        *("type", "state", "remark", "tries", "user", "sessions", "payment"),
        *("received_at", "handled_at", "as_sent", "traceback"),
    )
    readonly_fields = ("user", "sessions", "payment", "as_sent")
    kept_out_of_files = ("payload", "traceback")
    staff_actions = actions.OF_STRIPE_EVENT

    def about(self, row: StripeEvent) -> str:
        return row.user_id

    @admin.display(description="Misar ID")
    def user(self, event: StripeEvent) -> str:
        return user_link(event.user_id)

    @admin.display(description="Stripe session")
    def sessions(self, event: StripeEvent) -> str:
        """Its session, with the other events of it."""
        session = event.stripe_session_id
        return list_link(StripeEvent, session, stripe_session_id__exact=session) if session else ""

    @admin.display(description="Payment at Stripe")
    def payment(self, event: StripeEvent) -> str:
        return actions.payment_link(event)

    @admin.display(description="as Stripe sent it")
    def as_sent(self, event: StripeEvent) -> str:
        """The event with a line for each fact; as it came, where it cannot be read."""
        try:
            text = json.dumps(json.loads(event.payload), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            text = event.payload
        # Half of a surrogate pair is no character that a page can hold: it stays escaped, as Stripe sent it.
        text = text.encode(errors="backslashreplace").decode()
        return format_html('<pre tabindex="0">{}</pre>', text)  # It scrolls, so a keyboard must reach it.


@admin.register(Rate)
class RateAdmin(ActingAdmin):
    """Prices. A price is withdrawn, never removed."""

    list_display = ("feature", "label", "price", "unit", "active")
    figures = ("price",)
    sortable_by = ("feature",)
    list_filter = ("active",)
    search_fields = ("feature",)
    search_help_text = "A feature, whole."
    ordering = ("feature",)
    nothing_yet = "No feature has a price, so none can be charged."
    fields = ("feature", "label", "credits", "unit", "active")
    staff_actions = actions.OF_RATE
    addition = actions.NEW_RATE

    @admin.display(description="credits")
    def price(self, rate: Rate) -> str:
        return money.plain(rate.credits)


@admin.register(RateChange)
class RateChangeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "feature", "label", "price", "unit", "active", "actor")
    figures = ("price",)
    instant = "created_at"
    lookups = ("feature__exact",)
    search_fields = ("feature",)
    search_help_text = "A feature, whole."
    ordering = ("-created_at",)

    @admin.display(description="credits")
    def price(self, change: RateChange) -> str:
        return money.plain(change.credits)


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin):
    """What was compared with what, and what was found."""

    list_display = ("ended_at", "kind", "outcome", "seen_count", "found_count", "remark")
    figures = ("seen_count", "found_count")
    sortable_by = ("ended_at",)
    list_filter = ("kind", "outcome")
    instant = "ended_at"
    ordering = ("-ended_at",)
    nothing_yet = "The books have not been examined: check_ledger and reconcile_stripe do it, at night."
    fields = (
        "kind",
        "outcome",
        "seen_count",
        "found_count",
        "found_here",
        "remark",
        "started_at",
        "ended_at",
    )
    readonly_fields = ("found_here",)

    @admin.display(description="findings")
    def found_here(self, audit: Audit) -> str:
        """The first hundred, a line each."""
        lines = ((_in_a_line(finding),) for finding in audit.findings or ())
        return (
            format_html("<ol>{}</ol>", format_html_join("", "<li>{}</li>", lines)) if audit.findings else ""
        )


def _in_a_line(finding: Any) -> str:
    """A finding as somebody reads it: its facts by name."""
    if isinstance(finding, dict):
        return "; ".join(f"{name}: {value}" for name, value in finding.items())
    return str(finding)


@admin.register(ClosedDay)
class ClosedDayAdmin(ReadOnlyAdmin):
    """Finished days, and what they come to."""

    list_display = ("day", "count", "closed_at")
    figures = ("count",)
    sortable_by = ("day",)
    ordering = ("-day",)
    nothing_yet = "No day has been added up: close_days does it, at night."
    fields = ("day", "count", "totals", "closed_at")
    readonly_fields = ("count", "totals")

    @admin.display(description="entries")
    def count(self, closed: ClosedDay) -> str:
        return money.plain(closed.entries)

    @admin.display(description="credits by product and kind")
    def totals(self, closed: ClosedDay) -> str:
        rows = (
            (
                total.product or "–",
                total.get_kind_display(),
                money.signed(total.credits),
                money.plain(total.entries),
            )
            for total in closed.totals.order_by("product", "kind")
        )
        return format_html(TOTALS, format_html_join("", TOTAL, rows))
