"""Tips: recorded with the fee of that moment, refunded with the fee pro rata."""

from dataclasses import asdict
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Plan, User
from monetization import fees
from monetization.errors import AlreadyRecorded, NotFound, RefundTooLarge
from monetization.models import Refund, Tip


class Facts(TypedDict, total=False):
    """What a reader may have left with a tip."""

    email: str
    name: str
    message: str


def record(
    *,
    creator: User,
    amount_cents: int,
    currency: str = "USD",
    stripe_payment_id: str | None = None,
    **facts: Unpack[Facts],
) -> Tip:
    """Record a tip of `amount_cents` smallest units, and what the platform keeps of it.

    The same `stripe_payment_id` again returns the first tip, whatever the plan is by now; with another
    amount or currency it raises AlreadyRecorded.
    """
    plan = Plan.objects.get(pk=creator.plan_id)
    parts = fees.split(amount_cents, fee_bps=plan.fee_bps)
    tip = Tip(
        creator=creator,
        fee_bps=plan.fee_bps,
        plan=plan.slug,
        currency=currency,
        reader=facts.get("email", "").lower(),
        stripe_payment_id=stripe_payment_id,
        created_at=timezone.now(),
        **asdict(parts),
        **facts,
    )
    # Not tried and caught: PostgreSQL's log would hold the refused row, address and message included.
    Tip.objects.bulk_create([tip], ignore_conflicts=True)
    first = Tip.objects.visible_to(creator).get(
        **({"stripe_payment_id": stripe_payment_id} if stripe_payment_id else {"pk": tip.pk})
    )
    if (first.gross_cents, first.currency) != (amount_cents, currency):
        raise AlreadyRecorded("This stripe_payment_id was recorded with another amount or currency")
    return first


@transaction.atomic
def refund(*, tip_id: str, amount_cents: int | None = None, reason: str = "", key: str, actor: str) -> Refund:
    """Record that a tip, or a part of it, went back to the reader; None for all that is left.

    Our fee goes back pro rata on the running total, so that the parts of a whole refund come to exactly the
    fee (unless REFUNDS_RETURN_THE_FEE is off). The same key again returns the first refund. Raises
    RefundTooLarge and NotFound.
    """
    tip = Tip.objects.select_for_update().filter(pk=tip_id).first()
    if tip is None:
        raise NotFound
    if first := Refund.objects.filter(tip=tip, key=key).first():
        return first
    left = tip.gross_cents - tip.refunded_cents
    amount_cents = left if amount_cents is None else amount_cents
    if not 0 < amount_cents <= left:
        raise RefundTooLarge(f"{left} of this tip are left to refund, in its smallest unit")
    fee_cents = fee_to_return(tip, amount_cents)
    Tip.objects.filter(pk=tip.pk).update(
        refunded_cents=F("refunded_cents") + amount_cents,
        fee_returned_cents=F("fee_returned_cents") + fee_cents,
    )
    return Refund.objects.create(
        tip=tip,
        creator_id=tip.creator_id,
        amount_cents=amount_cents,
        fee_returned_cents=fee_cents,
        currency=tip.currency,
        key=key,
        actor=actor,
        reason=reason,
        created_at=timezone.now(),
    )


def fee_to_return(tip: Tip, amount_cents: int) -> int:
    """The part of the fee that goes back with the next refund of this size."""
    if not settings.REFUNDS_RETURN_THE_FEE:
        return 0
    total = fees.returned(
        tip.fee_cents, refunded_cents=tip.refunded_cents + amount_cents, gross_cents=tip.gross_cents
    )
    return total - tip.fee_returned_cents
