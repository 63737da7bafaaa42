"""One reader's data: all of it exported, or all of it erased (privacy).

Erasing takes the address, the name and the words wherever they are kept. Amounts, ids and dates stay, and the
address becomes a stand-in, one per reader and creator, so that no figure changes.
"""

import json
import re
import secrets
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models import QuerySet

from monetization.models import Erasure, FirstAnswer, Subscription, Tip
from wallet.models import StripeEvent

STAND_IN_DOMAIN = "erased.invalid"  # .invalid is nobody's, for ever (RFC 2606).


def export(email: str) -> dict[str, Any]:
    """Everything kept about the reader of this address, in any case, over all creators."""
    return {
        "email": email,
        "tips": [
            {
                "id": tip.pk,
                "creator": tip.creator_id,
                "gross_amount_cents": tip.gross_cents,
                "refunded_cents": tip.refunded_cents,
                "currency": tip.currency,
                "email": tip.email,
                "name": tip.name,
                "message": tip.message,
                "stripe_payment_id": tip.stripe_payment_id,
                "created_at": tip.created_at.isoformat(),
            }
            for tip in _tips(email).order_by("created_at", "pk").iterator()
        ],
        "subscriptions": [
            {
                "id": subscription.pk,
                "creator": subscription.creator_id,
                "subscriber_email": subscription.subscriber_email,
                "plan": subscription.plan,
                "amount_cents": subscription.amount_cents,
                "currency": subscription.currency,
                "status": subscription.status,
                "stripe_subscription_id": subscription.stripe_subscription_id,
                "created_at": subscription.created_at.isoformat(),
            }
            for subscription in _subscriptions(email).order_by("created_at", "pk").iterator()
        ],
    }


@transaction.atomic
def erase(email: str, *, actor: str) -> Erasure:
    """Erase the reader of this address, in any case, and keep that it was done, without the address."""
    tips, subscriptions = _tips(email), _subscriptions(email)
    creators = {
        *tips.values_list("creator_id", flat=True),
        *subscriptions.values_list("creator_id", flat=True),
    }
    erased_tips = erased_subscriptions = 0
    for creator_id in sorted(creators):
        stand_in = f"reader-{secrets.token_hex(8)}@{STAND_IN_DOMAIN}"
        theirs = _subscriptions(email).filter(creator_id=creator_id)
        _erase_answers(theirs, stand_in)
        erased_subscriptions += theirs.update(subscriber_email=stand_in, reader=stand_in)
        gave = _tips(email).filter(creator_id=creator_id)
        FirstAnswer.objects.filter(row_id__in=gave.values("pk")).update(digest="")
        erased_tips += gave.update(email=stand_in, reader=stand_in, name="", message="")
    _erase_words(email)
    return Erasure.objects.create(actor=actor, tips=erased_tips, subscriptions=erased_subscriptions)


def _tips(email: str) -> QuerySet[Tip]:
    return Tip.objects.filter(reader=email.lower())


def _subscriptions(email: str) -> QuerySet[Subscription]:
    return Subscription.objects.filter(reader=email.lower())


def _erase_answers(subscriptions: QuerySet[Subscription], stand_in: str) -> None:
    """The answers kept for replays show the address, and their digest was made with it."""
    for first in FirstAnswer.objects.filter(row_id__in=subscriptions.values("pk")):
        answer = json.loads(first.answer)
        answer["data"]["subscriber_email"] = stand_in
        first.answer, first.digest = json.dumps(answer), ""
        first.save(update_fields=["answer", "digest"])


def _erase_words(email: str) -> None:
    """Where staff or Stripe wrote the address into a text."""
    # Bounded, so that bob@example.com is left alone where jacob@example.com is erased.
    written = re.compile(rf"(?<![\w.+-]){re.escape(email)}(?![\w-])", re.IGNORECASE)
    for entry in LogEntry.objects.filter(change_message__icontains=email):
        entry.change_message = written.sub("(erased)", entry.change_message)
        entry.save(update_fields=["change_message"])
    for event in StripeEvent.objects.filter(payload__icontains=email):
        event.payload = written.sub("(erased)", event.payload)
        event.save(update_fields=["payload"])
