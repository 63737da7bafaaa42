"""Refund a top-up through Stripe: the form of staff, and what it says of the payment."""

import re
import secrets
from typing import Any

from django import forms
from django.db import DatabaseError

from accounts.actors import actor_of
from accounts.models import Act, User
from backoffice.actions.forms import Effect, Preview, PreviewedForm, ReasonForm
from backoffice.actions.staff_action import Facts, StaffAction
from backoffice.credits import limits
from backoffice.errors import OutdatedPreview
from foundation import money
from foundation.database.transactions import is_out_of_reach
from foundation.errors import BillingError
from wallet.books import ledger
from wallet.books.funds import available_of, funds_of
from wallet.errors import LeavesDebt, RefundRefused, RefundUnanswered
from wallet.models import RefundRequest, TopUp
from wallet.payments import refund_requests
from wallet.payments.checkout import DOLLARS_MAX
from wallet.payments.refund_requests import Standing

DOLLARS = re.compile(r"\$? ?(\d{1,3}(?:,\d{3})+|\d{1,6})(?:\.(\d{1,2}))?", re.ASCII)
UNSAVED = (
    "The database is busy, so Stripe's answer was not saved. Send this form again: the same refund is never "
    "made twice."
)
SEEN = "_standing"  # The attribute of a row that keeps what `standing_seen` has read.
REPORTS = "The credits are taken back when Stripe reports the refund, usually within seconds."


