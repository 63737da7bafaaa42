"""A clock of the database that a test moves, so that holds reach their end without waiting."""

from datetime import UTC, datetime, timedelta

from django.db import connection

from tests.wallet.entries import sql

# Long ago: a trigger brings the time of an entry back to the real clock's present, if it is later.
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
# PostgreSQL looks for a function in the schemas of `search_path`. So our queries find this one first. The
# triggers have a search path of their own and go on to read the real clock. The default time of an entry is
# bound to the real clock, so it is set again. While no test has set the clock, it is the real one.
CLOCKWORK = (
    "CREATE SCHEMA clockwork",
    "CREATE FUNCTION clockwork.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
    " $$ SELECT coalesce(nullif(current_setting('clockwork.now', true), '')::timestamptz,"
    " pg_catalog.clock_timestamp()) $$",
    "ALTER TABLE public.wallet_entry ALTER COLUMN created_at SET DEFAULT clockwork.clock_timestamp(),"
    " ALTER COLUMN effective_at SET DEFAULT clockwork.clock_timestamp()",
)


def make() -> None:
    """Make the clock if it is not there. On a cluster, each database of the tests has it already."""
    if sql("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'clockwork'"):
        return
    connection.check_constraints()  # A table with open business cannot be altered.
    for statement in CLOCKWORK:
        sql(statement)


class Clock:
    """The clock that the wallet's queries read until the end of the present transaction.

    It stands still between the steps of a test, so a test can reach the end of a hold to the microsecond.
    """

    def __init__(self) -> None:
        assert connection.in_atomic_block, "the clock is gone at the end of the transaction"
        make()
        sql("SET LOCAL search_path = clockwork, public, pg_catalog")
        self.set(BEGINNING)

    def set(self, now: datetime) -> None:
        self.now = now
        # Each node of a cluster reads it. (PostgreSQL alone ignores the first setting.)
        sql("SET LOCAL citus.propagate_set_commands = 'local'")
        sql(f"SET LOCAL clockwork.now = '{now.isoformat()}'")

    def advance(self, seconds: float = 0, **parts: float) -> None:
        """Move the clock forward by these seconds, or by other parts of a timedelta."""
        self.set(self.now + timedelta(seconds=seconds, **parts))

    def tick(self, seconds: float) -> None:
        """From now on, move forward by so many seconds whenever a query reads the clock."""
        later = f"current_setting('clockwork.now')::timestamptz + interval '{seconds} seconds'"
        sql(
            "CREATE OR REPLACE FUNCTION clockwork.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE"
            f" AS $$ SELECT set_config('clockwork.now', ({later})::text, true)::timestamptz $$"
        )
