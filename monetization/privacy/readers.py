"""One reader's data: all of it exported, or all of it erased (privacy).

Erasing takes the address, the name and the words wherever they are kept. Amounts, ids and dates stay, and the
address becomes a stand-in, one per reader and creator, so that no figure changes.
"""

import json
import re
import secrets
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils.html import escape

from accounts import outbox
from accounts.models import Act, OutgoingMail
from foundation.database.transactions import retried
from monetization import mails
from monetization.errors import NotAnAddress
from monetization.models import Erasure, FirstAnswer, Refund, Subscription, SubscriptionEvent, Tip
from monetization.privacy.erased import STAND_IN_DOMAIN
from wallet.models import StripeEvent

REMOVED = "(erased)"  # What is left in a text where the address was.
# Where the words of staff and of Stripe are kept.
TEXTS: tuple[tuple[type[Model], tuple[str, ...]], ...] = (
    (Tip, ("name", "message")),  # Of a reader who left no address but wrote one.
    (Act, ("told", "reason")),
    (LogEntry, ("change_message",)),
    (Refund, ("reason",)),
    (StripeEvent, ("payload", "remark", "traceback")),
)
# Where Stripe tells an address, and what it tells of somebody in one breath with it.
ADDRESSES = ("email", "customer_email", "receipt_email", "customer_email_address")
BESIDE_AN_ADDRESS = re.compile(
    r"(customer_|individual_|business_|billing_|shipping_)?(name|phone|address)"
    r"|(customer_)?shipping(_details)?|collected_information"
)


def export(email: str) -> dict[str, Any]:
    """Everything kept about the reader of this address, in any case, over all creators."""
    _require_address(email)
    tips = _tips(email).order_by("created_at", "pk").prefetch_related("refunds")
    subscriptions = _subscriptions(email).order_by("created_at", "pk").prefetch_related("events")
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
                "refunds": [
                    {"amount_cents": refund.amount_cents, "created_at": refund.created_at.isoformat()}
                    for refund in sorted(tip.refunds.all(), key=attrgetter("created_at", "pk"))
                ],
            }
            for tip in tips
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
                "changes": [
                    {
                        "kind": event.kind,
                        "status": event.status,
                        "plan": event.plan,
                        "amount_cents": event.amount_cents,
                        "occurred_at": event.occurred_at.isoformat(),
                    }
                    for event in sorted(subscription.events.all(), key=attrgetter("pk"))
                ],
            }
            for subscription in subscriptions
        ],
    }


@retried
@transaction.atomic
def erase(email: str, *, actor: str) -> Erasure:
    """Erase the reader of this address, in any case, and keep that it was done, without the address.

    What is recorded at the same moment is erased whole or not at all; running it again gets the rest.
    """
    _require_address(email)
    creators = {
        *_tips(email).values_list("creator_id", flat=True),
        *_subscriptions(email).values_list("creator_id", flat=True),
    }
    tips = subscriptions = 0
    for creator_id in sorted(creators):
        stand_in = f"reader-{secrets.token_hex(8)}@{STAND_IN_DOMAIN}"
        gave = _tips(email).filter(creator_id=creator_id)
        tips += gave.update(email=stand_in, reader=stand_in, name="", message="", message_hidden_at=None)
        subscribed = _subscriptions(email).filter(creator_id=creator_id)
        subscriptions += subscribed.update(subscriber_email=stand_in, reader=stand_in)
        # The rows first: an answer is written together with its row, so none of them can be missed.
        _erase_answers(stand_in)
        _drop_mails(stand_in)
    outbox.forget(email)
    _erase_words(email)
    return Erasure.objects.create(actor=actor, tips=tips, subscriptions=subscriptions)


def _require_address(email: str) -> None:
    # Nothing would be every anonymous reader's address, and half a word is in many a text.
    try:
        validate_email(email)
    except ValidationError:
        raise NotAnAddress from None


def _tips(email: str) -> QuerySet[Tip]:
    return Tip.objects.filter(reader=email.lower())


def _subscriptions(email: str) -> QuerySet[Subscription]:
    return Subscription.objects.filter(reader=email.lower())


