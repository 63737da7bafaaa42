"""The only writer of balances and entries.

Each verb is one transaction: a guarded F() update of the wallet's row, which takes its lock, then the entry.
The guard is on the updated row itself, so under READ COMMITTED PostgreSQL checks it again on the new version
of the row after waiting for the lock. No two wallets share a row.
"""

from datetime import datetime
from typing import TypedDict, Unpack

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from foundation.errors import KeyReused
from wallet.books.models import Entry, Wallet
from wallet.errors import InsufficientCredits, NothingToGiveBack


class Facts(TypedDict, total=False):
    """What an entry stores beside its numbers."""

    feature: str
    count: int
    product: str
    idempotency_key: str
    stripe_session_id: str
    reason: str
    reverses: Entry
    effective_at: datetime


def unopened(user_id: str) -> Wallet:
    """An empty wallet for a user who has none yet; nothing is written."""
    return Wallet(user_id=user_id)


def balance_of(user_id: str) -> int:
    """The credits a user has now; 0 for a user without a wallet. May be negative after a clawback."""
    return Wallet.objects.filter(pk=user_id).values_list("balance", flat=True).first() or 0


@transaction.atomic
def debit(*, user_id: str, credits: int, kind: Entry.Kind, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Take credits out of a wallet, or raise InsufficientCredits and change nothing.

    Raises IntegrityError if the idempotency key was used before; nothing has moved then.
    """
    assert credits > 0, "a debit takes a positive number of credits"
    affordable = Wallet.objects.filter(pk=user_id, balance__gte=credits)
    taken = {"balance": F("balance") - credits, "entries_count": F("entries_count") + 1}
    if not affordable.update(**taken):
        # Credits may have come in since. With the row locked, the answer is certain.
        wallet = Wallet.objects.locked(user_id).first()
        balance = wallet.balance if wallet else 0
        if balance < credits:
            raise InsufficientCredits(balance=balance, required=credits)
        affordable.update(**taken)
    return _append(user_id, credits=-credits, kind=kind, actor=actor, **facts)


@transaction.atomic
def credit(*, user_id: str, credits: int, kind: Entry.Kind, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Put credits into a wallet; a user's first credits create it.

    Raises IntegrityError if the idempotency key, or the Checkout Session of a top-up, was used before.
    """
    assert credits > 0, "a credit adds a positive number of credits"
    _make_wallet(user_id)
    Wallet.objects.filter(pk=user_id).update(
        balance=F("balance") + credits, entries_count=F("entries_count") + 1
    )
    return _append(user_id, credits=credits, kind=kind, actor=actor, **facts)


@transaction.atomic
def adjust(
    *, user_id: str, credits: int, reason: str, key: str, actor: str, stripe_session_id: str = ""
) -> Entry:
    """Correct a wallet by hand: a positive number adds credits, a negative one takes them.

    `stripe_session_id` names the payment that the adjustment replaces, if it does.

    The key belongs to one decision of one member of staff: the same request again returns the first entry and
    moves nothing, another request with it raises KeyReused. Raises InsufficientCredits if the wallet holds
    too little.
    """
    assert key, "an adjustment has a key: sending the form twice moves credits once"
    # Lock first: if two requests come at once, the second sees the entry of the first.
    _make_wallet(user_id)
    Wallet.objects.locked(user_id).get()
    kind = Entry.Kind.ADJUSTMENT
    if first := Entry.objects.with_key(user_id=user_id, product="", kind=kind, key=key).first():
        requested = (credits, reason, actor, stripe_session_id)
        if (first.credits, first.reason, first.actor, first.stripe_session_id) != requested:
            raise KeyReused
        return first
    move = credit if credits > 0 else debit
    return move(
        user_id=user_id,
        credits=abs(credits),
        kind=kind,
        actor=actor,
        reason=reason,
        idempotency_key=key,
        stripe_session_id=stripe_session_id,
    )


@transaction.atomic
def give_back(*, entry: Entry, credits: int | None = None, reason: str, key: str, actor: str) -> Entry:
    """Give a charge back, in whole or in part (None: what is left), as a new entry that names it.

    Raises NothingToGiveBack if more would be given back than is left of the charge. The same key again
    returns the first entry; KeyReused if that gave back another charge or amount.
    """
    assert key, "giving back has a key: a second request moves nothing"
    user_id = entry.wallet_id
    if entry.kind not in (Entry.Kind.DEDUCT, Entry.Kind.CAPTURE):
        raise NothingToGiveBack("Only a charge can be given back")
    # What is left of the charge is computed under the wallet's lock.
    Wallet.objects.locked(user_id).get()
    kind = Entry.Kind.REFUND
    if first := Entry.objects.with_key(user_id=user_id, product=entry.product, kind=kind, key=key).first():
        if first.reverses_id != entry.pk or credits not in (None, first.credits):
            raise KeyReused("This key gave back another charge")
        return first
    left = entry.charged - Entry.objects.given_back(entry)
    credits = left if credits is None else credits
    if not 0 < credits <= left:
        raise NothingToGiveBack(f"{left} credits of this charge are left to give back")
    return credit(
        user_id=user_id,
        credits=credits,
        kind=kind,
        actor=actor,
        reason=reason,
        idempotency_key=key,
        feature=entry.feature,
        product=entry.product,
        reverses=entry,
    )


def _make_wallet(user_id: str) -> None:
    """Create the user's wallet if it does not exist."""
    Wallet.objects.bulk_create([Wallet(user_id=user_id, created_at=timezone.now())], ignore_conflicts=True)


def _append(user_id: str, *, credits: int, kind: Entry.Kind, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Write the entry of an update, whose transaction still holds the lock and reads its own balance."""
    balance, sequence = Wallet.objects.values_list("balance", "entries_count").get(pk=user_id)
    now = timezone.now()
    facts.setdefault("effective_at", now)
    return Entry.objects.create(
        wallet_id=user_id,
        sequence=sequence,
        kind=kind,
        credits=credits,
        balance_after=balance,
        actor=actor,
        created_at=now,
        **facts,
    )
