"""The only module that writes balances and entries.

A transaction that moves credits first changes the wallet's row, which also locks it, and then writes the
entry. Several charges of one wallet can be one change and several entries (SeveralCharges). The verbs that
spend credits (charges/debits.py, charges/batches.py) are built from the parts at the end of this module. Each
wallet has its own row, so charges of different users never wait for each other.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, TypedDict, Unpack

import psycopg
from django.db import DEFAULT_DB_ALIAS, DataError, OperationalError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from foundation.database import compiled, several_rows
from foundation.database.compiled import Call, Rows, Slot, number, text
from wallet import identifiers
from wallet.books.models import Entry, Wallet, WalletQuerySet


class Unproven(Exception):
    """Raised when what a process remembers of a charge is no longer true. Nothing was changed."""


class NotPlain(Exception):
    """Raised when one look at a wallet's row does not decide a debit. Nothing was changed."""


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
    hold_id: str
    effective_at: datetime


@dataclass(frozen=True)
class Standing:
    """A wallet's figures, read while the caller's transaction holds its lock.

    `read_at` is the time of the database's clock, but never before the last entry. It is None if the wallet
    holds nothing and the caller did not ask for the time. `has_overdue` says whether holds that are still
    open have reached their end. `lapsed_holds` and `lapsed_lots` are how many such holds, and how many lots
    that had ended, the caller's transaction has written off.
    """

    user_id: str
    balance: int
    held: int
    granted: int
    entries_count: int
    budgets: int
    frozen: bool
    read_at: datetime | None = None
    has_overdue: bool = False
    lapsed_holds: int = 0
    lapsed_lots: int = 0

    @property
    def now(self) -> datetime:
        """The time that decides. A caller that has locked the wallet has read it."""
        assert self.read_at is not None, "the time is read after the lock"
        return self.read_at

    @property
    def lapsed(self) -> int:
        """How many holds and lots the caller's transaction has written off."""
        return self.lapsed_holds + self.lapsed_lots

    @property
    def available(self) -> int:
        """The credits that can be spent, if no hold is overdue and no lot with a free part has ended."""
        return self.balance - self.held


def unopened(user_id: str) -> Wallet:
    """Return an empty wallet for a user who has none. The wallet is not saved."""
    return Wallet(user_id=user_id)


# --- Credits that come in, and payments that are taken back -------------------------------------------


