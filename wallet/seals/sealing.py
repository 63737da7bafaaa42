"""Seal what is not sealed yet: the entries of every wallet, and the rows of the other append-only tables.

Sealing only reads the books and adds rows of its own, and it takes no lock that a charge waits for. Any
number of processes may seal at the same time: each begins at another wallet, and only one of them can
continue a seal. A process that is killed leaves whole seals, and the next one goes on after them.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.db import Error, transaction

from foundation.database import cluster, nodes
from foundation.errors import first_line
from wallet.seals import tables
from wallet.seals.formats import CURRENT, FORMATS, digest_sql, fixed_path, hash_sql
from wallet.seals.tables import Table

# The most entries or rows of one seal. PostgreSQL must be able to hold their text, which has at most 1 GB.
STRETCH_MAX = 10_000
# PostgreSQL also raises InternalError_ for a text above its limit: "invalid memory alloc request size".
TOO_LONG = (psycopg.errors.ProgramLimitExceeded, psycopg.errors.OutOfMemory, psycopg.errors.InternalError_)
WALLETS_AT_A_TIME = 1000
# One statement reads about so many entries: a fraction of a second.
ENTRIES_AT_A_TIME = 20_000
# How long to wait, for all tables together, for the transactions that may still add rows below a key.
SETTLING_SECONDS_MAX = 15.0
PAUSE_SECONDS = 0.02
# An entry has its time before its transaction is committed. Those of requests take seconds.
COMMITTED_WITHIN = timedelta(minutes=5)

ALL = "public.wallet_wallet wallet"
MOVED = """(
           SELECT DISTINCT wallet_id FROM public.wallet_entry WHERE created_at >= %(since)s) moved
      JOIN public.wallet_wallet wallet ON wallet.user_id = moved.wallet_id"""
# Those of these wallets after one that have entries since their last seal, and how many entries.
UNSEALED = """
    SELECT wallet.user_id, wallet.entries_count - coalesce(head.sequence, 0)
      FROM {wallets}
      LEFT JOIN LATERAL (
           SELECT seal.sequence FROM public.wallet_seal seal
            WHERE seal.wallet_id = wallet.user_id ORDER BY seal.after DESC LIMIT 1) head ON true
     WHERE wallet.user_id > %(after)s AND (%(until)s::text IS NULL OR wallet.user_id <= %(until)s)
       AND wallet.entries_count > coalesce(head.sequence, 0)
     ORDER BY wallet.user_id LIMIT %(limit)s
"""
_ENTRY = FORMATS[CURRENT].entry.as_sql("entry")
_ENTRIES_DIGEST = digest_sql(_ENTRY, order="entry.sequence")
_HASH = hash_sql(
    f"'{CURRENT}'",
    "stretch.wallet_id",
    "stretch.after::text",
    "stretch.sequence::text",
    "encode(stretch.digest, 'hex')",
    "encode(stretch.previous, 'hex')",
)
# The entries of a stretch are read by their index, wallet by wallet, so memory does not grow with them. All
# processes insert in the order of the wallets, so they cannot deadlock.
SEAL = f"""
    INSERT INTO public.wallet_seal (wallet_id, after, sequence, format, entries_digest, hash, sealed_at)
    SELECT stretch.wallet_id, stretch.after, stretch.sequence, {CURRENT}, stretch.digest, {_HASH},
           clock_timestamp()
      FROM (
           SELECT head.wallet_id, head.after, head.previous, entries.sequence, entries.digest
             FROM (SELECT wallet.user_id AS wallet_id, coalesce(last.sequence, 0) AS after,
                          last.hash AS previous
                     FROM public.wallet_wallet wallet
                     LEFT JOIN LATERAL (
                          SELECT seal.sequence, seal.hash FROM public.wallet_seal seal
                           WHERE seal.wallet_id = wallet.user_id ORDER BY seal.after DESC LIMIT 1
                          ) last ON true
                    WHERE wallet.user_id = ANY (%(wallets)s)
                    ORDER BY wallet.user_id) head
            CROSS JOIN LATERAL (
                  SELECT max(entry.sequence) AS sequence, {_ENTRIES_DIGEST} AS digest
                    FROM public.wallet_entry entry
                   WHERE entry.wallet_id = head.wallet_id
                     AND entry.sequence > head.after AND entry.sequence <= head.after + %(stretch)s) entries
            WHERE entries.sequence IS NOT NULL
            OFFSET 0) stretch
     ORDER BY stretch.wallet_id
    ON CONFLICT DO NOTHING
    RETURNING wallet_id, after, sequence
