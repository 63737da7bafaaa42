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
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql

from accounts.models import ServiceKey
from bench import surroundings
from bench.plan import EVERY_THREAD, Scenario
from bench.settings import DATABASE_NAME
from foundation.database.configuration import NoDatabase
from foundation.errors import BillingError
from sandbox import postgres_programs
from wallet.charges import deductions
from wallet.models import Entry

# The ids of wallets are this and a number with so many digits.
PREFIX, DIGITS = "bench_", 5
SAMPLE = f"{PREFIX}sample"
# A count and a number of entries that no other value in the statements has.
SAMPLE_COUNT, SAMPLE_CHARGES = 3, 8
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
                *("BEGIN;", *charge, "COMMIT;", ""),
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
        statements: list[tuple[str, Any]] = []
        with _recording(statements):
            key = f"sample:{number}"
            charge = deductions.deduct(
                service=service, user_id=SAMPLE, feature=feature, count=SAMPLE_COUNT, key=key
            )
    variables = {
        key: "'pgbench-' || :serial",
        charge.entry.pk: "'txn_pgbench_' || :serial",
        charge.entry.sequence: ":entries_count",
        charge.entry.balance_after: ":balance",
    }
    texts = [
        _with_variables(text, values, variables)
        for text, values in statements
        if text not in ("BEGIN", "COMMIT")  # The script has its own.
    ]
    if not any(Entry._meta.db_table in text for text in texts):
        raise LimitUnknown("The statements of a charge could not be recorded.")
    return [_ended(text, "".join(texts[place + 1 :])) for place, text in enumerate(texts)]


@contextmanager
def _recording(statements: list[tuple[str, Any]]) -> Iterator[None]:
    """Note each statement that this process sends in a transaction, with its values, as psycopg gets it."""
    connection.ensure_connection()
    usual = connection.connection.cursor_factory

    class Recording(usual):  # type: ignore[misc, valid-type]  # The service chooses the class.
        def execute(self, query: str, params: Any = None, **options: Any) -> Any:
            if connection.in_atomic_block:
                statements.append((query, params))
            return super().execute(query, params, **options)

    connection.connection.cursor_factory = Recording
    try:
        yield
    finally:
        connection.connection.cursor_factory = usual


def _with_variables(text: str, values: Any, variables: dict[object, str]) -> str:
    """A statement for pgbench: each value that differs from charge to charge is a variable."""

    def written(value: Any) -> str:
        if isinstance(value, datetime):
            return "now()"
        known = isinstance(value, str | int) and not isinstance(value, bool) and variables.get(value)
        literal = sql.Literal(value).as_string(connection.connection)
        # pgbench would take the part of a text after a colon for a variable.
        return known or (f"E{literal}".replace(":", r"\072") if ":" in literal else literal)

    if isinstance(values, dict):
        filled = text % {name: written(value) for name, value in values.items()}
    else:
        filled = text % tuple(map(written, values or ()))
    return " ".join(filled.split())


def _ended(text: str, rest: str) -> str:
    """End a statement; its columns become variables if a later statement uses them."""
    returns = text.startswith("SELECT") or " RETURNING " in text
    return text + (r" \gset" if returns and (":balance" in rest or ":entries_count" in rest) else ";")
