"""`python -m soak`: break things under load and report; the exit code says whether the books came through.

0: nothing is lost or doubled, every law holds and the service resumed after every fault; 1: not so; 2: the
run could not be made, or was cut short.
"""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from functools import partial

from django.core.exceptions import ImproperlyConfigured
from rich.console import Console

from foundation.errors import BillingError
from sandbox import processes
from soak import report, surroundings
from soak.faults import FAULTS, Scene
from soak.load import Load
from soak.plan import RESUME_SECONDS_MAX, Plan
from soak.surroundings import Surroundings
from soak.tally import Tally, Window

GOOD, NOT_GOOD, COULD_NOT_RUN = 0, 1, 2
ROUNDS_MAX = 1000
SECONDS_MIN, SECONDS_MAX = 0.5, 60.0


def main(arguments: Sequence[str]) -> int:
    """Run once and report. A refusal is printed as a sentence, never as a traceback."""
    options = read(arguments)
    processes.exit_cleanly_on_signals()
    try:
        return soak(options)
    except (BillingError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"{refusal}\n")
    except SystemExit:
        sys.stderr.write("The run was cut short.\n")
    return COULD_NOT_RUN


def read(arguments: Sequence[str]) -> Namespace:
    """The options; wrong ones print the usage and exit with 2."""
    names = [fault.name for fault in FAULTS]
    parser = ArgumentParser(
        prog="python -m soak",
        description="Run the service under load, break what it stands on, and compare what callers were told "
        "with the books.",
    )
    parser.add_argument("--rounds", type=int, default=Plan.rounds, help=f"instead of {Plan.rounds}")
    parser.add_argument(
        "--seconds", type=float, default=Plan.seconds, help=f"for each fault, instead of {Plan.seconds}"
    )
    parser.add_argument(
        "--only", action="append", choices=names, default=[], metavar="FAULT", help=", ".join(names)
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    if not (1 <= options.rounds <= ROUNDS_MAX and SECONDS_MIN <= options.seconds <= SECONDS_MAX):
        parser.error(f"1 to {ROUNDS_MAX} rounds, {SECONDS_MIN} to {SECONDS_MAX:.0f} seconds")
    return options


def soak(options: Namespace) -> int:
    """Run as asked, and return the exit code."""
    plan = Plan(options.rounds, options.seconds, tuple(options.only))
    say: Callable[[str], None] = (lambda text: None) if options.json else partial(print, flush=True)
    with surroundings.prepared(os.environ) as folder:
        import django  # Not earlier: the settings are read from the environment, which is prepared by now.

        django.setup()
        from django.db import connection

        from bench import machine
        from soak import books

        say("Starting PostgreSQL, two servers and the proxy.")
        with surroundings.running(folder, plan) as around:
            tally = Tally()
            world = books.opened(list(around.addresses), tally)
            facts = machine.facts()
            connection.close()
            with Load(world) as load:
                rounds(plan, around, load, tally, say)
            measured = report.Measured(
                windows=tally.windows,
                differences=books.compare(world),
                broken_laws=books.broken_laws(),
                machine=facts,
                no_proxy=around.no_proxy,
            )
        if options.json:
            sys.stdout.write(json.dumps(report.as_json(measured), indent=2) + "\n")
        else:
            report.show(measured, Console())
    return GOOD if measured.is_good else NOT_GOOD


def rounds(plan: Plan, around: Surroundings, load: Load, tally: Tally, say: Callable[[str], None]) -> None:
    """Let every fault happen in every round."""
    chosen = [fault for fault in FAULTS if not plan.only or fault.name in plan.only]
    load.seconds_to_resume(RESUME_SECONDS_MAX)  # Every process has opened what it needs.
    for number in range(1, plan.rounds + 1):
        say(f"Round {number} of {plan.rounds}")
        for fault in chosen:
            window = Window(fault.name, number, skipped=fault.missing(around))
            tally.windows.append(window)
            if not window.skipped:
                load.run_for(plan.quiet_seconds)
                fault.run(Scene(around, load, tally, plan.seconds, number))
                seconds, waiting = load.seconds_to_resume(RESUME_SECONDS_MAX)
                window.resumed_after, window.did_not_resume = None if waiting else seconds, waiting
            say(f"  {report.line(window)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