def _erase_answers(stand_in: str) -> None:
    """The answers kept for replays may show the address, and their digest was made with it."""
    gave = Tip.objects.filter(reader=stand_in).values("pk")
    FirstAnswer.objects.filter(row_id__in=gave).update(digest="")
    subscribed = Subscription.objects.filter(reader=stand_in).values("pk")
    for first in FirstAnswer.objects.filter(row_id__in=subscribed):
        answer = json.loads(first.answer)
        answer["data"]["subscriber_email"] = stand_in
        first.answer, first.digest = json.dumps(answer), ""
        first.save(update_fields=["answer", "digest"])


def _drop_mails(stand_in: str) -> None:
    """The mails that wait to tell a creator of the reader: they quote the name, the words or the address."""
    mails.withdraw_tips(Tip.objects.filter(reader=stand_in).values_list("pk", flat=True))
    late = SubscriptionEvent.objects.filter(
        subscription__reader=stand_in, kind=SubscriptionEvent.Kind.PAST_DUE
    )
    mails.withdraw_past_due(late.values_list("pk", flat=True))


def _erase_words(email: str) -> None:
    """Where staff, Stripe or the reader wrote the address into a text, or a creator into a key."""
    # Bounded, so that bob@x.co is left alone in jacob@x.co, bob@x.com and bob@x.co.uk. As it is,
    # percent-encoded, or escaped for HTML.
    ways = dict.fromkeys(re.escape(each) for each in (email, quote(email, safe=""), escape(email)))
    written = re.compile(rf"(?<![\w.+-])(?:{'|'.join(ways)})(?![\w-]|\.\w)", re.IGNORECASE)
    for first in FirstAnswer.objects.filter(_may_hold(email, "key")).iterator():
        if written.search(first.key):
            FirstAnswer.objects.filter(pk=first.pk).update(key=f"{REMOVED} {first.pk}")
    for model, fields in TEXTS:
        for field in fields:
            for row in model._default_manager.filter(_may_hold(email, field)).iterator():
                text = getattr(row, field)
                if (without := _without(text, written)) != text:
                    longest = getattr(model._meta.get_field(field), "max_length", None)
                    setattr(row, field, without if longest is None else without[:longest])
                    row.save(update_fields=[field])
    _drop_mails_with(email, written)


def _drop_mails_with(email: str, written: re.Pattern[str]) -> None:
    """Dropped whole, not rewritten: one that goes out at this very moment must end empty all the same."""
    may_hold = _may_hold(email, "subject") | _may_hold(email, "text") | _may_hold(email, "html")
    waiting = OutgoingMail.objects.filter(may_hold, state=OutgoingMail.State.WAITING)
    told = [
        mail.fact
        for mail in waiting.iterator()
        if written.search(f"{mail.subject}\n{mail.text}\n{mail.html}")
    ]
    outbox.withdraw(told)


def _may_hold(email: str, field: str) -> Q:
    """Which texts are worth reading: as it is, for HTML, percent-encoded, or with JSON's \\u00xx in it."""
    local_part = email.rpartition("@")[0]
    return (
        Q(**{f"{field}__icontains": f"{local_part}@"})
        | Q(**{f"{field}__icontains": f"{escape(local_part)}@"})
        | Q(**{f"{field}__icontains": f"{quote(local_part, safe='')}%40"})
        | Q(**{f"{field}__iregex": r"\\u00[2-7]"})
    )


def _without(text: str, written: re.Pattern[str]) -> str:
    """A text without the address; where it is JSON, read as JSON."""
    try:
        told = json.loads(text)
    except ValueError:
        return written.sub(REMOVED, text)
    left = _left_of(told, written)
    return text if left == told else json.dumps(left)


def _left_of(told: Any, written: re.Pattern[str]) -> Any:
    if isinstance(told, str):
        return written.sub(REMOVED, told)
    if isinstance(told, list):
        return [_left_of(each, written) for each in told]
    if isinstance(told, dict):
        theirs = any(isinstance(told.get(name), str) and written.fullmatch(told[name]) for name in ADDRESSES)
        return {
            written.sub(REMOVED, name): None
            if theirs and BESIDE_AN_ADDRESS.fullmatch(name)
            else _left_of(value, written)
            for name, value in told.items()
        }
    return told