class DollarsField(forms.CharField):
    """An amount in US dollars, as cents. None if the field is empty."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        match = DOLLARS.fullmatch(text)
        cents = int(match[1].replace(",", "") + (match[2] or "").ljust(2, "0")) if match else 0
        if not 0 < cents <= DOLLARS_MAX * 100:
            raise forms.ValidationError("Enter an amount in US dollars, such as 10 or 10.50.")
        return cents


class RefundForm(PreviewedForm):
    """How much of a top-up to refund. If the refund leaves a debt, the form comes back with a box to tick."""

    amount = DollarsField(required=False, label="Amount in US dollars")
    # How large a debt the box is about, in credits.
    debt = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    accept_debt = forms.BooleanField(required=False, label="Refund it anyway, and leave this debt")
    field_order = ("amount", "reason", "accept_debt")
    unseen = (*PreviewedForm.unseen, "debt", "accept_debt")
    sent_again = (RefundUnanswered,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        left = money.dollars(refund_requests.standing_of(self.row).refundable_cents)
        self.fields["amount"].help_text = f"Leave empty to refund all that is left: {left}."
        if allowance := limits.of_refunds(self.staff):
            self.show_limit("amount", allowance.in_words)
        if not self.data.get("debt"):
            del self.fields["accept_debt"]

    def clean(self) -> dict[str, Any]:
        form_data = super().clean() or self.cleaned_data
        is_accepted = form_data.get("accept_debt") and form_data.get("debt")
        form_data["accepted_debt"] = form_data["debt"] if is_accepted else 0
        return form_data

    def show(self, preview: Preview, newest_act: Act | None) -> None:
        """Show the effects, and fill in how much is left if the amount was empty.

        What is left may grow meanwhile, for example when an earlier refund fails. The second form then still
        refunds what the first one showed.
        """
        left = preview.basis or 0
        if self.cleaned_data["amount"] is None and 0 < left <= DOLLARS_MAX * 100:
            self.cleaned_data["amount"] = left
            self.change_data(amount=f"{left // 100}.{left % 100:02}")
        super().show(preview, newest_act)

    def refuse(self, refusal: BillingError) -> None:
        super().refuse(refusal)
        if isinstance(refusal, LeavesDebt):
            self.refused_words = "Nothing has changed yet."
            self.change_data(debt=str(refusal.debt), accept_debt="")
            self.fields["accept_debt"] = self.base_fields["accept_debt"]
            self.order_fields(self.field_order)
        elif isinstance(refusal, RefundUnanswered):
            self.refused_words = "The refund is not confirmed."
            self["amount"].help_text = "Keep this amount: the form then asks for the same refund again."
        elif isinstance(refusal, RefundRefused):
            self.refused_words = "Stripe made no refund."
            self.change_data(key=secrets.token_hex(16))  # The old key belongs to the refused request.


def refund(topup: TopUp, form_data: dict[str, Any], staff: User) -> str:
    """Save the request for a refund. `ask` then sends it to Stripe."""
    if form_data["seen"]:
        _require_left(topup, form_data["basis"])
    requested = refund_requests.request(
        topup=topup,
        amount_cents=form_data["amount"],
        accepted_debt=form_data["accepted_debt"],
        reason=form_data["reason"],
        key=form_data["key"],
        actor=actor_of(staff),
    )
    # So two staff members who refund two top-ups of a user see each other's acts (PreviewedForm).
    ledger.lock(topup.user_id)
    limits.require_refunds_kept(staff, requested.amount_cents)
    return f"Asked Stripe to refund {money.dollars(requested.amount_cents)}."


def _require_left(topup: TopUp, seen: int | None) -> None:
    """Raise OutdatedPreview if less is left of the payment than was seen: it may be the same refund."""
    left = refund_requests.standing_of(TopUp.objects.locked().get(pk=topup.pk)).refundable_cents
    if seen is not None and left < seen:
        raise OutdatedPreview(
            f"Of this payment {money.dollars(left)} are left, and you saw {money.dollars(seen)}"
        )


def preview_refund(topup: TopUp, form_data: dict[str, Any], staff: User) -> Preview:
    """Return what the balance becomes when Stripe reports the refund. Raises what `refund` raises."""
    standing, balance = refund_requests.standing_of(topup), funds_of(topup.user_id).balance
    cents = form_data["amount"] or standing.refundable_cents
    taken, _ = refund_requests.taken_by(topup, standing, cents)
    refund(topup, form_data, staff)
    effects = [Effect("Balance, once Stripe reports it", balance, balance - taken)] if taken else []
    return Preview(effects, topup.user_id, basis=standing.refundable_cents)


def ask(topup: TopUp, form_data: dict[str, Any], staff: User) -> str:
    """Send the request of this form to Stripe, unless Stripe has answered it already."""
    requested = refund_requests.of_form(actor=actor_of(staff), key=form_data["key"])
    assert requested is not None, "the form has saved it"
    return _asked(requested)


def _asked(requested: RefundRequest) -> str:
    """Send a request to Stripe. Return what happened. Raises what `refund_requests.ask` raises."""
    try:
        refund_requests.ask(requested)
    except DatabaseError as error:
        if not is_out_of_reach(error):
            raise
        raise RefundUnanswered(UNSAVED) from error
    return f"Stripe refunds {money.dollars(requested.amount_cents)}. {REPORTS}"


def facts_of(topup: TopUp) -> Facts:
    """Return what became of the payment, and what refunding all that is left would do."""
    standing = refund_requests.standing_of(topup)
    taken, balance = refund_requests.taken_by(topup, standing, standing.refundable_cents)
    debt = money.credits(taken - balance) if taken > max(balance, 0) else ""
    return [
        ("Paid", money.dollars(standing.paid_cents)),
        ("Refunded", _dollars_or_nothing(standing.reported.refunded_cents)),
        ("Refund pending", _dollars_or_nothing(standing.reported.pending_cents)),
        ("Asked for, not reported yet", _dollars_or_nothing(standing.unreported_cents)),
        ("Disputed, money withdrawn", _dollars_or_nothing(standing.reported.withdrawn_cents)),
        ("Left to refund", money.dollars(standing.refundable_cents)),
        ("Available", money.credits(available_of(topup.user_id))),
        ("A full refund takes back", money.credits(taken)),
        ("And leaves a debt of", debt),
    ]


def _dollars_or_nothing(cents: int) -> str:
    return money.dollars(cents) if cents else ""


# --- Asking again -------------------------------------------------------------------------------------


class AskAgainForm(ReasonForm):
    """Asks Stripe again about a refund. If Stripe refuses it, nothing is sent again."""

    def refuse(self, refusal: BillingError) -> None:
        super().refuse(refusal)
        if isinstance(refusal, RefundUnanswered | RefundRefused):
            self.refused_words = "The refund is not confirmed."


def note_again(requested: RefundRequest, form_data: dict[str, Any], staff: User) -> str:
    """Say what is asked again. `ask_again` then sends the request."""
    return f"Asked Stripe again to refund {money.dollars(requested.amount_cents)}."


def ask_again(requested: RefundRequest, form_data: dict[str, Any], staff: User) -> str:
    """Send a request to Stripe again. Stripe never makes its refund twice."""
    return _asked(requested)


def _request_facts(requested: RefundRequest) -> Facts:
    return [
        ("Amount", money.dollars(requested.amount_cents)),
        ("Top-up", requested.topup_id),
        ("State", requested.get_state_display()),
        ("Reason", requested.reason),
    ]


OF_TOPUP = (
    StaffAction(
        "refund",
        "Refund this top-up",
        "wallet.refund_topup",
        refund,
        RefundForm,
        applies=lambda topup: not refund_requests.why_not(topup, standing_seen(topup)),
        facts=facts_of,
        preview=preview_refund,
        follow_up=ask,
    ),
)
OF_REQUEST = (
    StaffAction(
        "ask-again",
        "Ask Stripe again",
        "wallet.refund_topup",
        note_again,
        AskAgainForm,
        applies=lambda requested: requested.state == RefundRequest.State.ASKING,
        facts=_request_facts,
        follow_up=ask_again,
    ),
)


def standing_seen(topup: TopUp) -> Standing:
    """Return what became of the payment of a row that a page shows. The page reads it once."""
    if SEEN not in vars(topup):
        see_standings([topup])
    standing: Standing = vars(topup)[SEEN]
    return standing


def see_standings(topups: list[TopUp]) -> None:
    """Read what became of the payments of all rows of a page together, for `standing_seen`."""
    standings = refund_requests.standings_of(topups)
    for topup in topups:
        vars(topup)[SEEN] = standings[topup.pk]