"""  # noqa: S608 (made of names of this module)

# Which transactions write to a table now. A transaction takes this lock before it gets a key. On a cluster,
# one that has entered through another node locks only the part of the table that has its rows, such as
# accounts_act_102057, on the coordinator. With the path of `_query`, the name of a table has its schema.
WRITERS = """
    SELECT coalesce(json_agg(virtualtransaction), '[]')::text FROM pg_catalog.pg_locks
     WHERE locktype = 'relation' AND relation::regclass::text ~ '^(public\\.)?{table}(_\\d+)?$'
       AND mode = 'RowExclusiveLock' AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
       AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""
# The last key of a table, and the last one that is sealed.
LAST = """
    SELECT coalesce((SELECT max({key}) FROM public.{name}), 0),
           coalesce((SELECT key FROM public.wallet_tableseal WHERE table_name = '{name}'
                      ORDER BY after DESC LIMIT 1), 0)
"""
NOT_SETTLED = "a transaction that adds rows has not ended; the next round tries again"


@dataclass
class Sealed:
    """What one round sealed, and what it could not seal: a reason by wallet or table.

    `began_at` is when the round began, by the database's clock.
    """

    began_at: datetime | None = None
    wallets: int = 0
    entries: int = 0
    rows: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def seal(
    *,
    since: datetime | None = None,
    go_on: Callable[[], bool] = lambda: True,
    on_sealed: Callable[[int], None] = lambda n: None,
) -> Sealed:
    """Seal all that is not sealed yet, in batches, until `go_on` returns False.

    With `since`, the time at which an earlier round began, only the wallets with entries since then are
    looked at. An entry of a transaction that took more than five minutes then waits for a round without
    `since`. After each statement `on_sealed` is called with the number of entries or rows that it sealed.
    """
    done = Sealed(began_at=_query("SELECT now()")[0][0])
    for each in (_wallets(done, since and since - COMMITTED_WITHIN), _tables(done)):
        for sealed in each:
            on_sealed(sealed)
            if not go_on():
                return done
    return done


@transaction.atomic
def _query(query: str, values: Any = None) -> list[Any]:
    with fixed_path() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


# --- Wallets ----------------------------------------------------------------------------------------


def _wallets(done: Sealed, since: datetime | None) -> Iterator[int]:
    """Seal the wallets after a random one, and then those before. Yield the entries of each statement."""
    start = _a_wallet()
    for first, until in ((start, None), ("", start)):
        after = first
        while unsealed := _unsealed(after, until, since):
            batch = _batch(unsealed)
            yield from _seal_batch(batch, done, STRETCH_MAX)
            after = batch[-1]


def _a_wallet() -> str:
    rows = _query("SELECT user_id FROM public.wallet_wallet ORDER BY random() LIMIT 1")
    return rows[0][0] if rows else ""


def _unsealed(after: str, until: str | None, since: datetime | None) -> list[tuple[str, int]]:
    query = UNSEALED.format(wallets=ALL if since is None else MOVED)
    return _query(query, {"after": after, "until": until, "since": since, "limit": WALLETS_AT_A_TIME})


def _batch(unsealed: list[tuple[str, int]]) -> list[str]:
    """Return the first of these wallets, until they have enough entries for one statement."""
    wallets: list[str] = []
    entries = 0
    for wallet, count in unsealed:
        wallets.append(wallet)
        entries += min(count, STRETCH_MAX)
        if entries >= ENTRIES_AT_A_TIME:
            break
    return wallets


