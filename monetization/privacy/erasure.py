"""Erase a reader: remove the address, the name and the messages wherever they are stored.

Amounts, ids and dates do not change. A stand-in replaces the address. A reader gets one stand-in for each
creator, so no figure changes.
"""

import secrets

from django.db import transaction
from django.db.models import Q

from accounts.mail import outbox
from accounts.models import User
from foundation import erased_texts
from foundation.database.transactions import retried
from monetization import mails
from monetization.digests import writing as digests
from monetization.models import Erasure, FirstAnswer, Subscription, SubscriptionEvent, Tip
from monetization.privacy import readers
from monetization.privacy.placeholders import STAND_IN_DOMAIN


@retried
@transaction.atomic
def erase(email: str, *, actor: str) -> Erasure:
    """Erase the reader with this address, and record the erasure without the address.

    The address may be any spelling of the mailbox. A tip or subscription that another process records at the
    same moment is erased completely or not at all. If it was not erased, running this again erases it.
    """
    readers.require_address(email)
    creators = {
        *readers.tips_of(email).values_list("creator_id", flat=True),
        *readers.subscriptions_of(email).values_list("creator_id", flat=True),
    }
    tips = subscriptions = 0
    for creator_id in sorted(creators):
        stand_in = f"reader-{secrets.token_hex(8)}@{STAND_IN_DOMAIN}"
        gave = readers.tips_of(email).filter(creator_id=creator_id)
        tips += gave.update(
            email=stand_in, reader=stand_in, mailbox=None, name="", message="", message_hidden_at=None
        )
        subscribed = readers.subscriptions_of(email).filter(creator_id=creator_id)
        subscriptions += subscribed.update(subscriber_email=stand_in, reader=stand_in, mailbox=None)
        # Erase the answers after the rows. An answer and its row are written in the same transaction, so no
        # answer is missed.
        _erase_answers(stand_in)
        _drop_mails(stand_in)
        digests.write_waiting_again(User.objects.get(pk=creator_id))
    outbox.forget(email)
    _erase_keys(email)
    erased_texts.erase_from_texts(email)
    outbox.withdraw_naming(email)
    return Erasure.objects.create(actor=actor, tips=tips, subscriptions=subscriptions)


def _erase_answers(stand_in: str) -> None:
    """Empty the stored answers about the reader's rows. An empty answer can no longer be replayed.

    The digests of the answers were made with the address. Answers of an earlier release contain the address.
    """
    gave = Tip.objects.filter(reader=stand_in).values("pk")
    subscribed = Subscription.objects.filter(reader=stand_in).values("pk")
    theirs = FirstAnswer.objects.filter(Q(row_id__in=gave) | Q(row_id__in=subscribed))
    theirs.update(digest="", answer="{}")


def _drop_mails(stand_in: str) -> None:
    """Drop the mails about the reader that were not sent yet.

    These mails contain the reader's name, message or address.
    """
    mails.withdraw(mails.TIP, Tip.objects.filter(reader=stand_in).values_list("pk", flat=True))
    past_due = SubscriptionEvent.objects.filter(
        subscription__reader=stand_in, kind=SubscriptionEvent.Kind.PAST_DUE
    )
    mails.withdraw(mails.PAST_DUE, past_due.values_list("pk", flat=True))


def _erase_keys(email: str) -> None:
    """Replace the idempotency keys that contain the address."""
    for first in FirstAnswer.objects.filter(erased_texts.may_hold(email, "key")).iterator():
        if erased_texts.holds(first.key, email):
            FirstAnswer.objects.filter(pk=first.pk).update(key=f"{erased_texts.REMOVED} {first.pk}")
