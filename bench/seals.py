"""`python -m bench.seals`: how long sealing a long ledger takes, and checking its seals.

Exit code 0: the seals were clean and sealing was fast enough. 1: they were not. 2: it could not be measured.
"""

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from bench import surroundings
from foundation.errors import BillingError

ENTRIES = 1_000_000
SECONDS_OF_A_MILLION_MAX = 120.0


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
    from bench import machine
    from bench.growth import books
    from foundation.database.patience import patient
    from foundation.operators import snapshot
    from wallet.seals import checking, sealing

    books.write(entries)
    with patient():
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


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of a call, and how many seconds it took."""
    began = time.perf_counter()
    return call(), time.perf_counter() - began


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
