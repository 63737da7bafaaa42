"""What staff may do to creators' records."""

from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Sum

from accounts.actors import actor_of
from accounts.models import User
from backoffice import roles
from backoffice.actions.forms import Effect, Preview, PreviewedForm, ReasonForm
from backoffice.actions.staff_action import Facts, StaffAction
from backoffice.errors import BeyondAllowance, NothingToChange, OutdatedPreview
from foundation import money
from foundation.errors import KeyReused
from foundation.words import count
from monetization import sponsors, subscriptions, tips
from monetization.errors import ChangedMeanwhile
from monetization.models import Earner, Refund, Sponsor, Subscription, Tip
from monetization.privacy import erasure
from monetization.privacy.placeholders import is_erased


class RefundForm(PreviewedForm):
    """How much of a tip was refunded."""

    amount_cents = forms.IntegerField(min_value=1, required=False, label="Amount")
    field_order = ("amount_cents", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        left, currency = self.row.refundable_cents, self.row.currency
        self.fields["amount_cents"].help_text = (
            f"In the currency's smallest unit: enter {left} for {money.amount(left, currency)}. "
            "Leave empty to refund all that is left of the tip."
        )
        most = roles.allowance(self.staff, settings.STAFF_REFUND_CENTS_MAX)
        if most is not None:
            self.show_limit("amount_cents", _limit_in_words(most, currency))


def _tip_facts(tip: Tip) -> Facts:
    return [
        ("Given", money.amount(tip.gross_cents, tip.currency)),
        ("Refunded", money.amount(tip.refunded_cents, tip.currency)),
        ("Left", money.amount(tip.refundable_cents, tip.currency)),
    ]


def refund(tip: Tip, form_data: dict[str, Any], staff: User) -> str:
    """Record a refund, unless another one was recorded after the preview: it may be the same."""
    try:
        made = tips.refund(
            tip_id=tip.pk,
            amount_cents=form_data["amount_cents"],
            reason=form_data["reason"],
            key=form_data["key"],
            actor=actor_of(staff),
            seen_refunded_cents=form_data["basis"] if form_data["seen"] else None,
        )
    except ChangedMeanwhile as error:
        raise OutdatedPreview("This tip was refunded since you saw what would change") from error
    if made.actor != actor_of(staff):  # A colleague's form had this key.
        raise KeyReused
    _require_within_role(staff, tip)
    refunded = money.amount(made.amount_cents, made.currency)
    fee = money.amount(made.fee_returned_cents, made.currency)
    return f"Recorded a refund of {refunded}. This includes {fee} of the platform fee."


def preview_refund(tip: Tip, form_data: dict[str, Any], staff: User) -> Preview:
    """Return what the refund leaves of the tip, and to its creator. Raises what `refund` raises."""
    before = Tip.objects.select_for_update().get(pk=tip.pk)
    refund(tip, form_data, staff)
    after = Tip.objects.get(pk=tip.pk)
    figures = (
        ("Left of the tip", before.refundable_cents, after.refundable_cents),
        ("Kept by the creator", before.net_after_refunds_cents, after.net_after_refunds_cents),
    )
    effects = [Effect(*figure, tip.currency) for figure in figures]
    return Preview(effects, tip.creator_id, basis=before.refunded_cents)


def _require_within_role(staff: User, tip: Tip) -> None:
    """Raise BeyondAllowance, which undoes the refund, if this staff member refunded too much of the tip."""
    most = roles.allowance(staff, settings.STAFF_REFUND_CENTS_MAX)
    theirs = Refund.objects.filter(tip=tip, actor=actor_of(staff))
    refunded: int = theirs.aggregate(total=Sum("amount_cents"))["total"] or 0
    if most is not None and refunded > most:
        raise BeyondAllowance(_limit_in_words(most, tip.currency))


def _limit_in_words(most: int, currency: str) -> str:
    if not most:
        return "Your role may not record refunds."
    return f"Your refunds of one tip may be at most {money.amount(most, currency)} in total."


class StatusForm(ReasonForm):
    """The new status of a subscription."""

    status = forms.ChoiceField(choices=Subscription.Status.choices)
    field_order = ("status", "reason")


def _subscription_facts(subscription: Subscription) -> Facts:
    return [
        ("Status", subscription.get_status_display()),
        ("Amount", money.amount(subscription.amount_cents, subscription.currency)),
    ]


def change_status(subscription: Subscription, form_data: dict[str, Any], staff: User) -> str:
    """Change a subscription's status as its creator would."""
    status = form_data["status"]
    if subscription.status == status:  # Otherwise `change` would set `status_at` to now.
        raise NothingToChange
    changed = subscriptions.change(
        creator=subscription.creator, subscription_id=subscription.pk, status=status
    )
    old, new = subscription.get_status_display().lower(), changed.get_status_display().lower()
    return f"From {old} to {new}."


def cancel(sponsor: Sponsor, form_data: dict[str, Any], staff: User) -> str:
    """Cancel a placement as its creator would."""
    sponsors.cancel(creator=sponsor.creator, sponsor_id=sponsor.pk)
    return f"Cancelled the placement in the {sponsor.position}."


class EraseForm(ReasonForm):
    """A reason without an e-mail address: the act is written after the erasure and would keep the address."""

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if "@" in reason:
            raise forms.ValidationError("Don't enter an email address here; it would be kept.")
        return reason


def erase_reader(row: Tip | Subscription, form_data: dict[str, Any], staff: User) -> str:
    """Erase the reader of this row from all records."""
    erased = erasure.erase(row.address, actor=actor_of(staff))
    return (
        f"Erased a reader from {count(erased.tips, 'tip')} and {count(erased.subscriptions, 'subscription')}."
    )


ERASE = StaffAction(
    "erase-reader",
    "Erase this reader everywhere",
    "monetization.erase_reader",
    erase_reader,
    EraseForm,
    warning="Name, address and messages are erased from every creator's records. This can't be undone.",
    applies=lambda row: bool(row.reader) and not is_erased(row.reader),
)


class RuleForm(ReasonForm):
    """Whether a creator has only one sponsor at a time."""

    on = forms.BooleanField(required=False, label="One sponsor at a time")
    field_order = ("on", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("on", self.row.one_sponsor_at_a_time)


def set_rule(earner: Earner, form_data: dict[str, Any], staff: User) -> str:
    """Switch "one sponsor at a time" on or off. The rule cannot be switched on while placements overlap."""
    if earner.one_sponsor_at_a_time == form_data["on"]:
        raise NothingToChange
    sponsors.set_one_at_a_time(creator=earner.creator, on=form_data["on"])
    return f"One sponsor at a time: {'on' if form_data['on'] else 'off'}."


# --- The actions of each list -------------------------------------------------------------------------

OF_EARNER = (
    StaffAction(
        "rule", "Change the rule: one sponsor at a time", "monetization.set_rule", set_rule, RuleForm
    ),
)
OF_SPONSOR = (
    StaffAction(
        "cancel",
        "Cancel this placement",
        "monetization.cancel_sponsor",
        cancel,
        applies=lambda sponsor: sponsor.cancelled_at is None,
    ),
)
OF_SUBSCRIPTION = (
    StaffAction(
        "status",
        "Change status",
        "monetization.change_status",
        change_status,
        StatusForm,
        facts=_subscription_facts,
    ),
    ERASE,
)
OF_TIP = (
    StaffAction(
        "refund",
        "Record a refund",
        "monetization.refund_tip",
        refund,
        RefundForm,
        applies=lambda tip: tip.refunded_cents < tip.gross_cents,
        facts=_tip_facts,
        preview=preview_refund,
    ),
    ERASE,
)
