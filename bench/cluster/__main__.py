"""`python -m bench.cluster`: what a charge costs on a cluster, compared with one server.

Both run on this machine already, and the caller names them. Exit code 0: measured, and every answer was
right; 1: something was wrong; 2: it could not be measured.
"""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

import psycopg
from django.core.exceptions import ImproperlyConfigured
from rich.console import Console

from bench import surroundings
from bench.__main__ import COULD_NOT_MEASURE, NOT_TRUSTED, TRUSTED, progress
from foundation.errors import BillingError
from sandbox import processes

ROUNDS, SECONDS = 12, 4.0


def main(arguments: Sequence[str]) -> int:
    """Measure once and report. A refusal is printed as a sentence, never as a traceback."""
    parser = ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--single", required=True, metavar="URL", help="one PostgreSQL server")
    parser.add_argument(
        "--coordinator",
        required=True,
        metavar="URL",
        help="the coordinator of a cluster, by a database that knows the workers; roles as on each worker",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="by default %(default)s")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each way in a round")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", action="store_true", help="write the figures to bench/CLUSTER.md")
    options = parser.parse_args(arguments)
    processes.exit_cleanly_on_signals()
    try:
        # The databases of a run are made and dropped on both servers.
        os.environ["DATABASE_URL"] = options.single
        with surroundings.prepared(os.environ):
            import django

            django.setup()
            from django.db import connection

            from bench import machine
            from bench.cluster import report, servers, turns

            single, cluster = servers.one(options.single), servers.cluster(options.coordinator)
            with single.made(), cluster.made(), progress(options.rounds * turns.WAYS) as on_turn:
                connection.settings_dict["NAME"] = single.name
                facts = machine.facts()
                connection.close()
                outcome = turns.run(
                    single, cluster, rounds=options.rounds, seconds=options.seconds, on_turn=on_turn
                )
            if options.json:
                sys.stdout.write(json.dumps(report.as_json(outcome, facts), indent=2) + "\n")
            else:
                report.show(outcome, facts, Console())
            if options.write:
                sys.stderr.write(f"Written: {report.write(outcome, facts)}\n")
            return NOT_TRUSTED if outcome.errors or outcome.troubles else TRUSTED
    except (BillingError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"{refusal}\n")
    except psycopg.Error as error:
        sys.stderr.write(f"A server cannot be used: {str(error).strip().splitlines()[0]}\n")
    except SystemExit:
        sys.stderr.write("The run was cut short.\n")
    return COULD_NOT_MEASURE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
