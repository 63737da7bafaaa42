"""The only module that writes balances and entries.

Each function that writes is one transaction. First it updates the wallet's row with F(), which also locks the
row. Then it writes the entry. A debit checks the balance in the WHERE of this update. If PostgreSQL has to
wait for the lock, it checks the balance again on the new version of the row (READ COMMITTED). Each wallet has
its own row, so charges of different users never wait for each other.
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
    """The optional fields of an entry. Without an `id`, the entry gets a new one."""

    id: str
    feature: str
    count: int
    product: str
    idempotency_key: str
    stripe_session_id: str
    reason: str
    reverses: Entry
    effective_at: datetime


class Payment(TypedDict, total=False):
    """The payment that an adjustment replaces, and the id of the new entry."""

    id: str
    stripe_session_id: str


def unopened(user_id: str) -> Wallet:
    """Return an empty wallet for a user who has none. The wallet is not saved."""
    return Wallet(user_id=user_id)


def balance_of(user_id: str) -> int:
    """Return a user's balance in credits; 0 without a wallet. It can be negative after a clawback."""
    return Wallet.objects.filter(pk=user_id).values_list("balance", flat=True).first() or 0


@transaction.atomic
def debit(*, user_id: str, credits: int, kind: Entry.Kind, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Take credits out of a wallet.

    Raises InsufficientCredits if the balance is too low, and IntegrityError if the idempotency key was used
    before. In both cases, the wallet does not change.
    """
    assert credits > 0, "a debit takes a positive number of credits"
    affordable = Wallet.objects.filter(pk=user_id, balance__gte=credits)
    taken = {"balance": F("balance") - credits, "entries_count": F("entries_count") + 1}
    if not affordable.update(**taken):
        # Another process may have added credits after this update matched no row. So lock the row and check
        # the balance again. While we hold the lock, the balance cannot change.
        wallet = Wallet.objects.locked(user_id).first()
        balance = wallet.balance if wallet else 0
        if balance < credits:
            raise InsufficientCredits(balance=balance, required=credits)
        affordable.update(**taken)
    return _append(user_id, credits=-credits, kind=kind, actor=actor, **facts)


@transaction.atomic
def credit(*, user_id: str, credits: int, kind: Entry.Kind, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Add credits to a wallet. If the user has no wallet, it is created.

    Raises IntegrityError if the idempotency key, or the Checkout Session of a top-up, was used before.
    """
    assert credits > 0, "a credit adds a positive number of credits"
    _make_wallet(user_id)
    Wallet.objects.filter(pk=user_id).update(
        balance=F("balance") + credits, entries_count=F("entries_count") + 1
    )
    return _append(user_id, credits=credits, kind=kind, actor=actor, **facts)


def reinstate(*, user_id: str, credits: int, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Add credits whose payment came back after it was refunded or disputed."""
    kind = Entry.Kind.REINSTATEMENT
    return credit(user_id=user_id, credits=credits, kind=kind, actor=actor, **facts)


@transaction.atomic
def claw_back(*, user_id: str, credits: int, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Take back credits whose payment was refunded or disputed, even if the balance falls below 0.

    The user then owes credits: the next credits that come in pay the debt first.
    """
    assert credits > 0, "a clawback takes a positive number of credits"
    Wallet.objects.filter(pk=user_id).update(
        balance=F("balance") - credits, entries_count=F("entries_count") + 1
    )
    return _append(user_id, credits=-credits, kind=Entry.Kind.CLAWBACK, actor=actor, **facts)


@transaction.atomic
def adjust(
    *, user_id: str, credits: int, reason: str, key: str, actor: str, **payment: Unpack[Payment]
) -> Entry:
    """Correct a wallet by hand. A positive number adds credits, a negative number takes them.

    If the adjustment replaces a payment, `payment` names the Checkout Session of this payment, and the id
    that the new entry gets.

    The key belongs to one decision of one staff member. The same request with the same key returns the first
    entry and changes nothing. Raises KeyReused if another request has the same key, and InsufficientCredits
    if the balance is too low.
    """
    assert key, "an adjustment has a key: sending the form twice moves credits once"
    # Lock the wallet first. If two requests come at the same time, the second one waits, and then finds the
    # entry of the first one.
    _make_wallet(user_id)
    Wallet.objects.locked(user_id).get()
    kind = Entry.Kind.ADJUSTMENT
    if first := Entry.objects.with_key(user_id=user_id, product="", kind=kind, key=key).first():
        requested = (credits, reason, actor, payment.get("stripe_session_id", ""))
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
        **payment,
    )


@transaction.atomic
def give_back(*, entry: Entry, credits: int | None = None, reason: str, key: str, actor: str) -> Entry:
    """Give back credits of a charge. Return the new entry, which refers to the charge.

    Without `credits`, the rest of the charge is given back. The same request with the same key returns the
    first entry. Raises NothingToGiveBack if `entry` is not a charge, or if too few credits of it are left.
    Raises KeyReused if the key was used for another charge or another number of credits.
    """
    assert key, "giving back has a key: a second request moves nothing"
    user_id = entry.wallet_id
    if entry.kind not in (Entry.Kind.DEDUCT, Entry.Kind.CAPTURE):
        raise NothingToGiveBack("Only a charge can be given back")
    # Lock the wallet, so that no other process can give credits of this charge back at the same time.
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
    """Write the entry for the update that the caller has just made to the wallet.

    The caller's transaction still has the lock, so the balance read here is the balance after the update.
    The database gives the entry its `created_at`, and its `effective_at` unless the caller gives one. (The
    sandbox writes a past of its own: demo/made_up_past.py.)
    """
    balance, sequence = Wallet.objects.values_list("balance", "entries_count").get(pk=user_id)
    return Entry.objects.create(
        wallet_id=user_id,
        sequence=sequence,
        kind=kind,
        credits=credits,
        balance_after=balance,
        actor=actor,
        **facts,
    )
