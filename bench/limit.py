"""How many charges PostgreSQL makes without a web server: pgbench runs the statements of a charge.

The statements are recorded while the service's own verb makes a charge, so they are those that it runs.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from accounts.models import ServiceKey
from bench import surroundings
from bench.plan import EVERY_THREAD, Scenario
from bench.settings import DATABASE_NAME
from foundation.database.configuration import NoDatabase
from foundation.database.engine import pipeline
from foundation.database.engine.pipeline import Prepared
from foundation.errors import BillingError
from sandbox import postgres_programs
from wallet.charges import deductions
from wallet.models import Entry

# The ids of wallets are this and a number with so many digits.
PREFIX, DIGITS = "bench_", 5
SAMPLE = f"{PREFIX}sample"
# A count and a number of entries that no other value in the statements has.
SAMPLE_COUNT, SAMPLE_CHARGES = 3, 8
# The column that the update returns and the insert needs.
BALANCE = '"balance"'
CHARGES = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)
FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)
PER_SECOND = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


class LimitUnknown(BillingError):
    """Raised when pgbench fails, or the statements cannot be recorded."""


@dataclass(frozen=True)
class Limit:
    """How many charges PostgreSQL made under one load in one round."""

    scenario: Scenario
    charges: int
    per_second: float


class Pgbench:
    """The program pgbench, with a script for each load that makes the service's own charges."""

    def __init__(self, program: str, service: ServiceKey, feature: str) -> None:
        """Record the statements of a charge. The wallet of SAMPLE must be able to pay."""
        self._program = program
        self._statements = _recorded(service, feature)

    def run(self, scenario: Scenario, user_ids: Sequence[str], seconds: float) -> Limit:
        """Charge random ones of these wallets, over as many connections as the web server has threads.

        `seconds` is rounded, and at least 1.
        """
        target = surroundings.target_of(DATABASE_NAME)
        environ = os.environ | {"PGPASSWORD": str(target.pop("password", ""))}
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(self._script(user_ids))
            script.flush()
            options = {"-M": "prepared", "-c": EVERY_THREAD, "-j": 2, "-T": max(1, round(seconds))}
            done = subprocess.run(  # noqa: S603 (a program found by find_programs, arguments of our own)
                [
                    *(self._program, "--no-vacuum", "-f", script.name),
                    *(str(part) for option in options.items() for part in option),
                    psycopg.conninfo.make_conninfo(**target),
                ],
                env=environ,
                capture_output=True,
                text=True,
            )
        failed = FAILED.search(done.stdout)
        if done.returncode or failed is None or failed[1] != "0":
            complaints = [line for line in done.stderr.splitlines() if "rror" in line]
            raise LimitUnknown(f"pgbench failed: {next(iter(complaints), done.stderr or done.stdout)}")
        charges, per_second = CHARGES.findall(done.stdout), PER_SECOND.findall(done.stdout)
        return Limit(scenario, int(charges[0]), float(per_second[0]))

    def _script(self, user_ids: Sequence[str]) -> str:
        # pgbench has no variables that hold a text, so the wallet is chosen by its number.
        chosen = f"'{user_ids[0]}'" if len(user_ids) == 1 else f"'{PREFIX}' || lpad(:wallet, {DIGITS}, '0')"
        charge = (statement.replace(f"'{SAMPLE}'", chosen) for statement in self._statements)
        return "\n".join(
            [
                rf"\set wallet random(0, {len(user_ids) - 1})",
                r"\set serial random(1, 9000000000000000000)",
                *_conversation(list(charge)),
                "",
            ]
        )


def find(service: ServiceKey, feature: str) -> Pgbench | None:
    """The pgbench of the PostgreSQL that the sandbox would use; None if there is none."""
    try:
        program = postgres_programs.find_programs(os.environ).path("pgbench")
    except NoDatabase:
        return None
    return Pgbench(program, service, feature) if Path(program).exists() else None


def _recorded(service: ServiceKey, feature: str) -> list[str]:
    """The statements in the transaction of a charge, with pgbench's variables in the place of its values."""
    for number in range(SAMPLE_CHARGES):
        key = f"sample:{number}"
        with _recording() as calls:
            charge = deductions.deduct(
                service=service, user_id=SAMPLE, feature=feature, count=SAMPLE_COUNT, key=key
            )
    variables: dict[object, str] = {
        key: "'pgbench-' || :serial",
        charge.entry.pk: "'txn_pgbench_' || :serial",
        charge.entry.sequence: ":entries_count",
        charge.entry.balance_after: ":balance",
    }
    texts = [_with_variables(statement.text.decode(), values, variables) for statement, values in calls]
    if not any(Entry._meta.db_table in text for text in texts):
        raise LimitUnknown("The statements of a charge could not be recorded.")
    return texts


@contextmanager
def _recording() -> Iterator[list[tuple[Prepared, Sequence[Any]]]]:
    """Note the statements of a charge where they are handed to libpq."""
    noted: list[tuple[Prepared, Sequence[Any]]] = []
    usual = pipeline.run

    def run(target: Any, calls: Sequence[tuple[Prepared, Sequence[Any]]], **options: Any) -> Any:
        noted.extend(calls)
        return usual(target, calls, **options)

    pipeline.run = run  # type: ignore[assignment]  # It passes everything on.
    try:
        yield noted
    finally:
        pipeline.run = usual


def _with_variables(text: str, values: Sequence[Any], variables: dict[object, str]) -> str:
    """A statement for pgbench: each value that differs from charge to charge is a variable."""

    def written(place: re.Match[str]) -> str:
        value = values[int(place[1]) - 1]
        known = isinstance(value, str | int) and not isinstance(value, bool) and variables.get(value)
        literal = sql.Literal(value).as_string()
        # pgbench would take the part of a text after a colon for a variable.
        return known or (f"E{literal}".replace(":", r"\072") if ":" in literal else literal)

    return re.sub(r"\$(\d+)", written, text)


def _conversation(charge: Sequence[str]) -> Iterator[str]:
    """The lines of a script, with as few waits for an answer as pgbench can make.

    pgbench waits for a statement whose columns become variables. All others it sends together.
    """
    returning = next(
        place for place, text in enumerate(charge) if BALANCE in text.partition(" RETURNING ")[2]
    )
    yield from _together(["BEGIN", *charge[:returning]])
    yield rf"{charge[returning]} \gset"
    yield from _together([*charge[returning + 1 :], "COMMIT"])


def _together(statements: Sequence[str]) -> Iterator[str]:
    yield r"\startpipeline"
    yield from (f"{statement};" for statement in statements)
    yield r"\endpipeline"
