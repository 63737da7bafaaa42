"""What staff may do to creators' records, each with a form, a reason and a permission."""

from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Sum

from accounts.actors import actor_of
from accounts.models import User
from backoffice import roles
from backoffice.actions.forms import Facts, ReasonForm
from backoffice.actions.staff_action import StaffAction
from backoffice.errors import BeyondAllowance, NothingToChange
from foundation import money
from foundation.errors import KeyReused
from monetization import sponsors, subscriptions, tips
from monetization.errors import TooLate
from monetization.models import Earner, Refund, Sponsor, Subscription, Tip
from monetization.privacy import erasure
from monetization.privacy.placeholders import is_erased


class RefundForm(ReasonForm):
    """How much of a tip went back, and why."""

    amount_cents = forms.IntegerField(
        min_value=1,
        required=False,
        label="Amount",
    )
    field_order = ("amount_cents", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        left, currency = self.row.refundable_cents, self.row.currency
        self.fields[
            "amount_cents"
        ].help_text = (
            f"In the smallest unit: {left} for {money.amount(left, currency)}. Empty for all of that."
        )
        most = roles.allowance(self.staff, settings.STAFF_REFUND_CENTS_MAX)
        if most is not None:
            self.tell_limit("amount_cents", _limit_in_words(most, currency))

    def facts(self) -> Facts:
        """What the page says of the tip."""
        tip = self.row
        return [
            ("Given", money.amount(tip.gross_cents, tip.currency)),
            ("Refunded", money.amount(tip.refunded_cents, tip.currency)),
            ("Left", money.amount(tip.refundable_cents, tip.currency)),
        ]


def refund(tip: Tip, asked: dict[str, Any], staff: User) -> str:
    """Record a refund."""
    made = tips.refund(
        tip_id=tip.pk,
        amount_cents=asked["amount_cents"],
        reason=asked["reason"],
        key=asked["key"],
        actor=actor_of(staff),
    )
    if made.actor != actor_of(staff):  # The key is of a colleague's form.
        raise KeyReused
    _require_within_role(staff, tip)
    back = money.amount(made.amount_cents, made.currency)
    fee = money.amount(made.fee_returned_cents, made.currency)
    return f"Recorded a refund of {back}; {fee} of the fee went back."


def _require_within_role(staff: User, tip: Tip) -> None:
    """Raise BeyondAllowance, which undoes the refund, where this member refunded too much of the tip."""
    most = roles.allowance(staff, settings.STAFF_REFUND_CENTS_MAX)
    theirs = Refund.objects.filter(tip=tip, actor=actor_of(staff))
    refunded: int = theirs.aggregate(total=Sum("amount_cents"))["total"] or 0
    if most is not None and refunded > most:
        raise BeyondAllowance(_limit_in_words(most, tip.currency))


def _limit_in_words(most: int, currency: str) -> str:
    if not most:
        return "Your role may not record refunds."
    return f"You may record at most {money.amount(most, currency)} of one tip as refunded."


class StatusForm(ReasonForm):
    """What a subscription has become, and why."""

    status = forms.ChoiceField(choices=Subscription.Status.choices)
    field_order = ("status", "reason")

    def facts(self) -> Facts:
        """What the page says of the subscription."""
        return [
            ("Status", self.row.get_status_display()),
            ("Amount", money.amount(self.row.amount_cents, self.row.currency)),
        ]


def change_status(subscription: Subscription, asked: dict[str, Any], staff: User) -> str:
    """Change a subscription's status as its creator would."""
    if subscription.status == asked["status"]:  # To say it again would date it anew.
        raise NothingToChange
    changed = subscriptions.change(
        creator=subscription.creator, subscription_id=subscription.pk, status=asked["status"]
    )
    if changed.status != asked["status"]:
        raise TooLate("A later change is known already, so this one changed nothing")
    was, now = subscription.get_status_display().lower(), changed.get_status_display().lower()
    return f"From {was} to {now}."


def cancel(sponsor: Sponsor, asked: dict[str, Any], staff: User) -> str:
    """Cancel a placement as its creator would."""
    sponsors.cancel(creator=sponsor.creator, sponsor_id=sponsor.pk)
    return f"Cancelled the placement in the {sponsor.position}."


class EraseForm(ReasonForm):
    """Why, without saying who: the reason is written to the log after the reader is erased from it."""

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if "@" in reason:
            raise forms.ValidationError("Write no e-mail address here: it would be kept.")
        return reason


def erase_reader(row: Tip | Subscription, asked: dict[str, Any], staff: User) -> str:
    """Erase the reader of this row wherever they are."""
    erased = erasure.erase(row.reader, actor=actor_of(staff))
    tips_count = f"{erased.tips} tip{'' if erased.tips == 1 else 's'}"
    subscriptions_count = f"{erased.subscriptions} subscription{'' if erased.subscriptions == 1 else 's'}"
    return f"Erased a reader: {tips_count}, {subscriptions_count}."


ERASE = StaffAction(
    "erase-reader",
    "Erase this reader everywhere",
    "monetization.erase_reader",
    erase_reader,
    EraseForm,
    warning="Name, address and words go for good, from every creator's records, and cannot be brought back.",
    applies=lambda row: bool(row.reader) and not is_erased(row.reader),
)


class RuleForm(ReasonForm):
    """Whether a creator wants one sponsor at a time, and why."""

    on = forms.BooleanField(required=False, label="One sponsor at a time")
    field_order = ("on", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("on", self.row.one_sponsor_at_a_time)


def set_rule(earner: Earner, asked: dict[str, Any], staff: User) -> str:
    """Switch a creator's rule; refused, naming the sponsors, over existing overlaps."""
    if earner.one_sponsor_at_a_time == asked["on"]:
        raise NothingToChange
    sponsors.set_one_at_a_time(creator=earner.creator, on=asked["on"])
    return f"One sponsor at a time: {'on' if asked['on'] else 'off'}."


# --- On which rows ------------------------------------------------------------------------------------

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
    StaffAction("status", "Change the status", "monetization.change_status", change_status, StatusForm),
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
    ),
    ERASE,
)
