"""The list of grants, as they are now: the end of a grant may not be written down yet."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html_join

from accounts.models import ServiceKey
from backoffice.credits import grants
from backoffice.credits.lists import AddressedAdmin
from backoffice.lists import actors
from backoffice.lists.columns import column, state_column
from backoffice.lists.filters import ListedFilter
from backoffice.lists.links import row_link
from backoffice.lists.totals import Credits
from foundation import money
from wallet.charges.models import LotQuerySet
from wallet.history.products import name_of
from wallet.models import Entry, Lot

State = Lot.State
SOON = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}


class StateFilter(admin.SimpleListFilter):
    """Grants by their state now."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen is None:
            return queryset
        if chosen not in State.values:
            raise IncorrectLookupParameters
        return cast(LotQuerySet, queryset).in_state(chosen, Now())


class EndFilter(admin.SimpleListFilter):
    """Grants with credits left that end soon, or grants whose end should be written down by now."""

    title = "end"
    parameter_name = "end"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("24h", "Within 24 hours"),
            ("7d", "Within 7 days"),
            ("30d", "Within 30 days"),
            (grants.LATE, "Ended, not written off"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen is None:
            return queryset
        if chosen == grants.LATE:
            return cast(LotQuerySet, queryset).ended(Now() - grants.LATE_AFTER)
        if chosen not in SOON:
            raise IncorrectLookupParameters
        active = cast(LotQuerySet, queryset).in_state(State.ACTIVE, Now())
        return active.filter(expires_at__lte=Now() + SOON[chosen])


class GranterFilter(ListedFilter):
    """Grants of one product, or of staff."""

    title = "granted by"
    parameter_name = "product__exact"
    without = "Staff"

    def offered(self) -> Iterable[str]:
        return ServiceKey.objects.order_by("product").values_list("product", flat=True).distinct()

    def label(self, value: str) -> str:
        return name_of(value)


@admin.register(Lot)
class GrantAdmin(AddressedAdmin):
    list_display = (
        *("created_at", "user", "its_state", "granted", "left", "ending_at", "granted_by", "reason"),
        "id",
    )
    two_lines = ("user", "granted", "created_at", "its_state")
    figures = ("granted", "left")
    sortable_by = ("created_at",)
    also_sortable_by = {"granted": ("credits",), "ending_at": ("expires_at",)}
    sums = Credits("credits", "granted")
    list_filter = (StateFilter, EndFilter, GranterFilter)
    instant = "created_at"
    lookups = ("created_at__gte", "created_at__lt", "expires_at__lt", "wallet__user_id__exact")
    search_fields = ("wallet_id", "id")
    search_help_text = "A whole Misar ID, email address or grant ID."
    ordering = ("-created_at",)
    needs_the_primary = True
    nothing_yet = "A grant appears here when a product or staff give a user credits with an end."
    fields = (
        *("user", "its_state", "reason", "granted_by", "made_by", "granted", "left", "set_aside", "spent"),
        *("written_off", "its_entries", "created_at", "expires_at", "voided_at", "removed"),
        "held_when_voided",
    )
    owner_field = "wallet_id"
    staff_actions = grants.OF_LOT
    # The file has these as they are now.
    kept_out_of_files = ("remaining", "held", "expired")
    also_in_files = ("state_now", "left_now", "held_now", "spent", "written_off")
    its_state = state_column(lambda lot: State(lot.state_now).label)
    granted = column("granted", lambda lot: money.plain(lot.credits))
    left = column("left", lambda lot: money.plain(lot.left_now))
    set_aside = column("held", lambda lot: money.plain(lot.held_now))
    spent = column("spent", lambda lot: money.plain(lot.spent))
    written_off = column("ended unspent", lambda lot: money.plain(lot.written_off))
    ending_at = column("ends at", lambda lot: lot.ends_at)
    granted_by = column("granted by", grants.granter)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return grants.as_they_are_now(super().get_queryset(request))

    @admin.display(description="made by")
    def made_by(self, lot: Lot) -> str:
        entry = Entry.objects.filter(wallet_id=lot.wallet_id, pk=lot.entry_id)
        return actors.in_words(entry.values_list("actor", flat=True).first() or "", lot.product)

    @admin.display(description="entries")
    def its_entries(self, lot: Lot) -> str:
        """The entries that moved the grant, newest first, and by how many credits."""
        moved = grants.entries_of(lot)
        return format_html_join(", ", "{} ({})", ((row_link(Entry, e.pk), money.signed(n)) for e, n in moved))
