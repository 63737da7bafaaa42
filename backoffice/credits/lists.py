"""The lists of wallets, entries, payments, prices, checks and finished days.

What staff may do to the rows is in actions.py. A search finds only whole ids, keys and e-mail addresses.
"""

from collections.abc import Iterable
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from accounts.addresses import ids_with_address
from accounts.misar_ids import is_misar_id
from accounts.models import ServiceKey, User
from backoffice.actions.pages import ActingAdmin
from backoffice.credits import actions, audits, funds, grants, parked, payloads, refunds, reversals
from backoffice.credits.entry_pages import EntryPaginator
from backoffice.lists.change_list import is_private
from backoffice.lists.columns import actor_column, column, product_column, refund_tag, state_column
from backoffice.lists.filters import ListedFilter
from backoffice.lists.links import list_link, row_link, row_url
from backoffice.lists.read_only import ReadOnlyAdmin
from backoffice.lists.totals import Amounts, Credits, Numbers, States
from backoffice.one_user.credits import events_of
from foundation import money
from wallet.books import days, ledger
from wallet.history.products import WALLET, name_of
from wallet.models import (
    Audit,
    ClosedDay,
    Entry,
    Hold,
    Lot,
    Rate,
    RateChange,
    RefundRequest,
    StripeEvent,
    TopUp,
    Wallet,
)
from wallet.payments import handlers

REVERSALS_SHOWN_MAX = 50
ROWS_SHOWN_MAX = 50
TOTALS = (
    '<div class="table-frame" tabindex="0" role="region" aria-label="Credits by product and kind">'
    '<table class="table table-tight"><thead><tr><th scope="col">Product</th><th scope="col">Kind</th>'
    '<th scope="col" class="number">Credits</th><th scope="col" class="number">Entries</th>'
    "</tr></thead><tbody>{}</tbody></table></div>"
)
TOTAL = (
    '<tr><td data-label="Product">{}</td><td data-label="Kind">{}</td>'
    '<td data-label="Credits" class="number">{}</td><td data-label="Entries" class="number">{}</td></tr>'
)


class ProductFilter(ListedFilter):
    """Rows of one product. The filter offers products with a service key or entries, and the wallet.

    Of a product without a key, entries of today may not be known yet (`days.products`).
    """

    title = "product"
    parameter_name = "product__exact"

    def offered(self) -> Iterable[str]:
        named = ServiceKey.objects.order_by("product").values_list("product", flat=True).distinct()
        return sorted({*named, *days.products(), WALLET} - {""})

    def label(self, value: str) -> str:
        return name_of(value)


class ProductOfEntryFilter(ProductFilter):
    """Entries of one product, or those that no product wrote."""

    without = "No product"


class TypeFilter(ListedFilter):
    """Rows of one event type. The filter offers the types that Stripe is set up to send."""

    title = "type"
    parameter_name = "type__exact"

    def offered(self) -> Iterable[str]:
        return handlers.HANDLERS


