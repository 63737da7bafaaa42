"""Which of a creator's tips a list shows, and what they add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.db.models import Count, Sum

from accounts.models import User
from monetization.dashboard.fields import DayField, amount_field, cents_of
from monetization.dashboard.filters import FilterForm, choice_field, matching, search_field
from monetization.models import Tip, TipQuerySet

# --- Filters ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TipFilter:
    """Which of a creator's tips; the default is all.

    Both days are UTC and included; None leaves that end open. `min_cents` is in the smallest unit of whatever
    currency a tip has, so it says little without `currency`. `with_message` and `refunded` (wholly or in
    part) are either way when None; a hidden message is a message. `without_stripe_id` is those that name no
    payment at Stripe. `search` is an e-mail address or its
    beginning, the beginning of a name (both in any case), or a whole Stripe or tip id.
    """

    first_day: date | None = None
    last_day: date | None = None
    currency: str = ""
    min_cents: int | None = None
    with_message: bool | None = None
    refunded: bool | None = None
    without_stripe_id: bool = False
    search: str = ""

    def apply(self, creator: User) -> TipQuerySet:
        """The creator's tips of this filter, newest first."""
        tips = Tip.objects.visible_to(creator).order_by("-created_at", "-pk")
        if self.first_day:
            tips = tips.filter(created_at__gte=datetime.combine(self.first_day, time.min, UTC))
        if self.last_day:  # To its last microsecond; the day after the last of all days is none.
            tips = tips.filter(created_at__lte=datetime.combine(self.last_day, time.max, UTC))
        if self.currency:
            tips = tips.filter(currency=self.currency)
        if self.min_cents is not None:
            tips = tips.filter(gross_cents__gte=self.min_cents)
        if self.with_message is not None:
            tips = tips.exclude(message="") if self.with_message else tips.filter(message="")
        if self.refunded is not None:
            tips = tips.filter(refunded_cents__gt=0) if self.refunded else tips.filter(refunded_cents=0)
        if self.without_stripe_id:
            tips = tips.filter(stripe_payment_id=None)
        if self.search:
            tips = matching(
                tips, self.search, whole=("stripe_payment_id", "id"), beginning=("reader", "name")
            )
        return tips


# --- Totals -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Totals:
    """What some tips of one currency add up to, in its smallest unit.

    Refunds are those of these very tips, on whatever day they were made.
    """

    currency: str
    count: int
    gross_cents: int
    fee_cents: int
    net_cents: int
    refunded_cents: int
    fee_returned_cents: int

    @property
    def net_after_refunds_cents(self) -> int:
        """What stays with the creator."""
        return self.net_cents - (self.refunded_cents - self.fee_returned_cents)


def tip_totals(creator: User, filter: TipFilter) -> list[Totals]:
    """What the whole filter adds up to, per currency, the one with most tips first. One query."""
    sums = filter.apply(creator).order_by().values("currency")
    found = sums.annotate(
        count=Count("pk"),
        gross_cents=Sum("gross_cents"),
        fee_cents=Sum("fee_cents"),
        net_cents=Sum("net_cents"),
        refunded_cents=Sum("refunded_cents"),
        fee_returned_cents=Sum("fee_returned_cents"),
    )
    return [Totals(**row) for row in found.order_by("-count", "currency")]


class TipFilterForm(FilterForm):
    """Tips by day, amount, message and refund, or those of one reader or one Stripe id."""

    currency = choice_field("Currency", "All currencies", ())
    least = amount_field("At least", required=False)
    message = choice_field("Message", "All", [("with", "With a message"), ("without", "Without")])
    refunded = choice_field("Refunded", "All", [("yes", "Refunded"), ("no", "Not refunded")])
    stripe = choice_field("Stripe id", "All", [("none", "Without one")])
    search = search_field("E-mail, name or Stripe id")
    field_order = ("from", "to", "search", "currency", "least", "message", "refunded", "stripe")
    folded = ("currency", "least", "message", "refunded", "stripe")

    def __init__(self, data: Mapping[str, str], *, currencies: Sequence[str] = ()) -> None:
        super().__init__(data, currencies=currencies)
        self.currencies = currencies
        # Words of Python, and the words of the address.
        self.fields["from"] = DayField("From")
        self.fields["to"] = DayField("To")
        for name in ("from", "to", "least"):
            self.fields[name].widget.attrs["class"] = "input"
        self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        """Leave out a last day before the first, and an amount of no certain currency."""
        data = super().clean() or self.cleaned_data
        first_day, last_day = data.get("from"), data.get("to")
        if first_day and last_day and last_day < first_day:
            self.add_error("to", "This day comes before the first; it is left out.")
        if data.get("least"):
            self._read_least(data)
        return data

    def chosen(self) -> TipFilter:
        """The tips that are asked for."""
        read = self.read()
        return TipFilter(
            first_day=read.get("from"),
            last_day=read.get("to"),
            currency=read.get("currency", ""),
            min_cents=read.get("min_cents"),
            with_message={"with": True, "without": False}.get(read.get("message", "")),
            refunded={"yes": True, "no": False}.get(read.get("refunded", "")),
            without_stripe_id=read.get("stripe") == "none",
            search=read.get("search", ""),
        )

    def _read_least(self, data: dict[str, Any]) -> None:
        only = self.currencies[0] if len(self.currencies) == 1 else ""
        currency = data.get("currency") or only
        if not currency:
            self.add_error("least", "Choose a currency with it; it is left out.")
            return
        try:
            data["min_cents"] = cents_of(data["least"], currency)
        except forms.ValidationError as error:
            self.add_error("least", error)
