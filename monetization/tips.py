"""Record tips with the fee of the creator's current plan. Refund tips with a pro rata part of their fee."""

from dataclasses import asdict, dataclass
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Plan, User
from foundation import money
from foundation.errors import BillingError
from foundation.mailboxes import stored_mailbox
from monetization import fees, mails
from monetization.digests import writing as digests
from monetization.errors import AlreadyRecorded, ChangedMeanwhile, NotFound, RefundTooLarge
from monetization.models import Refund, Tip


class NotAMultiple(BillingError):
    """Raised when the amount of a partial refund is not a multiple of the step of the tip's currency."""


class Facts(TypedDict, total=False):
    """What a reader may send with a tip."""

    email: str
    name: str
    message: str


@dataclass(frozen=True)
class RefundPreview:
    """The amounts of a refund that is not recorded yet, in the smallest unit of the tip's currency.

    The reader gets the sum of two parts: the creator's part, and the returned part of the platform's fee.
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
    """Record a tip and its platform fee. The creator gets a mail about a new tip.

    `amount_cents` is in the currency's smallest unit. If this `stripe_payment_id` was recorded before, return
    the first tip, even if the creator has another plan now. Raises AlreadyRecorded if the first tip has
    another amount or currency.
    """
    plan = Plan.objects.get(pk=creator.plan_id)
    parts = fees.split(amount_cents, fee_bps=plan.fee_bps)
    email = facts.get("email", "")
    tip = Tip(
        creator=creator,
        fee_bps=plan.fee_bps,
        plan=plan.slug,
        currency=currency,
        reader=email.lower(),
        mailbox=stored_mailbox(email, compared=email.lower()),
        stripe_payment_id=stripe_payment_id,
        created_at=timezone.now(),
        **asdict(parts),
        **facts,
    )
    # This INSERT skips a conflict and does not fail. If it failed, PostgreSQL's log would contain the row,
    # with the reader's address and message.
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
    """Return what `refund` would record for this tip now. An amount of None means all that is left.

    Raises RefundTooLarge and NotAMultiple, as `refund` does.
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
    """Record a refund of a tip. An amount of None means all that is left.

    With a `creator`, this raises NotFound for another creator's tip. The pages of staff pass None.

    Our fee is returned pro rata, unless REFUNDS_RETURN_THE_FEE is off. The returned part is computed from the
    total of all refunds, so refunds of the whole tip return exactly the whole fee. If a refund with this
    `key` exists, return that refund, even if its amount differs. Raises RefundTooLarge, NotFound, and
    NotAMultiple for a partial refund that is no multiple of the currency's step.

    `seen_refunded_cents` and `seen_fee_cents` are amounts on the page from which the user sent the refund:
    the total that was already refunded, and the part of the fee that this refund returns. If one of them has
    changed since, this raises ChangedMeanwhile.
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
    """Return how much of the fee the next refund returns, if its amount is `amount_cents`."""
    if not settings.REFUNDS_RETURN_THE_FEE:
        return 0
    total = fees.returned(
        tip.fee_cents, refunded_cents=tip.refunded_cents + amount_cents, gross_cents=tip.gross_cents
    )
    # Refunds that were made while the setting was off returned no fee. A small refund after that must not
    # return more of the fee than its own amount.
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
    """Hide a tip's message on the creator's pages, files and mails, or show the message again.

    The message stays stored, and the creator's API still returns it. Raises NotFound, also for another
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
        # Drop the mail about the tip if it was not sent yet. The mail would show the message, and the creator
        # already knows about the tip.
        mails.withdraw(mails.TIP, [tip.pk])
        digests.write_waiting_again(creator)
    return tip
