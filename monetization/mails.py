"""Mails to creators about a new tip, or about a subscription that is past due.

The mail about the tips of a week is in digests/.

A mail quotes the reader's message line by line, as plain text. A subject never contains an address.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from django.utils import timezone

from accounts.mail import outbox
from accounts.models import User
from foundation import money
from foundation.calendar import day_of
from foundation.text import one_line
from monetization import fees
from monetization.figures.periods import beginning_of
from monetization.models import (
    MESSAGE_LENGTH,
    NAME_LENGTH,
    PLAN_LENGTH,
    STRIPE_ID_LENGTH,
    Digest,
    SubscriptionEvent,
    Tip,
)
from monetization.privacy.placeholders import is_erased

TIP = "tip_received"
PAST_DUE = "subscription_past_due"
ERASED = "a reader who was erased"
# The most characters of a name in a subject. A list of mails shows only the beginning of a subject.
SUBJECT_NAME_LENGTH = 60


def register() -> None:
    """Register the two kinds of mail of this module with the outbox."""
    outbox.register(
        PAST_DUE,
        outbox.Kind("Payments past due", "When the payment of a reader's subscription has not come."),
    )
    outbox.register(
        TIP,
        outbox.Kind(
            "Tips",
            "When a reader has given you a tip. A weekly email is about the whole week, also about its days "
            "before you chose it.",
            begin_weekly,
        ),
    )


@outbox.isolated
def tell_of_tip(creator: User, tip: Tip) -> None:
    """Queue the mail about a new tip, once per tip, in the transaction that records the tip.

    No mail is queued if the creator has no e-mail address, has switched off this kind of mail, or gets the
    tips of a week in one mail (digests/).
    """
    if outbox.is_weekly(creator, TIP):
        return
    name = one_line(tip.name, NAME_LENGTH)
    short_name = one_line(tip.name, SUBJECT_NAME_LENGTH) or "a reader"
    gross = money.amount(tip.gross_cents, tip.currency)
    outbox.queue(
        user=creator,
        to=creator.email,
        kind=TIP,
        fact=_fact(TIP, tip.pk),
        subject=f"A tip of {gross} from {short_name}",
        template="monetization/mail/tip_received",
        context={
            "name": name,
            "gross": gross,
            "fee": money.amount(tip.fee_cents, tip.currency),
            "rate": fees.percent(tip.fee_bps),
            "net": money.amount(tip.net_cents, tip.currency),
            "date": _moment(tip.created_at),
            # The mail marks each line as a quotation.
            "lines": [one_line(line, MESSAGE_LENGTH) for line in tip.shown_message.strip().splitlines()],
            "tip_id": tip.pk,
            "stripe_payment_id": one_line(tip.stripe_payment_id or "", STRIPE_ID_LENGTH),
        },
    )


@outbox.isolated
def tell_of_past_due(creator: User, event: SubscriptionEvent) -> None:
    """Queue one mail about a past-due subscription per event, in the transaction that records the event."""
    subscription = event.subscription
    amount = money.amount(event.amount_cents, event.currency)
    outbox.queue(
        user=creator,
        to=creator.email,
        kind=PAST_DUE,
        fact=_fact(PAST_DUE, event.pk),
        subject=f"A subscription of {amount} is past due",
        template="monetization/mail/subscription_past_due",
        context={
            "reader": _reader(subscription.subscriber_email),
            "plan": one_line(event.plan, PLAN_LENGTH),
            "amount": amount,
            "in_mrr": subscription.yearly_cents > 0,
            "date": _moment(event.occurred_at),
            "subscription_id": subscription.pk,
            "stripe_subscription_id": one_line(subscription.stripe_subscription_id or "", STRIPE_ID_LENGTH),
        },
    )


def begin_weekly(creator: User) -> None:
    """Let the next digest be about this week, if the creator has no unfinished one."""
    week = beginning_of(day_of(timezone.now()), "week")
    Digest.objects.bulk_create([Digest(creator=creator, next_week=week)], ignore_conflicts=True)


def withdraw(kind: str, row_ids: Iterable[str | int]) -> None:
    """Drop the unsent mails of this kind about these tips or events."""
    outbox.withdraw([_fact(kind, row_id) for row_id in row_ids])


def _fact(kind: str, row_id: str | int) -> str:
    """Return the text that identifies the mail about a tip or an event in the outbox."""
    return f"{kind}:{row_id}"


def _reader(email: str) -> str:
    """Return a reader's address on one line; ERASED if the reader was erased."""
    return ERASED if is_erased(email) else one_line(email, len(email) + 1)


def _moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
