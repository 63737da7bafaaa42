"""Refund a top-up through Stripe, when a staff member asks for it.

`request` saves the request in the transaction of the staff action. After that transaction, `ask` calls Stripe
with the id of the request as the idempotency key. If no answer comes, the request stays, and may be sent
again. The books do not move here: they move when Stripe reports the refund (reversals.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Sum
from django.db.models.expressions import Combinable
from django.utils import timezone

from foundation import money
from wallet.books.funds import funds_of
from wallet.books.models import Entry
from wallet.errors import LeavesDebt, NotRefundable, RefundRefused, RefundUnanswered, StripeOutOfReach
from wallet.payments import reported, stripe_gateway
from wallet.payments.models import RefundRequest, StripeDispute, StripeRefund, TopUp
from wallet.payments.reported import Reported
from wallet.payments.sessions import plain_or_nothing, text_at

State = RefundRequest.State

# Stripe keeps an idempotency key for at least 24 hours. The difference allows for clocks that differ.
KEY_IS_SURE = timedelta(hours=20)

UNPAID = "Only a paid top-up can be refunded"
NO_PAYMENT = "Stripe has not named the payment of this top-up: refund it at Stripe"
OTHER_MODE = "This top-up was paid in the other mode of Stripe (live or test)"
ANOTHERS = "Its payment was reported for another checkout first: refund it at Stripe"
DISPUTED = "This payment is disputed: while the bank has the money, it can't be refunded"
NOTHING_LEFT = "Nothing is left to refund"


# --- What became of a payment -----------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """What became of the payment of a top-up. Amounts are in cents.

    `belongs_to` is the Checkout Session for which the payment was reported first, or "". `requests` has the
    refunds that staff asked for, newest first.
    """

    paid_cents: int
    belongs_to: str = ""
    reported: Reported = field(default_factory=Reported)
    requests: list[RefundRequest] = field(default_factory=list)

    @property
    def unreported(self) -> list[RefundRequest]:
        """The requests that Stripe may have made, but has not reported yet."""
        refund_ids = {each.pk for each in self.reported.refunds}
        return [
            each
            for each in self.requests
            if each.state == State.ASKING
            or (each.state == State.MADE and each.stripe_refund_id not in refund_ids)
        ]

    @property
    def unreported_cents(self) -> int:
        """What these requests take from the payment. A charge may report a refund before the refund is."""
        asked_cents = sum(each.amount_cents for each in self.unreported)
        only_by_charge_cents = max(0, self.reported.charge_cents - self.reported.stored_cents)
        return max(0, asked_cents - only_by_charge_cents)

    @property
    def left_cents(self) -> int:
        """What Stripe has left of the payment, and the user has as credits."""
        return self.reported.left_of(self.paid_cents)

    @property
    def refundable_cents(self) -> int:
        """What is left, less the refunds that were asked for and are not reported yet."""
        return max(0, self.left_cents - self.unreported_cents)

    @property
    def is_disputed(self) -> bool:
        """Whether the bank has the money, or may take it. An inquiry is no dispute yet."""
        return any(
            each.withdrawn_cents > 0 or not (each.is_inquiry or each.status in StripeDispute.CLOSED)
            for each in self.reported.disputes
        )


def standing_of(topup: TopUp) -> Standing:
    """Return what became of the payment of a top-up, as it is stored now."""
    return standings_of([topup])[topup.pk]


def standings_of(topups: Iterable[TopUp]) -> dict[str, Standing]:
    """Return what became of the payments of some top-ups, by the id of the top-up; four queries for all."""
    topups = list(topups)
    of_intents = reported.of_intents(topup.payment_intent_id for topup in topups)
    requests = list(RefundRequest.objects.filter(topup__in=topups).order_by("-created_at", "pk"))
    standings = {}
    for topup in topups:
        of_intent = of_intents[topup.payment_intent_id]
        standings[topup.pk] = Standing(
            paid_cents=topup.paid_cents or 0,
            belongs_to=of_intent.session_id,
            reported=of_intent.of_session(topup.stripe_session_id),
            requests=[each for each in requests if each.topup_id == topup.pk],
        )
    return standings


def why_not(topup: TopUp, standing: Standing) -> str:
    """Return why a top-up cannot be refunded; "" if it can be."""
    if topup.state != TopUp.State.PAID:
        return UNPAID
    if not topup.payment_intent_id:
        return NO_PAYMENT
    if topup.livemode not in (None, stripe_gateway.is_live()):
        return OTHER_MODE
    if standing.belongs_to not in ("", topup.stripe_session_id):
        return ANOTHERS
    if standing.is_disputed:
        return DISPUTED
    return "" if standing.refundable_cents else NOTHING_LEFT


def taken_by(topup: TopUp, standing: Standing, amount_cents: int) -> tuple[int, int]:
    """Return how many credits a refund takes back, and how many paid credits are available before it.

    Both are as if everything that Stripe has not reported yet was booked already. A refund takes back paid
    credits only, so granted ones don't lessen the debt that it may leave.
    """
    had = Entry.objects.of_payment(user_id=topup.user_id, session_id=topup.stripe_session_id or "")
    before = money.credits_from_cents(standing.refundable_cents)
    after = money.credits_from_cents(max(0, standing.refundable_cents - amount_cents))
    return before - after, funds_of(topup.user_id).paid_available - (had - before)


# --- Asking for a refund ----------------------------------------------------------------------------


@transaction.atomic
def request(
    *, topup: TopUp, amount_cents: int | None, accepted_debt: int, reason: str, key: str, actor: str
) -> RefundRequest:
    """Save the request for a refund of `amount_cents` (at least 1), or of all that is left.

    Raises NotRefundable if the top-up cannot be refunded by this amount. Raises LeavesDebt if the user would
    then owe more than `accepted_debt` credits. The key of the form belongs to one request of one actor.
    """
    assert amount_cents is None or amount_cents > 0, "the form has refused anything else"
    # The lock puts the requests for one top-up in order, so together they never ask for more than is left.
    locked = TopUp.objects.locked().get(pk=topup.pk)
    standing = standing_of(locked)
    if refusal := why_not(locked, standing):
        raise NotRefundable(refusal)
    cents = standing.refundable_cents if amount_cents is None else amount_cents
    if cents > standing.refundable_cents:
        raise NotRefundable(f"{money.dollars(standing.refundable_cents)} is left to refund")
    taken, balance = taken_by(locked, standing, cents)
    if taken and taken - balance > accepted_debt:
        raise LeavesDebt(taken=taken, balance=balance)
    return RefundRequest.objects.create(
        topup=locked, amount_cents=cents, reason=reason, actor=actor, form_key=key
    )


def ask(requested: RefundRequest) -> RefundRequest:
    """Ask Stripe for a refund, and save the answer. A refund that Stripe has made is not asked for again.

    The caller has no open transaction. Raises RefundUnanswered if no answer came, and RefundRefused if Stripe
    refused the refund.
    """
    if requested.state == State.ASKING:
        age = timezone.now() - requested.created_at
        try:
            answer = stripe_gateway.create_refund(
                request_id=requested.pk,
                payment_intent_id=requested.topup.payment_intent_id,
                amount_cents=requested.amount_cents,
                look_first=age > KEY_IS_SURE,
            )
        except StripeOutOfReach as error:
            raise RefundUnanswered from error
        # Stripe may have reported the refund meanwhile. Its report counts, whatever this call was answered.
        waiting = RefundRequest.objects.filter(pk=requested.pk, state=State.ASKING)
        if answer.refund_id:
            waiting.update(state=State.MADE, stripe_refund_id=answer.refund_id)
        else:
            waiting.update(state=State.REFUSED, remark=answer.refusal)
        requested.refresh_from_db()
    if requested.state == State.REFUSED:
        raise RefundRefused(requested.remark)
    return requested


def of_form(*, actor: str, key: str) -> RefundRequest | None:
    """Return the request that this form of this actor has made, or None."""
    return RefundRequest.objects.filter(actor=actor, form_key=key).select_related("topup").first()


def cents_asked_by(actor: str, *, since: datetime | Combinable) -> int:
    """Return how many cents an actor has asked for since this time, without refused and failed refunds."""
    ended = StripeRefund.objects.filter(pk=OuterRef("stripe_refund_id"), status__in=StripeRefund.ENDED)
    asked = RefundRequest.objects.filter(actor=actor, created_at__gte=since).exclude(state=State.REFUSED)
    return asked.exclude(Exists(ended)).aggregate(total=Sum("amount_cents"))["total"] or 0


def note_reported(body: dict[str, Any], refund: StripeRefund) -> None:
    """Mark the request of a refund that Stripe reports as made, also if Stripe's answer to it was lost."""
    if text_at(body, "metadata", "type") != "wallet_refund":
        return
    requested = RefundRequest.objects.filter(
        pk=plain_or_nothing(text_at(body, "metadata", "refund_request")),
        topup__payment_intent_id=refund.payment_intent_id,
        amount_cents=refund.amount_cents,
    )
    requested.exclude(state=State.MADE).update(state=State.MADE, stripe_refund_id=refund.pk, remark="")
