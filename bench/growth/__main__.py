"""`python -m bench.growth`: how the cost of requests and commands grows with the number of entries.

Exit code 0: measured. 2: it could not be measured.
"""

import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured
from rich.console import Console

from bench import surroundings
from bench.growth import BLOCK
from foundation.errors import BillingError
from sandbox import processes

ENTRIES = (10_000, 1_000_000, 10_000_000)
READS = 15
CHARGING_SECONDS = 5.0


def main(arguments: Sequence[str]) -> int:
    """Measure once and report. A refusal is printed as a sentence, never as a traceback."""
    parser = ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument(
        "--entries",
        type=lengths,
        default=ENTRIES,
        metavar="N,N,...",
        help="the lengths of the books, the shortest first; by default %(default)s",
    )
    parser.add_argument("--reads", type=int, default=READS, help="of each page; by default %(default)s")
    parser.add_argument("--seconds", type=float, default=CHARGING_SECONDS, help="of charging")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", action="store_true", help="write the figures to bench/GROWTH.md")
    options = parser.parse_args(arguments)
    processes.exit_cleanly_on_signals()
    try:
        with surroundings.prepared(os.environ):
            import django

            django.setup()
            from bench.growth import measuring, report

            with surroundings.fresh_database():
                growth = measuring.growth(options.entries, times=options.reads, seconds=options.seconds)
            if options.json:
                sys.stdout.write(json.dumps(report.as_json(growth), indent=2) + "\n")
            else:
                report.show(growth, Console())
            if options.write:
                sys.stderr.write(f"Written: {report.write(growth)}\n")
            return 0
    except (BillingError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"{refusal}\n")
    except SystemExit:
        sys.stderr.write("The run was cut short.\n")
    return 2


def lengths(text: str) -> list[int]:
    """Read lengths such as `10_000,1_000_000`."""
    try:
        entries = sorted(map(int, text.split(",")))
    except ValueError as error:
        raise ArgumentTypeError("not numbers") from error
    if entries[0] < 10 * BLOCK or any(each % BLOCK for each in entries):
        raise ArgumentTypeError(f"each must be a multiple of {BLOCK}, and at least {10 * BLOCK}")
    return entries


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
