"""`python -m bench`: measure and show the figures; the exit code says whether they can be trusted.

0: every answer was right and the books are clean; 1: something was wrong; 2: it could not be measured.
"""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from django.core.exceptions import ImproperlyConfigured
from rich.console import Console
from rich.progress import Progress

from bench import plan, surroundings
from bench.against import commits
from bench.against import plan as against
from bench.against.commits import Commit
from foundation.errors import BillingError
from sandbox import processes

TRUSTED, NOT_TRUSTED, COULD_NOT_MEASURE = 0, 1, 2
ROUNDS_MAX = 1000
SECONDS_MAX = 60.0


def main(arguments: Sequence[str]) -> int:
    """Run once and report. A refusal is printed as a sentence, never as a traceback."""
    options = read(arguments)
    processes.exit_cleanly_on_signals()
    try:
        commit = commits.resolved(options.against) if options.against else None
        with surroundings.prepared(os.environ):
            return measure_against(commit, options) if commit else measure(options)
    except (BillingError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"{refusal}\n")
    except SystemExit:
        sys.stderr.write("The run was cut short.\n")
    return COULD_NOT_MEASURE


def read(arguments: Sequence[str]) -> Namespace:
    """The options; wrong ones print the usage and exit with 2."""
    parser = ArgumentParser(
        prog="python -m bench",
        description="Compare our charge with other ways to write one, and long histories with short ones.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a run of 20 seconds to see that it works; its figures mean nothing",
    )
    parser.add_argument(
        "--charges", action="store_true", help="measure only charges, not how reads grow with the books"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", action="store_true", help="write the figures to a file in bench")
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="only compare what a charge costs in this checkout (with changes that are not committed) and at "
        "that commit",
    )
    parser.add_argument(
        "--rounds", type=int, help=f"instead of {plan.FULL.rounds}; with --against, of {against.FULL.rounds}"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="for each variant in a round, "
        f"instead of {plan.FULL.seconds}; with --against, of {against.FULL.seconds}",
    )
    options = parser.parse_args(arguments)
    plans = against if options.against else plan
    options.plan = plans.QUICK if options.quick else plans.FULL
    changes = {name: value for name in ("rounds", "seconds") if (value := getattr(options, name)) is not None}
    options.plan = replace(options.plan, **changes)
    if not (1 <= options.plan.rounds <= ROUNDS_MAX and 0 < options.plan.seconds <= SECONDS_MAX):
        parser.error(f"1 to {ROUNDS_MAX} rounds of at most {SECONDS_MAX:.0f} seconds")
    if options.write and (options.quick or options.charges):
        parser.error("only the figures of a whole run are written")
    return options


def measure(options: Namespace) -> int:
    """Measure once, starting from an empty database, and return the exit code."""
    import django  # Not earlier: the settings are read from the environment, which is prepared by now.

    django.setup()
    from bench import histories, ledgers, machine, report, rounds

    readings: Sequence[histories.Reading] = ()
    pages: Sequence[ledgers.Page] = ()
    with surroundings.fresh_database(), surroundings.web_server() as address:
        facts = machine.facts()
        turns = sum(len(scenario.variants) for scenario in plan.SCENARIOS)
        with progress(options.plan.rounds * turns) as on_turn:
            outcome = rounds.run(options.plan, address, on_turn)
        if not options.charges:
            readings = histories.read(address, options.plan.reads, long=options.plan.long_history)
    if not options.charges:
        # In another database, since the back-office reads all entries and there must be few of them at first.
        with surroundings.fresh_database(), surroundings.web_server() as address:
            pages = ledgers.read(address, options.plan.reads, long=options.plan.long_ledger)
    measured = report.Measured(outcome, readings, pages, facts)
    if options.json:
        sys.stdout.write(json.dumps(report.as_json(measured), indent=2) + "\n")
    else:
        report.show(measured, Console())
    if options.write:
        sys.stderr.write(f"Written: {report.write(measured)}\n")
    return NOT_TRUSTED if outcome.errors or outcome.troubles else TRUSTED


def measure_against(commit: Commit, options: Namespace) -> int:
    """Measure this checkout and another one in turn, and return the exit code."""
    import django

    django.setup()
    from bench import machine
    from bench.against import checkouts, report, turns

    with checkouts.both(commit) as both:
        facts = machine.facts()
        with progress(options.plan.rounds * len(against.CONTESTANTS)) as on_turn:
            outcome = turns.run(both, options.plan, on_turn)
    measured = report.Measured(commit.title, options.plan, outcome, facts)
    if options.json:
        sys.stdout.write(json.dumps(report.as_json(measured), indent=2) + "\n")
    else:
        report.show(measured, Console())
    if options.write:
        sys.stderr.write(f"Written: {report.write(measured)}\n")
    return NOT_TRUSTED if outcome.errors or outcome.troubles else TRUSTED


@contextmanager
def progress(turns: int) -> Iterator[Callable[[], None]]:
    """A function to call after each turn. The progress is shown on stderr if that is a terminal."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task("Measuring", total=turns)
        yield lambda: shown.advance(task)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
