"""What staff may do to creators' records, each with a form, a reason and a permission."""

from typing import Any

from django import forms

from accounts.acting import ReasonForm, Verb
from accounts.acts import actor_of
from accounts.models import User
from misar_billing import money
from monetization import readers, sponsors, subscriptions, tips
from monetization.errors import TooLate
from monetization.models import Earner, Sponsor, Subscription, Tip
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


# --- On which rows ------------------------------------------------------------------------------------

OF_EARNER = (Verb("rule", "One sponsor at a time", "monetization.set_rule", set_rule, RuleForm),)
OF_SPONSOR = (
    Verb(
        "cancel",
        "Cancel this placement",
        "monetization.cancel_sponsor",
        cancel,
        applies=lambda sponsor: sponsor.cancelled_at is None,
    ),
)
OF_SUBSCRIPTION = (
    Verb("status", "Change the status", "monetization.change_status", change_status, StatusForm),
    ERASE,
)
OF_TIP = (
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
