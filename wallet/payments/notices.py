"""Tell a user by mail that credits of a payment were taken back, or came back."""

from datetime import UTC

from django.utils.dateformat import format as in_words

from accounts.mail import outbox
from accounts.models import User
from foundation import money
from wallet.books.funds import Funds, funds_of
from wallet.books.models import Entry
from wallet.payments import causes, receipts
from wallet.payments.models import TopUp

KIND = "reversal"


def register() -> None:
    """Register this kind of mail with the outbox."""
    sentence = "When a payment is refunded or disputed, and its credits leave your wallet or come back."
    outbox.register(KIND, outbox.Kind("Refunds and disputes", sentence))


@outbox.isolated
def queue(entry: Entry, topup: TopUp) -> None:
    """Queue the mail about a clawback or a reinstatement, in the transaction that writes the entry.

    Each entry gets one mail. It says what happened to the payment, and whether the user owes credits now. No
    mail is queued if the wallet's owner never signed in or has no e-mail address.
    """
    user = User.objects.filter(pk=entry.wallet_id).first()
    if user is None or not user.email:
        return
    reversal = causes.of_entries([entry])[entry.pk]
    moved, written_at = money.credits(abs(entry.credits)), entry.created_at.astimezone(UTC)
    was_taken, funds = entry.credits < 0, funds_of(entry.wallet_id)
    outbox.queue(
        user=user,
        to=user.email,
        kind=KIND,
        fact=f"reversal:{entry.pk}",
        subject=f"{reversal.title}: {moved} taken back" if was_taken else f"{reversal.title}: {moved}",
        template="wallet/mail/reversal",
        context={
            "title": reversal.title,
            "sentence": reversal.sentence,
            "was_taken": was_taken,
            "credits": moved,
            "moved": f"{money.signed(entry.credits)} {money.unit(entry.credits)}",
            "balance": money.credits(funds.balance),
            "owed": money.credits(funds.owed) if funds.owed else "",
            # The entry moved paid credits only.
            "is_settled": funds.paid - entry.credits < 0 <= funds.paid,
            "can_be_charged": funds.available > 0 and not funds.frozen,
            "until_paid": _until_paid(funds),
            "is_overheld": funds.available < 0 <= funds.paid,
            **receipts.held_in_words(funds),
            "owner": receipts.owner_in_words(user),
            "date": f"{in_words(written_at, 'j F Y, H:i')} UTC",
            "payment": _payment(topup),
            "topup_id": topup.pk,
            "stripe_reference": receipts.shortened(topup.payment_intent_id or topup.stripe_session_id or ""),
            "month": f"{written_at:%Y-%m}",
            "month_name": in_words(written_at, "F Y"),
        },
    )


def _until_paid(funds: Funds) -> str:
    """Return what a debt means for the user until it is paid. Credits of grants can be spent beside it."""
    if funds.available > 0:
        means = f"Granted credits don't pay this; {money.plain(funds.available)} of them can be spent now."
    elif funds.held:
        means = (
            "Until this is paid and what is held is covered or released, Misar products can't charge you for "
            "new work."
        )
    else:
        means = "Until this is paid, Misar products can't charge you."
    return f"{means} Your next top-up pays it first."


def _payment(topup: TopUp) -> str:
    """Return a payment's amount and day: $25.00, 3 November 2026."""
    assert topup.paid_cents is not None
    assert topup.paid_at is not None
    return f"{money.dollars(topup.paid_cents)}, {causes.day_in_words(topup.paid_at)}"