@transaction.atomic
def credit(*, user_id: str, credits: int, kind: Entry.Kind, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Add credits to a wallet. If the user has no wallet, it is created.

    Raises IntegrityError if the idempotency key, or the Checkout Session of a top-up, was used before.
    """
    assert credits > 0, "a credit adds a positive number of credits"
    open_wallet(user_id)
    change(user_id, credits=credits)
    return append(user_id, credits=credits, kind=kind, actor=actor, **facts)


def reinstate(*, user_id: str, credits: int, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Add credits whose payment came back after it was refunded or disputed."""
    kind = Entry.Kind.REINSTATEMENT
    return credit(user_id=user_id, credits=credits, kind=kind, actor=actor, **facts)


@transaction.atomic
def claw_back(*, user_id: str, credits: int, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Take back credits whose payment was refunded or disputed, even if the balance falls below 0.

    The user then owes credits: the next credits that come in pay the debt first. Open holds stay.
    """
    assert credits > 0, "a clawback takes a positive number of credits"
    change(user_id, credits=-credits)
    return append(user_id, credits=-credits, kind=Entry.Kind.CLAWBACK, actor=actor, **facts)


# --- The parts of verbs -------------------------------------------------------------------------------


def open_wallet(user_id: str) -> None:
    """Create the user's wallet if it does not exist."""
    Wallet.objects.bulk_create([Wallet(user_id=user_id, created_at=timezone.now())], ignore_conflicts=True)


def lock(user_id: str, *, wait: bool = True) -> Standing | None:
    """Lock a wallet until the caller's transaction ends, and read its figures. None if there is no wallet.

    The time is read after the lock, so no later transaction of this wallet can have an earlier one. Without
    `wait`, the answer is None if another transaction has locked the wallet.
    """
    return lock_and_read(user_id, wait=wait)[0]


def lock_and_read(user_id: str, *calls: Call, wait: bool = True) -> tuple[Standing | None, list[Rows]]:
    """Lock a wallet as `lock` does, then run SELECTs in the same message. Return also the rows of each."""
    locking = LOCK if wait else LOCK_IF_FREE
    locked, read, *rows = compiled.run(
        locking(user_id=user_id), STANDING(user_id=user_id, timed=True), *calls
    )
    return (Standing(*read[0]) if locked else None), rows


def standing(user_id: str, *, timed: bool = False) -> Standing:
    """Read the figures of a wallet that the caller's transaction has changed or locked."""
    [[figures]] = compiled.run(STANDING(user_id=user_id, timed=timed))
    return Standing(*figures)


def take_plainly(
    user_id: str,
    *,
    credits: int,
    kind: Entry.Kind,
    actor: str,
    proof: Call | None = None,
    **facts: Unpack[Facts],
) -> Entry:
    """Take credits from a wallet if one look at its row says that they can be taken, and write the entry.

    Both statements go out in one message with the COMMIT, if the caller's block is the outermost one. A
    trigger gives the entry its place and what the update has left, and drops it if there was no update. If
    PostgreSQL has to wait for the lock, it checks the conditions again on the new version of the row (READ
    COMMITTED).

    Raises NotPlain if the row says no, or if holds of the wallet are overdue. `proof` is a SELECT that fails
    with a division by zero if it proves nothing; then this raises Unproven. Nothing has changed then, and the
    caller must leave its block.
    """
    columns = _columns(user_id, None, credits=-credits, kind=kind, actor=actor, facts=facts)
    taking = [TAKE(user_id=user_id, credits=credits), _append(("sequence",), *columns)(**columns)]
    try:
        *_, taken, placed = compiled.run(*([proof] if proof else []), *taking, commit=True)
    except DataError as error:
        if isinstance(error.__cause__, psycopg.errors.DivisionByZero):
            raise Unproven from error
        raise
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.ObjectNotInPrerequisiteState):
            raise NotPlain from error
        raise
    if not placed:
        raise NotPlain
    columns["balance_after"], columns["held"], columns["sequence"] = taken[0]
    # A charge does not need its times. If they are asked for later, Django reads them.
    return Entry.from_db(DEFAULT_DB_ALIAS, columns.keys(), columns.values())


def set_aside_plainly(user_id: str, credits: int, *, open_holds_max: int) -> bool:
    """Set credits aside for one more hold, under the same conditions, if few holds are open."""
    few = _affordable(user_id, credits).filter(open_holds__lt=open_holds_max)
    return bool(few.update(held=F("held") + credits, open_holds=F("open_holds") + 1))


def _affordable(user_id: str | Slot, credits: int | Slot) -> WalletQuerySet:
    return Wallet.objects.plain().filter(pk=user_id, balance__gte=F("held") + F("watch") + credits)


# The statements that charges and holds run are compiled once.
TAKE = compiled.update(
    lambda: _affordable(text("user_id"), number("credits")),
    balance=F("balance") - number("credits"),
    entries_count=F("entries_count") + 1,
    returning=["balance", "held", "entries_count"],
)
# Foreign keys to the wallet do not wait for this lock.
LOCK = compiled.select(lambda: _locking(skip_locked=False))
LOCK_IF_FREE = compiled.select(lambda: _locking(skip_locked=True))
# The time that decides about a wallet is that of the database's clock, but never before its last entry. It is
# read only if the wallet holds something (or if the caller needs it), so that a plain charge does not pay.
# Each subquery names the wallet by itself; otherwise a cluster asks every node.
STANDING = compiled.written(
    """
    SELECT user_id, balance, held, granted, entries_count, budgets, frozen, now,
           EXISTS (SELECT FROM wallet_hold
                    WHERE wallet_id = %(user_id)s AND state = 'open' AND expires_at <= wallet.now)
      FROM (SELECT user_id, balance, held, granted, entries_count, budgets, frozen,
                   CASE WHEN held > 0 OR %(timed)s THEN
                        greatest(clock_timestamp(), (
                            SELECT created_at FROM wallet_entry
                             WHERE wallet_id = %(user_id)s ORDER BY sequence DESC LIMIT 1))
                    END AS now
              FROM wallet_wallet WHERE user_id = %(user_id)s) wallet
    """
)


def _locking(*, skip_locked: bool) -> QuerySet[Wallet, tuple[str]]:
    wallets = Wallet.objects.select_for_update(no_key=True, skip_locked=skip_locked)
    return wallets.filter(pk=text("user_id")).values_list("pk")


def change(user_id: str, *, credits: int = 0, held: int = 0, open_holds: int = 0, granted: int = 0) -> None:
    """Change a wallet's figures by these numbers. If `credits` is not 0, the caller writes an entry next."""
    changes: dict[str, object] = {}
    if credits:
        changes |= {"balance": F("balance") + credits, "entries_count": F("entries_count") + 1}
    if held or open_holds:
        changes |= {"held": F("held") + held, "open_holds": F("open_holds") + open_holds}
    if granted:
        changes |= {"granted": F("granted") + granted}
    Wallet.objects.filter(pk=user_id).update(**changes)


def set_held(read: Standing, *, by: int, open_holds: int) -> Standing:
    """Change what open holds have set aside, and how many they are. Return the standing after it."""
    change(read.user_id, held=by, open_holds=open_holds)
    return replace(read, held=read.held + by)


def set_budgets(user_id: str, number: int) -> None:
    """Say how many budgets a wallet has."""
    Wallet.objects.filter(pk=user_id).update(budgets=number)


def set_frozen(user_id: str, *, frozen: bool) -> bool:
    """Freeze a wallet, or let it go on. Return whether that changed it."""
    open_wallet(user_id)
    return bool(Wallet.objects.filter(pk=user_id, frozen=not frozen).update(frozen=frozen))


def post(
    read: Standing,
    *,
    credits: int,
    kind: Entry.Kind,
    actor: str,
    held: int = 0,
    open_holds: int = 0,
    granted: int = 0,
    **facts: Unpack[Facts],
) -> tuple[Entry, Standing]:
    """Move a wallet that the caller has locked, and write the entry. Return it and the standing after it.

    `held`, `open_holds` and `granted` are how these figures of the wallet change.
    """
    change(read.user_id, credits=credits, held=held, open_holds=open_holds, granted=granted)
    after = replace(
        read,
        balance=read.balance + credits,
        held=read.held + held,
        granted=read.granted + granted,
        entries_count=read.entries_count + 1,
    )
    return append(read.user_id, credits=credits, kind=kind, actor=actor, read=after, **facts), after


# What an entry has if nothing else is given.
NOTHING: dict[str, Any] = {
    field.attname: "" if field.empty_strings_allowed and not field.null else None
    for field in Entry._meta.concrete_fields
}
# Without them, the database gives an entry its times.
TIMES = ("created_at", "effective_at")
OF_ONE_CHARGE = ("id", "sequence", "credits", "balance_after", "feature", "count", "idempotency_key")

# Guarded as a single charge is. If it changes no row, the laws refuse the entries that follow.
TAKE_SEVERAL = compiled.update(
    lambda: _affordable(text("user_id"), number("credits")),
    balance=F("balance") - number("credits"),
    entries_count=F("entries_count") + number("entries"),
    returning=["entries_count"],
)


class SeveralCharges:
    """At most 50 charges of one wallet that the caller has locked, written by one update and one insert.

    The wallet must be plain: nothing granted, no budget, not frozen. `available` is what can still be spent,
    in credits. The caller adds only what it covers.
    """

    def __init__(self, read: Standing, *, actor: str, product: str) -> None:
        self.available = read.available
        self._read = read
        self._rows: list[dict[str, Any]] = []
        given = {
            "wallet_id": read.user_id,
            "kind": Entry.Kind.DEDUCT.value,
            "held": read.held,
            "product": product,
            "actor": actor,
            "effective_at": read.now,
            "created_at": read.now,
        }
        self._shared = {name: value for name, value in (NOTHING | given).items() if name not in OF_ONE_CHARGE}

    def add(self, credits: int, *, feature: str, count: int, key: str) -> Entry:
        """Take credits (a positive number). Return the entry, which `write` saves."""
        self.available -= credits
        row = {
            "id": identifiers.transaction_id(),
            "sequence": self._read.entries_count + len(self._rows) + 1,
            "credits": -credits,
            "balance_after": self.available + self._read.held,
            "feature": feature,
            "count": count,
            "idempotency_key": key,
        }
        self._rows.append(row)
        whole = NOTHING | self._shared | row
        return Entry.from_db(DEFAULT_DB_ALIAS, list(whole), list(whole.values()))

    def write(self) -> None:
        """Move the wallet, and save the entries. If the caller's block is the outermost one, commit it."""
        if not self._rows:
            return
        taken = TAKE_SEVERAL(
            user_id=self._read.user_id,
            credits=self._read.available - self.available,
            entries=len(self._rows),
        )
        compiled.run(taken, *several_rows.inserts(Entry, self._shared, self._rows), commit=True)


def append(
    user_id: str,
    *,
    credits: int,
    kind: Entry.Kind,
    actor: str,
    read: Standing | None = None,
    **facts: Unpack[Facts],
) -> Entry:
    """Write the entry for the change that the caller's transaction has just made to the wallet.

    `read` is the wallet's standing after the change, if the caller has read it.
    """
    after = read or standing(user_id)
    reverses = facts.pop("reverses", None)
    columns = _columns(user_id, after.read_at, credits=credits, kind=kind, actor=actor, facts=facts)
    columns["reverses_id"] = reverses and reverses.pk
    columns["balance_after"], columns["held"] = after.balance, after.held
    columns["sequence"] = after.entries_count
    [[times]] = compiled.run(_append(TIMES, *columns)(**columns))
    whole = NOTHING | columns | dict(zip(TIMES, times, strict=True))
    entry = Entry.from_db(DEFAULT_DB_ALIAS, whole.keys(), whole.values())
    if reverses:
        entry.reverses = reverses
    return entry


def _columns(
    user_id: str, at: datetime | None, *, credits: int, kind: Entry.Kind, actor: str, facts: Facts
) -> dict[str, Any]:
    """Return the columns of a new entry in the order of the model, without times that the database gives."""
    given = {
        "id": identifiers.transaction_id(),
        "wallet_id": user_id,
        "kind": kind.value,
        "credits": credits,
        "actor": actor,
        **times_of(at),
        **facts,
    }
    columns = NOTHING | given
    return {name: value for name, value in columns.items() if name in given or name not in TIMES}


def times_of(at: datetime | None) -> dict[str, datetime]:
    """Return the times of an entry that is written at this time. If it is None, the database gives them.

    (The sandbox replaces this function to write a past of its own: demo/made_up_past.py.)
    """
    return {"created_at": at, "effective_at": at} if at else {}


@cache
def _append(returning: tuple[str, ...], *given: str) -> compiled.Compiled:
    """Return the statement that writes an entry with the columns `given`."""
    slots = {field.attname: Slot(field.attname, field) for field in Entry._meta.concrete_fields}
    return compiled.insert(Entry, returning=returning, **{name: slots[name] for name in given})
