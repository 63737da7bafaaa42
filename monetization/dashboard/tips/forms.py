"""The filters of the list of tips, and the forms that refund a tip or hide its message."""

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.db.models import Count, F, Q, Sum

from foundation import money
from foundation.calendar import DAY, FIRST_DAY, LAST_DAY, start_of
from foundation.forms import DayField
from monetization.dashboard.fields import amount_field, cents_of
from monetization.dashboard.filters import SORT, FilterForm, Order, begins, choice_field, search_field
from monetization.figures import sums
from monetization.figures.periods import Period
from monetization.models import Refund, Tip

# What the totals of a list add up.
PARTS = ("gross_cents", "fee_cents", "net_cents", "refunded_cents", "fee_returned_cents")


class TipFilterForm(FilterForm):
    """Filters tips by day, currency, amount, message, refund, Stripe ID, and a search for a reader or an id.

    Days are in UTC. The first and the last day are included. The filter "With a message" also finds tips with
    a hidden message. The filter "Refunded" also finds tips that were refunded in part.
    """

    model = Tip
    # Amounts of different currencies are not compared: each currency is a group of its own.
    orders = {
        "-date": Order("Newest first", ("-created_at", "-pk")),
        "date": Order("Oldest first", ("created_at", "pk")),
        "-amount": Order("Largest first", ("-currency", "-gross_cents", "-pk")),
        "amount": Order("Smallest first", ("currency", "gross_cents", "pk")),
    }
    conditions = {
        "from": lambda day: Q(created_at__gte=start_of(day)),
        "to": lambda day: Q(created_at__lte=datetime.combine(day, time.max, UTC)),
        "currency": lambda currency: Q(currency=currency),
        "least": lambda cents: Q(gross_cents__gte=cents),
        "message": {"with": ~Q(message=""), "without": Q(message="")}.__getitem__,
        "refunded": {"yes": Q(refunded_cents__gt=0), "no": Q(refunded_cents=0)}.__getitem__,
        "stripe": {"none": Q(stripe_payment_id=None)}.__getitem__,
        # Matches the beginning of an e-mail address in any spelling, the beginning of a name in upper or
        # lower case, or a whole id.
        "search": lambda text: (
            Tip.mailbox_begins(text) | begins("name", text) | Q(stripe_payment_id=text) | Q(pk=text)
        ),
    }
    currency = choice_field("Currency", "All currencies")
    least = amount_field("At least", required=False)
    message = choice_field("Message", "All", [("with", "With a message"), ("without", "Without")])
    refunded = choice_field("Refunded", "All", [("yes", "Refunded"), ("no", "Not refunded")])
    stripe = choice_field("Stripe ID", "All", [("none", "Without one")])
    search = search_field("Email, name or Stripe ID")
    field_order = ("from", "to", "search", "currency", "least", "message", "refunded", "stripe")
    folded = ("currency", "least", "message", "refunded", "stripe")

    def clean(self) -> dict[str, Any]:
        """Convert the amount to its currency's smallest unit.

        Refuse an amount if the currency is not known, and refuse a last day before the first day.
        """
        data = super().clean() or self.cleaned_data
        first_day, last_day = data.get("from"), data.get("to")
        if first_day and last_day and last_day < first_day:
            self.add_error("to", "The last day comes before the first. This filter is not applied.")
        currency = data.get("currency") or (self.currencies[0] if len(self.currencies) == 1 else "")
        if data.get("least"):
            try:
                if not currency:
                    raise forms.ValidationError("Choose a currency too. This filter is not applied.")
                data["least"] = cents_of(data["least"], currency)
            except forms.ValidationError as error:
                self.add_error("least", error)
        return data

    def totals(self) -> list[dict[str, Any]]:
        """Return the sums of all tips that match the filters, with two queries at most.

        There is one row per currency. The currency with the most tips is first. All refunds of these tips
        count, even if a refund was made on a day outside the filter. If the only filters are days and the
        currency, the sums come from the stored days, because a creator may have very many tips.
        """
        if self.data.keys() - {SORT, "from", "to", "currency"}:
            return self._sums_of_rows()
        return self._sums_of_days()

    def _sums_of_rows(self) -> list[dict[str, Any]]:
        rows = (
            self.records()
            .order_by()
            .values("currency")
            .annotate(
                count=Count("pk"),
                net_after_refunds_cents=Sum(F("net_cents") - F("refunded_cents") + F("fee_returned_cents")),
                **{name: Sum(name) for name in PARTS},
            )
        )
        return list(rows.order_by("-count", "currency"))

    def _sums_of_days(self) -> list[dict[str, Any]]:
        self.is_valid()
        first, last, chosen = (self.cleaned_data.get(name) for name in ("from", "to", "currency"))
        period = Period("", first or FIRST_DAY, last or LAST_DAY, "")
        has_days = bool(first or last)
        refunds = self._refunds_of_tips(period) if has_days else {}
        rows = []
        for currency, found in sums.by_currency(self.creator, period, at=self.now).items():
            if not found.tips or chosen not in (None, "", currency):
                continue
            if has_days:
                # The refunds in `found` were made in the period, perhaps of earlier tips.
                back, fee = refunds.get(currency, (0, 0))
                found = replace(found, refunded_cents=back, fee_returned_cents=fee)
            row = {part: getattr(found, part) for part in (*PARTS, "net_after_refunds_cents")}
            rows.append({"currency": currency, "count": found.tips, **row})
        return sorted(rows, key=lambda row: (-row["count"], row["currency"]))

    def _refunds_of_tips(self, period: Period) -> dict[str, tuple[int, int]]:
        """Return the refunds, and the fees returned with them, of the tips of a period, by currency.

        A refund comes after its tip, but another host may have dated it a moment earlier.
        """
        made = Refund.objects.filter(creator=self.creator, created_at__gte=period.since - DAY)
        of_tips = made.filter(tip__created_at__gte=period.since, tip__created_at__lt=period.until)
        rows = of_tips.order_by().values_list("currency")
        return {
            currency: (back, fee)
            for currency, back, fee in rows.annotate(Sum("amount_cents"), Sum("fee_returned_cents"))
        }


# `from` is a keyword of Python, so the class cannot declare that field as an attribute.
TipFilterForm.base_fields |= {"from": DayField("From"), "to": DayField("To")}


class RefundForm(forms.Form):
    """A form for a refund to the reader. The amount is at most what is left of the tip.

    `seen` is the total that was already refunded when the page was made. `fee` is the part of the fee that
    the refund returns, as the preview showed it.
    """

    amount = amount_field("Amount")
    seen = forms.IntegerField(min_value=0, max_value=10**12, widget=forms.HiddenInput)
    fee = forms.IntegerField(required=False, min_value=0, max_value=10**12, widget=forms.HiddenInput)
    confirmed = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, tip: Tip, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tip = tip
        left = money.amount(tip.refundable_cents, tip.currency)
        self.fields["amount"].label = f"Amount in {tip.currency}"
        self.fields["amount"].help_text = f"At most {left}, what is left of this tip."

    def clean_amount(self) -> int:
        """Return the amount in the currency's smallest unit, above 0. `refund` checks how much is left."""
        # All that is left can be refunded, even if it is not a multiple of the currency's step.
        left = self.tip.refundable_cents
        cents = cents_of(self.cleaned_data["amount"], self.tip.currency, any_step=left)
        if cents == 0:
            raise forms.ValidationError("Write an amount above 0.")
        return cents


class MessageForm(forms.Form):
    """A form that hides a tip's message or shows it again."""

    hidden = forms.ChoiceField(choices=[("yes", "Hide"), ("no", "Show")])
