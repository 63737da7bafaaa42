"""The list of holds. An overdue hold is shown as expired, although its row may still be open."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html_join

from backoffice.credits import grants, holds
from backoffice.credits.lists import AddressedAdmin, ProductFilter
from backoffice.lists.columns import actor_column, column, product_column, state_column
from backoffice.lists.links import row_link
from backoffice.lists.totals import Credits
from foundation import money
from wallet.charges.models import HoldQuerySet
from wallet.models import Entry, Hold, Lot

State = Hold.State
OVERDUE = Q(state=State.OPEN, expires_at__lte=Now())


class StateFilter(admin.SimpleListFilter):
    """Holds by their state now, or overdue holds whose row is still open."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*State.choices, (holds.UNTIDIED, "Expired, not tidied yet")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen is None:
            return queryset
        if chosen == holds.UNTIDIED:
            return cast(HoldQuerySet, queryset).overdue(Now())
        if chosen not in State.values:
            raise IncorrectLookupParameters
        return cast(HoldQuerySet, queryset).in_state(chosen, Now())


@admin.register(Hold)
class HoldAdmin(AddressedAdmin):
    list_display = ("created_at", "user", "its_state", "what", "its_product", "set_aside", "expires_at", "id")
    two_lines = ("user", "set_aside", "created_at", "its_state")
    figures = ("set_aside",)
    sortable_by = ("created_at",)
    also_sortable_by = {
        **{"set_aside": ("credits",), "expires_at": ("expires_at",)},
        **{"what": ("feature",), "its_product": ("product",)},
    }
    sums = Credits("credits", "in total")
    list_filter = (StateFilter, ProductFilter)
    instant = "created_at"
    lookups = ("created_at__gte", "created_at__lt", "expires_at__lt", "wallet__user_id__exact")
    search_fields = ("wallet_id", "id", "idempotency_key")
    search_help_text = "A whole Misar ID, email address, hold ID or idempotency key."
    ordering = ("-created_at",)
    needs_the_primary = True
    nothing_yet = "A hold appears here when a product sets credits aside before its work."
    fields = (
        *("user", "its_state", "what", "its_product", "set_aside", "its_parts", "captured", "its_charge"),
        *("made_by", "available_before", "idempotency_key", "created_at", "expires_at", "ended"),
    )
    owner_field = "wallet_id"
    staff_actions = holds.OF_HOLD
    kept_out_of_files = ("state", "ended_at")
    also_in_files = ("state_now", "ended_now")
    its_state = state_column(lambda hold: State(hold.state_now).label)
    ended = column("ended at", lambda hold: hold.ended_now)
    what = column("feature", holds.units)
    its_product = product_column()
    set_aside = column("credits", lambda hold: money.plain(hold.credits))
    made_by = actor_column("made by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                state_now=Case(When(OVERDUE, then=Value(State.EXPIRED.value)), default=F("state")),
                ended_now=Case(When(OVERDUE, then=F("expires_at")), default=F("ended_at")),
            )
        )

    @admin.display(description="from grants")
    def its_parts(self, hold: Hold) -> str:
        """The grants that the hold took credits from, and how many. The rest is paid credits."""
        parts = grants.parts_of(hold)
        return format_html_join(", ", "{} ({})", ((row_link(Lot, lot), money.plain(n)) for lot, n in parts))

    @admin.display(description="captured")
    def captured(self, hold: Hold) -> str:
        """How many units were charged, and their credits; "" if the hold was not captured."""
        if hold.captured_count is None:
            return ""
        units = f"{money.plain(hold.captured_count)} of {money.plain(hold.count)}"
        return f"{units}, for {money.credits(hold.captured_credits or 0)}"

    @admin.display(description="charge")
    def its_charge(self, hold: Hold) -> str:
        charge = Entry.objects.filter(wallet_id=hold.wallet_id, hold_id=hold.pk).first()
        return row_link(Entry, charge.pk) if charge else ""