def _seal_batch(wallets: list[str], done: Sealed, stretch: int) -> Iterator[int]:
    """Seal these wallets up to their last entries. Yield how many entries each statement sealed."""
    is_first = True
    while wallets:
        try:
            sealed = _query(SEAL, {"wallets": wallets, "stretch": stretch})
        except Error as error:
            if not isinstance(error.__cause__, TOO_LONG):
                raise
            # An entry that uses up thousands of grants is long. It must not keep other entries unsealed.
            if len(wallets) > 1:
                for wallet in wallets:
                    yield from _seal_batch([wallet], done, stretch)
            elif stretch > 1:
                yield from _seal_batch(wallets, done, stretch // 10)
            else:
                done.failed[f"wallet {wallets[0]!r}"] = first_line(error)
            return
        count = sum(sequence - after for _, after, sequence in sealed)
        done.wallets += len(sealed) if is_first else 0
        done.entries += count
        yield count
        # These may have more.
        wallets = [wallet for wallet, after, sequence in sealed if sequence - after >= stretch]
        is_first = False


# --- Tables -----------------------------------------------------------------------------------------


def _tables(done: Sealed) -> Iterator[int]:
    """Seal the rows of each table that can no longer change their number. Yield how many, after each seal."""
    give_up_at = time.monotonic() + SETTLING_SECONDS_MAX
    for table in tables.registered():
        last, sealed = _query(LAST.format(name=table.name, key=table.key))[0]
        if last <= sealed:
            continue
        key = _settled(table.name, table.key, give_up_at)
        if key is None:
            done.failed[table.name] = NOT_SETTLED
            continue
        values = {"table": table.name, "key": key}
        while sealed_rows := _query(_seal_rows_sql(table), values):
            [(rows,)] = sealed_rows
            done.rows += rows
            yield rows


def _settled(table: str, key: str, give_up_at: float) -> int | None:
    """Return a key up to which no transaction can add a row any more; 0 if the table has no row.

    A transaction that got a lower key may still be open. It holds a lock on the table since before it got its
    key. So the key of the last row is read first, and then this waits for all transactions that hold the
    lock. Returns None if they do not end in time.
    """
    [(last,)] = _query(f"SELECT coalesce(max({key}), 0) FROM public.{table}")  # noqa: S608
    writers = _writers(table)
    while writers and time.monotonic() < give_up_at:
        time.sleep(PAUSE_SECONDS)
        writers &= _writers(table)
    return None if writers else last


def _writers(table: str) -> set[tuple[str, str]]:
    """Return the transactions that write to a table now, each with its node.

    Only the coordinator has the locks of its tables, so a worker of a cluster asks each node.
    """
    query = WRITERS.replace("{table}", table)
    asked = nodes.answers(query) if cluster.is_worker() else {"": _query(query)[0][0]}
    return {(node, writer) for node, writers in asked.items() for writer in json.loads(writers)}


def _seal_rows_sql(table: Table) -> str:
    text = table.formats[table.current].as_sql("sealed", table.words_sql("sealed"))
    hash = hash_sql(
        f"'{table.current}'",
        "%(table)s::text",
        "stretch.after::text",
        "stretch.key::text",
        "stretch.rows::text",
        "encode(stretch.digest, 'hex')",
        "encode(stretch.previous, 'hex')",
    )
    return f"""
        WITH head AS (
             SELECT coalesce(seal.key, 0) AS after, seal.hash AS previous
               FROM (SELECT 1) one
               LEFT JOIN (SELECT key, hash FROM public.wallet_tableseal
                           WHERE table_name = %(table)s ORDER BY after DESC LIMIT 1) seal ON true)
        INSERT INTO public.wallet_tableseal
               (table_name, after, key, rows, format, rows_digest, hash, sealed_at)
        SELECT %(table)s, stretch.after, stretch.key, stretch.rows, {table.current},
               stretch.digest, {hash}, clock_timestamp()
          FROM (SELECT head.after, head.previous, max(sealed.{table.key}) AS key, count(*) AS rows,
                       {digest_sql(text, order=f"sealed.{table.key}")} AS digest
                  FROM head JOIN (
                       SELECT sealed.* FROM public.{table.name} sealed
                        WHERE sealed.{table.key} > (SELECT after FROM head) AND sealed.{table.key} <= %(key)s
                        ORDER BY sealed.{table.key} LIMIT {STRETCH_MAX}) sealed ON true
                 GROUP BY head.after, head.previous
                OFFSET 0) stretch
        ON CONFLICT DO NOTHING
        RETURNING rows
    """  # noqa: S608
