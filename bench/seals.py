"""`python -m bench.seals`: how long sealing a long ledger takes, and checking its seals.

Exit code 0: the seals were clean and sealing was fast enough. 1: they were not. 2: it could not be measured.
"""

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from bench import surroundings
from foundation.errors import BillingError

ENTRIES = 1_000_000
SECONDS_OF_A_MILLION_MAX = 120.0

# A tenth of all charges used up credits of a grant, and one of 50 is the charge of a hold.
LOTS = """
    INSERT INTO wallet_lot (id, wallet_id, entry_id, product, reason, credits, remaining, held, expired,
           created_at, expires_at)
    SELECT 'grant_' || user_id, user_id, 'txn_of_' || user_id, 'blog', 'Welcome', 1000000, 0, 0, 0, now(),
           now() + interval '1 day'
      FROM wallet_wallet
"""
MOVES = """
    INSERT INTO wallet_lotmove (wallet_id, sequence, lot_id, credits, remaining_after)
    SELECT wallet_id, sequence, 'grant_' || wallet_id, credits, 1000 FROM wallet_entry
     WHERE kind = 'deduct' AND sequence %% 10 = 7
"""
HOLDS = """
    INSERT INTO wallet_hold (id, wallet_id, product, feature, count, credits, idempotency_key, actor,
           available_before, ttl_seconds, state, captured_count, created_at, expires_at, ended_at)
    SELECT 'hold_' || id, wallet_id, product, feature, 1, 1, idempotency_key, actor, 1000, 900, 'captured', 1,
           created_at, created_at + interval '15 minutes', created_at
      FROM wallet_entry WHERE kind = 'deduct' AND sequence %% 50 = 9
"""
CAPTURES = """
    UPDATE wallet_entry SET kind = 'capture', hold_id = 'hold_' || id
     WHERE kind = 'deduct' AND sequence %% 50 = 9
"""


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="python -m bench.seals", description=__doc__)
    parser.add_argument(
        "--entries", type=int, default=ENTRIES, help="how many; %(default)s if it is left out"
    )
    entries = parser.parse_args(arguments).entries
    try:
        with surroundings.prepared(os.environ):
            import django

            django.setup()
            with surroundings.fresh_database():
                return measure(entries)
    except (BillingError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"{refusal}\n")
    return 2


def measure(entries: int) -> int:
    """Seal so many entries and check the seals. Returns the exit code."""
    from bench import ledgers, machine
    from foundation.database.patience import patient
    from foundation.operators import snapshot
    from wallet.seals import checking, sealing

    with patient():
        ledgers.grow(0, entries)
        vary()
        say(machine.facts()["PostgreSQL"])
        sealed, seconds = timed(sealing.seal)
        say(f"Sealed {sealed.entries} entries of {sealed.wallets} wallets in {seconds:.1f} s.")
        nothing, again = timed(sealing.seal)
        say(f"Sealed {nothing.entries} more in {again:.2f} s, when nothing was new.")
        with snapshot():
            unsealed = checking.Unsealed()
            differences, checked = timed(lambda: list(checking.find_differences(unsealed=unsealed)))
        outcome = f"{len(differences)} differences, {unsealed.entries} unsealed"
        say(f"Checked the seals in {checked:.1f} s: {outcome}.")
    is_whole = sealed.entries == entries and not differences and not unsealed.entries
    is_fast = seconds <= SECONDS_OF_A_MILLION_MAX * entries / 1_000_000
    return 0 if is_whole and is_fast else 1


def vary() -> None:
    """Let some charges use up a grant or capture a hold, since the text of those is longer."""
    from django.db import connection, transaction

    with without_triggers(), transaction.atomic(), connection.cursor() as cursor:
        for statement in (LOTS, MOVES, HOLDS, CAPTURES):
            cursor.execute(statement, [])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


@contextmanager
def without_triggers() -> Iterator[None]:
    """Switch the triggers off. Needs a superuser, as the role of a private PostgreSQL is."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        yield
        cursor.execute("SET session_replication_role = origin")


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of a call, and how many seconds it took."""
    began = time.perf_counter()
    return call(), time.perf_counter() - began


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