class FundsFilter(SimpleListFilter):
    """Wallets with open holds, with more held than they have, with credits of grants, or with a debt."""

    title = "credits"
    parameter_name = "funds"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            (funds.HELD, "Held"),
            (funds.OVERHELD, "More held than there is"),
            (funds.GRANTED, "Granted"),
            (funds.OWING, "Owes"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen is None:
            return queryset
        if chosen not in funds.CONDITIONS:
            raise IncorrectLookupParameters
        return queryset.filter(funds.CONDITIONS[chosen])


class AddressedAdmin(ActingAdmin):
    """A list of rows that belong to users. A search for an e-mail address finds the rows of its users."""

    owner_field = "user_id"

    def address_term(self, term: str) -> str:
        """The Misar ID of the user with this e-mail address, if there is exactly one; otherwise the term."""
        ids = ids_with_address(term) if is_private(term) else []
        return ids[0] if len(ids) == 1 else term

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if is_private(term) and (ids := ids_with_address(term)):
            return queryset.filter(**{f"{self.owner_field}__in": [*ids, term]})
        return super().matching(queryset, term)


@admin.register(Wallet)
class WalletAdmin(AddressedAdmin):
    list_display = (
        *("user_id", "can_be_spent", "held_now", "credits", "is_frozen", "entries", "created_at"),
        "everything",
    )
    two_lines = ("user_id", "can_be_spent", "created_at", "held_now")
    figures = ("can_be_spent", "held_now", "credits", "entries")
    sortable_by = ("user_id",)
    also_sortable_by = {"entries": ("entries_count",), "created_at": ("created_at",)}
    list_filter = (FundsFilter, "frozen")
    search_fields = ("user_id",)
    search_help_text = "A whole Misar ID or email address."
    ordering = ("user_id",)
    needs_the_primary = True
    nothing_yet = "A wallet opens with the first credits of its user."
    staff_actions = actions.OF_WALLET
    fields = (
        *("user_id", "can_be_spent", "held_now", "credits", "granted_now", "is_frozen", "entries"),
        "created_at",
    )
    change_list_template = "backoffice/wallets.html"
    can_be_spent = column("available", lambda wallet: money.credits(wallet.available))
    credits = column("balance", lambda wallet: money.credits(wallet.balance_now))
    is_frozen = column("frozen", lambda wallet: wallet.frozen)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return funds.with_funds(super().get_queryset(request))

    @admin.display(description="held")
    def held_now(self, wallet: Any) -> str:
        """What open holds have set aside, as a link to all holds of the wallet."""
        held = money.credits(wallet.held_now)
        return list_link(Hold, held, wallet__user_id__exact=wallet.pk) if wallet.held else held

    @admin.display(description="granted")
    def granted_now(self, wallet: Any) -> str:
        """What grants have left, as a link to all grants of the wallet."""
        granted = money.credits(wallet.granted_now)
        return list_link(Lot, granted, wallet__user_id__exact=wallet.pk) if wallet.granted else granted

    def row_to_create(self, key: str) -> Wallet | None:
        """An unsaved wallet for a user who has none.

        Staff may need this wallet to give credits to a user whose first payment was parked.
        """
        return ledger.unopened(key) if is_misar_id(key) else None

    @admin.display(description="entries")
    def entries(self, wallet: Wallet) -> str:
        return list_link(Entry, money.plain(wallet.entries_count), wallet__user_id__exact=wallet.pk)


@admin.register(Entry)
class EntryAdmin(AddressedAdmin):
    list_display = ("created_at", "user", "kind", "what", "its_product", "moved", "balance_after", "id")
    two_lines = ("user", "moved", "created_at", "kind")
    paginator = EntryPaginator
    figures = ("moved", "balance_after")
    sortable_by = ("created_at",)
    also_sortable_by = {"moved": ("credits",), "kind": ("kind",), "its_product": ("product",)}
    sums = Credits("credits", "in total")
    list_filter = ("kind", ProductOfEntryFilter)
    instant = "created_at"
    lookups = (
        *("created_at__gte", "created_at__lt", "wallet__user_id__exact", "stripe_session_id__exact"),
        *("kind__in", "feature__exact"),
    )
    search_fields = ("id", "idempotency_key", "stripe_session_id")
    search_help_text = "A whole Misar ID, email address, idempotency key, entry ID or Stripe session ID."
    ordering = ("-created_at",)
    nothing_yet = "Entries are written when users top up and products charge."
    fields = (
        *("user", "kind", "moved", "balance_before", "balance_after", "held", "its_feature", "its_product"),
        *("by", "reason", "its_hold", "its_grants", "its_topup", "it_reverses", "reversed_by"),
        *("stripe_session_id", "idempotency_key", "sequence", "effective_at", "created_at"),
    )
    owner_field = "wallet_id"
    staff_actions = actions.OF_ENTRY
    its_product = product_column()
    by = actor_column()
    moved = column("credits", lambda entry: money.signed(entry.credits))
    also_in_files = ("grant_id",)
    its_hold = column("captured hold", lambda entry: row_link(Hold, entry.hold_id))
    it_reverses = column("reverses", lambda entry: row_link(Entry, entry.reverses_id))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return grants.with_grant(super().get_queryset(request))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Sort the entries of one wallet by their sequence number, because an index has this order."""
        of_one = "wallet__user_id__exact" in request.GET
        return ("-sequence", "-created_at") if of_one else ("-created_at",)

    def matching(self, queryset: QuerySet[Entry], term: str) -> QuerySet[Entry]:
        if Wallet.objects.filter(pk=term).exists():
            return queryset.filter(wallet_id=term).order_by("-sequence", "-created_at")
        return super().matching(queryset, term)

    def match(self, lookup: str, term: str) -> Q:
        return Entry.has_key(term) if lookup == "idempotency_key" else super().match(lookup, term)

    @admin.display(description="feature")
    def its_feature(self, entry: Entry) -> str:
        return f"{entry.feature} × {money.plain(entry.count)}" if entry.count else entry.feature

    @admin.display(description="for")
    def what(self, entry: Any) -> str:
        """The feature and the units, or the grant that began or ended, by its reason for the user."""
        if not entry.grant_id:
            return self.its_feature(entry)
        return format_html('<a href="{}">{}</a>', row_url(Lot, entry.grant_id), entry.reason)

    @admin.display(description="grants")
    def its_grants(self, entry: Entry) -> str:
        """The grants that the entry added credits to or took credits from, and how many."""
        moves = grants.moves_of(entry)
        return format_html_join(", ", "{} ({})", ((row_link(Lot, lot), money.signed(n)) for lot, n in moves))

    @admin.display(description="top-up")
    def its_topup(self, entry: Entry) -> str:
        topup = TopUp.objects.filter(entry=entry).first() if entry.kind == Entry.Kind.TOPUP else None
        return row_link(TopUp, topup.pk) if topup else ""

    @admin.display(description="reversed by")
    def reversed_by(self, entry: Entry) -> str:
        """The entries that gave back or clawed back the credits of this entry, oldest first."""
        reversals = entry.reversals.filter(wallet_id=entry.wallet_id).order_by("sequence")
        shown = (
            (row_link(Entry, each.pk), money.signed(each.credits)) for each in reversals[:REVERSALS_SHOWN_MAX]
        )
        return format_html_join(", ", "{} ({})", shown)


@admin.register(TopUp)
class TopUpAdmin(AddressedAdmin):
    list_display = ("created_at", "user", "its_product", "state", "asked", "paid", "refunded", "remark", "id")
    two_lines = ("user", "paid", "created_at", "state")
    figures = ("asked", "paid")
    sortable_by = ("created_at",)
    also_sortable_by = {
        **{"state": ("state",), "its_product": ("product",)},
        **{"asked": ("amount_cents",), "paid": ("paid_cents",)},
    }
    sums = Amounts({"paid": "paid_cents"}, in_dollars=True)
    list_filter = ("state", ProductFilter)
    instant = "created_at"
    lookups = ("created_at__gte", "created_at__lt", "user_id__exact")
    search_fields = ("user_id", "id", "stripe_session_id", "payment_intent_id")
    search_help_text = (
        "A whole Misar ID or email address, or the whole ID of a top-up, Stripe session or payment intent."
    )
    ordering = ("-created_at",)
    nothing_yet = "A top-up appears here as soon as a user asks for one."
    fields = (
        *("user", "its_product", "state", "asked", "paid", "its_entry", "remark", "stripe_session_id"),
        *("payment", "livemode", "created_at", "paid_at"),
    )
    same_in_files = {"currency": "USD"}
    kept_out_of_files = ("form_key",)
    staff_actions = actions.OF_TOPUP
    its_product = product_column()
    asked = column("asked for", lambda topup: _dollars(topup.amount_cents))
    paid = column("paid", lambda topup: _dollars(topup.paid_cents))
    refunded = column("refunded", lambda topup: _refunded(topup))
    its_entry = column("entry", lambda topup: row_link(Entry, topup.entry_id))
    payment = column("payment at Stripe", lambda topup: reversals.payment_link(topup.payment_intent_id))
    change_form_template = "backoffice/topup.html"

    def read_more(self, rows: list[Any]) -> None:
        refunds.see_standings(rows)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        topup = kwargs.get("obj")
        if topup is not None:
            context |= self._payment_of(topup, request)
        return super().render_change_form(request, context, *args, **kwargs)

    def _payment_of(self, topup: TopUp, request: HttpRequest) -> dict[str, Any]:
        """What became of the payment, as far as the staff member may view it."""
        staff = cast(User, request.user)
        standing = refunds.standing_seen(topup) if topup.state == TopUp.State.PAID else None
        parts: dict[str, Any] = {"standing": standing}
        if standing and staff.has_perm("wallet.view_striperefund"):
            page = self.admin_site.get_model_admin(RefundRequest)
            assert isinstance(page, ActingAdmin)
            parts["refunds"] = reversals.of_payment(standing.reported)
            parts["requests"] = [(each, page.links_on(each, staff)) for each in standing.requests]
        if staff.has_perm("wallet.view_entry") and topup.stripe_session_id:
            entries = Entry.objects.filter(stripe_session_id=topup.stripe_session_id)
            parts["entries"] = entries.order_by("-sequence")[:ROWS_SHOWN_MAX]
        if staff.has_perm("wallet.view_stripeevent"):
            parts["events"] = events_of([topup])[topup.pk]
        return parts


def _refunded(topup: TopUp) -> str:
    cents = refunds.standing_seen(topup).reported.refunded_cents
    return refund_tag(money.dollars(cents), is_whole=cents >= (topup.paid_cents or 0)) if cents else ""


def _dollars(cents: int | None) -> str:
    return "–" if cents is None else money.dollars(cents)


@admin.register(StripeEvent)
class StripeEventAdmin(AddressedAdmin):
    list_display = ("received_at", "type", "state", "tries", "user", "remark")
    two_lines = ("type", "", "received_at", "state")
    figures = ("tries",)
    sortable_by = ("received_at",)
    also_sortable_by = {"type": ("type",), "state": ("state",), "tries": ("tries",)}
    sums = States("state")
    list_filter = ("state", TypeFilter)
    instant = "received_at"
    lookups = (
        *("received_at__gte", "received_at__lt", "tries__gte", "user_id__exact"),
        "stripe_session_id__exact",
    )
    search_fields = ("id", "stripe_session_id", "payment_intent_id", "user_id")
    search_help_text = (
        "A whole Misar ID or email address, or the whole ID of an event, Stripe session or payment intent."
    )
    ordering = ("-received_at",)
    nothing_yet = "Nothing has come from Stripe yet."
    fields = (
        *("type", "state", "remark", "what_to_do", "tries", "user", "sessions", "payment"),
        *("received_at", "handled_at", "as_sent", "traceback"),
    )
    kept_out_of_files = ("payload", "traceback")
    staff_actions = actions.OF_STRIPE_EVENT
    payment = column("Payment at Stripe", lambda event: reversals.payment_link(event.payment_intent_id))
    what_to_do = column("what to do", parked.what_to_do)

    @admin.display(description="Stripe session")
    def sessions(self, event: StripeEvent) -> str:
        """The event's Stripe session, as a link to all events of that session."""
        session = event.stripe_session_id
        return list_link(StripeEvent, session, stripe_session_id__exact=session) if session else ""

    @admin.display(description="as Stripe sent it")
    def as_sent(self, event: StripeEvent) -> str:
        return payloads.as_html(event.payload)


@admin.register(Rate)
class RateAdmin(ActingAdmin):
    """Prices. A price is withdrawn, never removed."""

    list_display = ("feature", "label", "credits", "unit", "its_state")
    two_lines = ("feature", "credits", "label", "its_state")
    figures = ("credits",)
    sortable_by = ("feature",)
    also_sortable_by = {"label": ("label",), "credits": ("credits",), "its_state": ("active",)}
    list_filter = ("active",)
    search_fields = ("feature",)
    search_help_text = "A whole feature name."
    ordering = ("feature",)
    nothing_yet = "No feature has a price, so none can be charged."
    fields = ("feature", "label", "credits", "unit", "its_state")
    its_state = state_column(lambda price: "Active" if price.active else "Withdrawn")
    staff_actions = actions.OF_RATE
    addition = actions.NEW_RATE


@admin.register(RateChange)
class RateChangeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "feature", "label", "credits", "unit", "its_state", "by")
    two_lines = ("feature", "credits", "created_at", "its_state")
    figures = ("credits",)
    its_state = state_column(lambda price: "Active" if price.active else "Withdrawn")
    by = actor_column()
    instant = "created_at"
    lookups = ("feature__exact",)
    search_fields = ("feature",)
    search_help_text = "A whole feature name."
    ordering = ("-created_at",)
    fields = ("feature", "label", "credits", "unit", "its_state", "by", "created_at")


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin):
    """The checks of the ledger, of its seals and of Stripe, with their findings."""

    list_display = ("ended_at", "kind", "outcome_tag", "seen_count", "found_count", "remark")
    two_lines = ("kind", "found_count", "ended_at", "outcome_tag")
    figures = ("seen_count", "found_count")
    sortable_by = ("ended_at",)
    also_sortable_by = {"kind": ("kind",), "outcome_tag": ("outcome",), "found_count": ("found_count",)}
    sums = States("outcome")
    list_filter = ("kind", "outcome")
    instant = "ended_at"
    ordering = ("-ended_at",)
    nothing_yet = "No check has run yet. Run check_ledger every night and reconcile_stripe every hour."
    fields = (
        *("kind", "outcome_tag", "seen_count", "found_count", "found_here", "remark", "started_at"),
        "ended_at",
    )

    outcome_tag = column("outcome", audits.outcome_tag)
    found_here = column("findings", audits.in_words)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Leave out the remark if there is none. Most audits have none."""
        has_remark = obj is None or obj.remark
        return [name for name in super().get_fields(request, obj) if has_remark or name != "remark"]


@admin.register(ClosedDay)
class ClosedDayAdmin(ReadOnlyAdmin):
    """Finished days and their totals."""

    list_display = ("day", "entries", "closed_at")
    two_lines = ("day", "entries", "closed_at", "")
    figures = ("entries",)
    sortable_by = ("day",)
    also_sortable_by = {"entries": ("entries",)}
    sums = Numbers("entries", "entry", "entries")
    ordering = ("-day",)
    nothing_yet = "No day has been added up yet. close_days runs every night."
    fields = ("day", "entries", "totals", "closed_at")

    @admin.display(description="credits by product and kind")
    def totals(self, closed: ClosedDay) -> str:
        rows = (
            (
                name_of(total.product) or "–",
                total.get_kind_display(),
                money.signed(total.credits),
                money.plain(total.entries),
            )
            for total in closed.totals.order_by("product", "kind")
        )
        return format_html(TOTALS, format_html_join("", TOTAL, rows))
