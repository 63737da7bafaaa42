"""`python -m bench.pages --against COMMIT`: how soon pages are there, at a commit and in this checkout.

It needs Chromium and the packages of the tests. Exit code 0: measured; 2: it could not be measured.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from rich.console import Console

from bench import surroundings
from bench.__main__ import COULD_NOT_MEASURE, TRUSTED, progress
from bench.against import commits
from bench.pages import sites
from bench.pages.loads import Pair, reader
from foundation.database import configuration
from foundation.errors import BillingError
from sandbox import processes

LOADS = 9
# The largest ratio that this release was allowed.
RATIO_MAX = 0.7


def main(arguments: Sequence[str]) -> int:
    """Measure once and report. A refusal is printed as a sentence, never as a traceback."""
    parser = ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the commit to compare with")
    parser.add_argument("--loads", type=int, default=LOADS, help="of each page; by default %(default)s")
    parser.add_argument("--write", action="store_true", help="write the figures to bench/PAGES.md")
    options = parser.parse_args(arguments)
    processes.exit_cleanly_on_signals()
    unchanged = dict(os.environ)  # Each checkout makes its own sandbox of it.
    try:
        commit = commits.resolved(options.against)
        data_dir = configuration.data_directory(os.environ) / "bench-pages"
        with surroundings.prepared(os.environ):
            import django

            django.setup()
            from bench import machine
            from bench.pages import report
            from bench.settings import DATABASE_NAME

            with surroundings.empty_database(DATABASE_NAME):
                facts = machine.facts()
        with commit.files() as folder:
            checkouts = {commit.title: folder, "this checkout": configuration.ROOT}
            pairs = measure(checkouts, data_dir, unchanged, loads=options.loads)
        report.show(pairs, facts, Console())
        if options.write:
            sys.stderr.write(f"Written: {report.write(pairs, facts)}\n")
        return TRUSTED
    except (BillingError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"{refusal}\n")
    except SystemExit:
        sys.stderr.write("The run was cut short.\n")
    return COULD_NOT_MEASURE


def measure(checkouts: dict[str, Path], data_dir: Path, environ: dict[str, str], *, loads: int) -> list[Pair]:
    """Load the pages of both checkouts in turn, so that a slow moment of the machine affects both."""
    with ExitStack() as stack:
        before, now = (
            stack.enter_context(sites.running(title, folder, data_dir / str(number), environ))
            for number, (title, folder) in enumerate(checkouts.items())
        )
        pairs = [
            Pair("Wallet", (now, "/wallet"), (before, "/wallet"), RATIO_MAX),
            Pair("API reference, and Swagger's page before", (now, "/docs"), (before, "/docs"), RATIO_MAX),
            Pair("API reference, and Swagger's page now", (now, "/docs"), (now, "/docs/try"), RATIO_MAX),
        ]
        load = stack.enter_context(reader([before, now]))
        on_turn = stack.enter_context(progress((loads + 1) * len(pairs)))
        for round_number in range(loads + 1):
            for pair in pairs:
                for side, (site, path) in (("ours", pair.ours), ("other", pair.other)):
                    once = load(site, path)
                    if round_number:  # The first load of each page warms the server up.
                        pair.loads[side].append(once)
                on_turn()
    return pairs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
