"""What creators recorded, in the back-office: looked at freely, changed only by the verbs of the API."""

from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone

from accounts.acting import ActingAdmin, ReasonForm, Verb
from accounts.acts import actor_of
from accounts.models import User
from misar_billing import money
from misar_billing.admin import ReadOnlyAdmin
from monetization import fees, readers, sponsors, subscriptions, tips
from monetization.errors import TooLate
from monetization.models import Earner, Erasure, Refund, Sponsor, Subscription, SubscriptionEvent, Tip
from monetization.stand_ins import is_erased


class RefundForm(ReasonForm):
    """How much of a tip went back, and why."""

    amount_cents = forms.IntegerField(
        min_value=1,
        required=False,
        label="Amount",
        help_text="In the currency's smallest unit; empty for all that is left of the tip.",
    )
    field_order = ("amount_cents", "reason")


def refund(tip: Tip, asked: dict[str, Any], staff: User) -> str:
    """Record a refund."""
    made = tips.refund(
        tip_id=tip.pk,
        amount_cents=asked["amount_cents"],
        reason=asked["reason"],
        key=asked["key"],
        actor=actor_of(staff),
    )
    back = money.amount(made.amount_cents, made.currency)
    fee = money.amount(made.fee_returned_cents, made.currency)
    return f"Recorded a refund of {back}; {fee} of the fee went back."


class StatusForm(ReasonForm):
    """What a subscription has become, and why."""

    status = forms.ChoiceField(choices=Subscription.Status.choices)
    field_order = ("status", "reason")


def change_status(subscription: Subscription, asked: dict[str, Any], staff: User) -> str:
    """Change a subscription's status as its creator would."""
    if subscription.status == asked["status"]:  # To say it again would date it anew.
        return f"It was {subscription.get_status_display().lower()} already."
    changed = subscriptions.change(
        creator=subscription.creator, subscription_id=subscription.pk, status=asked["status"]
    )
    if changed.status != asked["status"]:
        raise TooLate("A later change is known already, so this one changed nothing")
    return f"Now {changed.get_status_display().lower()}."


def cancel(sponsor: Sponsor, asked: dict[str, Any], staff: User) -> str:
    """Cancel a placement as its creator would."""
    sponsors.cancel(creator=sponsor.creator, sponsor_id=sponsor.pk)
    return "Cancelled."


class EraseForm(ReasonForm):
    """Why, without saying who: the reason is written to the log after the reader is erased from it."""

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if "@" in reason:
            raise forms.ValidationError("Write no e-mail address here: it would be kept.")
        return reason


def erase_reader(row: Tip | Subscription, asked: dict[str, Any], staff: User) -> str:
    """Erase the reader of this row wherever they are."""
    erased = readers.erase(row.reader, actor=actor_of(staff))
    return f"Erased a reader: {erased.tips} tips, {erased.subscriptions} subscriptions."


ERASE = Verb(
    "erase-reader",
    "Erase this reader everywhere",
    "monetization.erase_reader",
    erase_reader,
    EraseForm,
    applies=lambda row: bool(row.reader) and not is_erased(row.reader),
)


class RuleForm(ReasonForm):
    """Whether a creator wants one sponsor at a time, and why."""

    on = forms.BooleanField(required=False, label="One sponsor at a time")
    field_order = ("on", "reason")


def set_rule(earner: Earner, asked: dict[str, Any], staff: User) -> str:
    """Switch a creator's rule; refused, naming the sponsors, over existing overlaps."""
    sponsors.set_one_at_a_time(creator=earner.creator, on=asked["on"])
    return f"One sponsor at a time: {'on' if asked['on'] else 'off'}."


@admin.register(Earner)
class EarnerAdmin(ActingAdmin):
    list_display = ("creator_id", "one_sponsor_at_a_time")
    search_fields = ("creator__misar_id__exact",)
    search_help_text = "A creator's Misar ID, whole; creators are here once they placed a sponsor."
    fields = ("creator", "one_sponsor_at_a_time", "overlaps")
    readonly_fields = ("overlaps",)
    verbs = (Verb("rule", "One sponsor at a time", "monetization.set_rule", set_rule, RuleForm),)

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
    verbs = (
        Verb(
            "cancel",
            "Cancel this placement",
            "monetization.cancel_sponsor",
            cancel,
            applies=lambda sponsor: sponsor.cancelled_at is None,
        ),
    )

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
    verbs = (
        Verb("status", "Change the status", "monetization.change_status", change_status, StatusForm),
        ERASE,
    )

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
    verbs = (
        Verb(
            "refund",
            "Record a refund",
            "monetization.refund_tip",
            refund,
            RefundForm,
            applies=lambda tip: tip.refunded_cents < tip.gross_cents,
        ),
        ERASE,
    )

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
