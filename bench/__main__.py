"""`python -m bench`: measure, show, and say by the exit code whether the figures can be trusted.

0: every request was answered as it should be and the books are clean; 1: not so; 2: it could not be measured.
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

from bench import surroundings
from bench.plan import FULL, QUICK, SCENARIOS, VARIANTS, Plan
from foundation.errors import BillingError
from sandbox import processes

TRUE, FALSE, COULD_NOT_MEASURE = 0, 1, 2
ROUNDS_MAX = 100
SECONDS_MAX = 60.0


def main(arguments: Sequence[str]) -> int:
    """Run once and report. A refusal is a sentence, never a traceback."""
    asked = read(arguments)
    processes.exit_cleanly_on_signals()
    try:
        with surroundings.prepared(os.environ):
            return measure(asked)
    except (BillingError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"{refusal}\n")
    except SystemExit:
        sys.stderr.write("The run was cut short.\n")
    return COULD_NOT_MEASURE


def read(arguments: Sequence[str]) -> Namespace:
    """The options, or usage and exit code 2."""
    parser = ArgumentParser(
        prog="python -m bench",
        description="Charges over HTTP beside the usual way, long histories and ledgers beside short ones.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run of 20 seconds; its figures are noise"
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON on stdout")
    parser.add_argument("--write", action="store_true", help="put the figures into bench/RESULTS.md")
    parser.add_argument("--rounds", type=int, help=f"instead of {FULL.rounds}")
    parser.add_argument("--seconds", type=float, help=f"of a variant in a round, instead of {FULL.seconds}")
    asked = parser.parse_args(arguments)
    asked.plan = QUICK if asked.quick else FULL
    chosen = {name: given for name in ("rounds", "seconds") if (given := getattr(asked, name)) is not None}
    asked.plan = replace(asked.plan, **chosen)
    if not (1 <= asked.plan.rounds <= ROUNDS_MAX and 0 < asked.plan.seconds <= SECONDS_MAX):
        parser.error(f"1 to {ROUNDS_MAX} rounds of at most {SECONDS_MAX:.0f} seconds")
    if asked.quick and asked.write:
        parser.error("a quick run is not worth writing down")
    return asked


def measure(asked: Namespace) -> int:
    """One run from an empty database to its figures; the exit code."""
    import django  # From here on, since the settings are read from the environment prepared above.

    django.setup()
    from bench import contest, figures, histories, ledgers, machine, report

    with surroundings.fresh_database(), surroundings.web_server() as address:
        facts = machine.facts()
        with progress(asked.plan) as on_turn:
            outcome = contest.hold(asked.plan, address, on_turn)
        readings = histories.read(address, asked.plan.reads, long=asked.plan.long_history)
    # A database of its own: the back-office looks at all entries there are, so there must be few at first.
    with surroundings.fresh_database(), surroundings.web_server() as address:
        pages = ledgers.read(address, asked.plan.reads, long=asked.plan.long_ledger)
    measured = report.Measured(outcome, readings, pages, facts)
    if asked.json:
        sys.stdout.write(json.dumps(figures.as_json(outcome, readings, pages, facts), indent=2) + "\n")
    else:
        report.show(measured, Console())
    if asked.write:
        sys.stderr.write(f"Written: {report.write(measured)}\n")
    return FALSE if outcome.errors or outcome.troubles else TRUE


@contextmanager
def progress(plan: Plan) -> Iterator[Callable[[], None]]:
    """A function to call after each turn, shown on stderr where that is a terminal."""
    turns = plan.rounds * len(SCENARIOS) * len(VARIANTS)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task("Measuring", total=turns)
        yield lambda: shown.advance(task)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
