"""Tips: recorded with the fee of that moment, refunded with their fee pro rata."""

from dataclasses import asdict, dataclass
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Plan, User
from foundation import money
from foundation.errors import BillingError
from monetization import fees, mails
from monetization.errors import AlreadyRecorded, ChangedMeanwhile, NotFound, RefundTooLarge
from monetization.models import Refund, Tip


class NotAMultiple(BillingError):
    """Raised when a part of a tip is to be refunded that cannot be paid in its currency."""


class Facts(TypedDict, total=False):
    """What a reader may leave with a tip."""

    email: str
    name: str
    message: str


@dataclass(frozen=True)
class RefundPreview:
    """What a refund would move, in the smallest unit of the tip's currency. Nothing has moved yet.

    The reader gets what the creator gives and the part of the platform's fee that is returned.
    """

    currency: str
    reader_gets_cents: int
    creator_gives_cents: int
    fee_returned_cents: int


@transaction.atomic
def record(
    *,
    creator: User,
    amount_cents: int,
    currency: str = "USD",
    stripe_payment_id: str | None = None,
    **facts: Unpack[Facts],
) -> Tip:
    """Record a tip of `amount_cents` smallest units and its platform fee. A new tip is mailed to its creator.

    The same `stripe_payment_id` again returns the first tip, whatever the plan is now; with another amount or
    currency it raises AlreadyRecorded.
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
    # Not an INSERT that may fail: PostgreSQL's log would hold the refused row, with address and message.
    Tip.objects.bulk_create([tip], ignore_conflicts=True)
    first = Tip.objects.visible_to(creator).get(
        **({"stripe_payment_id": stripe_payment_id} if stripe_payment_id else {"pk": tip.pk})
    )
    if (first.gross_cents, first.currency) != (amount_cents, currency):
        raise AlreadyRecorded("This stripe_payment_id was recorded with another amount or currency")
    if first.pk == tip.pk:
        mails.tell_of_tip(creator, tip)
    return first


def preview_refund(tip: Tip, amount_cents: int | None = None) -> RefundPreview:
    """What `refund` would record for this tip as it is now; None for all that is left.

    Raises RefundTooLarge and NotAMultiple.
    """
    amount_cents = _refundable(tip, amount_cents)
    fee_cents = fee_to_return(tip, amount_cents)
    return RefundPreview(tip.currency, amount_cents, amount_cents - fee_cents, fee_cents)


@transaction.atomic
def refund(
    *,
    tip_id: str,
    amount_cents: int | None = None,
    reason: str = "",
    key: str,
    actor: str,
    creator: User | None = None,
    seen_refunded_cents: int | None = None,
    seen_fee_cents: int | None = None,
) -> Refund:
    """Record the refund of a tip, or of a part of it; None for all that is left.

    With a `creator`, another creator's tip is NotFound. Staff pass None.

    Our fee is returned pro rata on the running total, so the parts of a whole refund return exactly the fee
    (unless REFUNDS_RETURN_THE_FEE is off). The same key again returns the first refund, whatever its amount.
    Raises RefundTooLarge, NotAMultiple for a part that is no multiple of the currency's step, and NotFound.

    `seen_refunded_cents` and `seen_fee_cents` are the amounts on the page where the refund was decided:
    already refunded, and the fee to return. If either has changed since, this raises ChangedMeanwhile.
    """
    tips = Tip.objects.all() if creator is None else Tip.objects.visible_to(creator)
    tip = tips.select_for_update().filter(pk=tip_id).first()
    if tip is None:
        raise NotFound
    if first := Refund.objects.filter(tip=tip, key=key).first():
        return first
    if seen_refunded_cents not in (None, tip.refunded_cents):
        raise ChangedMeanwhile
    amount_cents = _refundable(tip, amount_cents)
    fee_cents = fee_to_return(tip, amount_cents)
    if seen_fee_cents not in (None, fee_cents):
        raise ChangedMeanwhile
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
    """The part of the fee that the next refund of this size returns."""
    if not settings.REFUNDS_RETURN_THE_FEE:
        return 0
    total = fees.returned(
        tip.fee_cents, refunded_cents=tip.refunded_cents + amount_cents, gross_cents=tip.gross_cents
    )
    # A fee that was kept while the rule was off is not returned by a later small refund.
    return min(total - tip.fee_returned_cents, amount_cents)


def _refundable(tip: Tip, amount_cents: int | None) -> int:
    left = tip.refundable_cents
    amount_cents = left if amount_cents is None else amount_cents
    if not 0 < amount_cents <= left:
        raise RefundTooLarge(f"{left} of this tip are left to refund, in its smallest unit")
    step = money.step_of(tip.currency)
    if amount_cents != left and amount_cents % step:
        raise NotAMultiple(f"A part of a tip in {tip.currency} is a multiple of {step}, in its smallest unit")
    return amount_cents


@transaction.atomic
def hide_message(*, creator: User, tip_id: str, hidden: bool) -> Tip:
    """Hide a tip's message on the creator's pages, files and mails, or show it again.

    The message stays recorded, and the creator's API still shows it. Raises NotFound, also for another
    creator's tip.
    """
    mine = Tip.objects.visible_to(creator).select_for_update()
    tip = mine.filter(pk=tip_id).first()
    if tip is None:
        raise NotFound
    if hidden != bool(tip.message_hidden_at):
        tip.message_hidden_at = timezone.now() if hidden else None
        tip.save(update_fields=["message_hidden_at"])
    if hidden:
        # The creator has seen the tip, and a mail that still waits would show the message.
        mails.withdraw(mails.TIP, [tip.pk])
    return tip
