"""Check the seals: digest the history again, and compare it with its seals and with a seal file.

Each function yields violations in the words of the laws. The caller has begun a REPEATABLE READ transaction.
A seal tells that a stretch of history differs, not which row of it, because it has one digest of them all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import connection

from foundation.words import count
from wallet.books.laws import Violation
from wallet.seals import tables
from wallet.seals.files import NotAsWritten
from wallet.seals.formats import FORMATS, Rows, digest_sql, fixed_path, hash_sql
from wallet.seals.heads import Head, SealFile
from wallet.seals.tables import Table

# What a violation has as its law: what is wrong.
CHANGED = "Changed since it was sealed"
CHAIN = "Seals that do not continue each other"
WORDS = "Words that are not what a redaction left"
KEYS = "Rows with a key below 1, which no seal covers"
HEADS = "Missing from the books, or sealed anew, since the seal file"
FILE = "The seal file is not as it was written"
# How the remark begins of an examination that compared a seal file.
COMPARED = "Compared with the seal file"
WALLETS_AT_A_TIME = 1000
HEADS_AT_A_TIME = 1000


@dataclass
class Unsealed:
    """How many entries and rows are younger than the last seals, so that no seal can tell about them."""

    entries: int = 0
    rows: int = 0


def find_differences(
    *, unsealed: Unsealed, on_wallets: Callable[[int], None] = lambda count: None
) -> Iterator[Violation]:
    """Yield what differs from the seals, of all wallets and tables.

    Counts in `unsealed` what has no seal yet. After each batch of wallets, `on_wallets` is called with their
    number.
    """
    _show_all_rows()
    for table in tables.registered():
        yield from _table(table, unsealed)
    after = ""
    while batch := _query(NEXT_WALLETS, {"after": after, "limit": WALLETS_AT_A_TIME}):
        wallets = [wallet for (wallet,) in batch]
        yield from _wallets(wallets, unsealed)
        after = wallets[-1]
        on_wallets(len(wallets))


def find_differences_of(
    wallets: Iterable[str], *, unsealed: Unsealed, on_wallets: Callable[[int], None] = lambda count: None
) -> Iterator[Violation]:
    """Yield what differs from the seals of these wallets; see `find_differences`."""
    _show_all_rows()
    rest = iter(wallets)
    while batch := list(islice(rest, WALLETS_AT_A_TIME)):
        yield from _wallets(batch, unsealed)
        on_wallets(len(batch))


def _show_all_rows() -> None:
    """Make a policy an error that would hide rows from this role."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL row_security = off")


def _query(query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with fixed_path() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall()


def _text(formats: dict[int, Rows], alias: str, words_digest: str | None = None) -> str:
    """Return the SQL for the text of a row in the format of its seal; NULL for a format that is not known."""
    texts = (f"WHEN {number} THEN {rows.as_sql(alias, words_digest)}" for number, rows in formats.items())
    return f"CASE seal.format {' '.join(texts)} END"


# --- Wallets ----------------------------------------------------------------------------------------

# A wallet that was deleted still has its seals.
NEXT_WALLETS = """
    SELECT user_id FROM (
        (SELECT user_id FROM public.wallet_wallet WHERE user_id > %(after)s ORDER BY user_id LIMIT %(limit)s)
         UNION
        (SELECT DISTINCT wallet_id FROM public.wallet_seal WHERE wallet_id > %(after)s
          ORDER BY wallet_id LIMIT %(limit)s)) wallets
     ORDER BY user_id LIMIT %(limit)s
"""
_ENTRY = _text({number: each.entry for number, each in FORMATS.items()}, "entry")
_ENTRIES_DIGEST = digest_sql(_ENTRY, order="entry.sequence")
_HASH = hash_sql(
    "seal.format::text",
    "seal.wallet_id",
    "seal.after::text",
    "seal.sequence::text",
    "encode(seal.entries_digest, 'hex')",
    "encode(seal.previous, 'hex')",
)
_KNOWN = ", ".join(map(str, FORMATS))
# The first seal of each wallet that differs, and how many do. A seal of a format that this release does not
# know differs too: nothing could be compared with it.
WALLETS = f"""
    SELECT DISTINCT ON (wallet_id)
           wallet_id, after, sequence, follows, has_hash, has_entries, entries, times_fall,
           count(*) OVER (PARTITION BY wallet_id)
      FROM (
        SELECT seal.wallet_id, seal.after, seal.sequence,
               seal.after = coalesce(seal.before, 0) AS follows,
               seal.hash = {_HASH} AS has_hash,
               seal.entries_digest = stretch.digest AND seal.format IN ({_KNOWN}) AS has_entries,
               stretch.entries, stretch.times_fall
          FROM (SELECT *, lag(sequence) OVER chain AS before, lag(hash) OVER chain AS previous
                  FROM public.wallet_seal WHERE wallet_id = ANY (%(wallets)s)
                WINDOW chain AS (PARTITION BY wallet_id ORDER BY after)) seal
         CROSS JOIN LATERAL (
               SELECT {_ENTRIES_DIGEST} AS digest, count(*) AS entries, bool_or(entry.falls) AS times_fall
                 FROM (SELECT *, created_at < lag(created_at) OVER (ORDER BY sequence) AS falls
                         FROM public.wallet_entry
                        WHERE wallet_id = seal.wallet_id
                          AND sequence > seal.after AND sequence <= seal.sequence) entry) stretch
        OFFSET 0) seal
     WHERE (follows AND has_hash AND has_entries) IS NOT TRUE
     ORDER BY wallet_id, after
"""  # noqa: S608
UNSEALED_ENTRIES = """
    SELECT coalesce(sum(stretch.entries), 0)::bigint
      FROM (SELECT user_id AS id FROM public.wallet_wallet WHERE user_id = ANY (%(wallets)s)
             UNION
            SELECT wallet_id FROM public.wallet_seal WHERE wallet_id = ANY (%(wallets)s) AND after = 0) wallet
     CROSS JOIN LATERAL (
           SELECT count(*) AS entries FROM public.wallet_entry entry
            WHERE entry.wallet_id = wallet.id AND entry.sequence > coalesce((
                  SELECT seal.sequence FROM public.wallet_seal seal
                   WHERE seal.wallet_id = wallet.id ORDER BY seal.after DESC LIMIT 1), 0)) stretch
"""


def _wallets(wallets: list[str], unsealed: Unsealed) -> Iterator[Violation]:
    for wallet, after, sequence, follows, has_hash, has_entries, entries, fall, number in _query(
        WALLETS, {"wallets": wallets}
    ):
        stretch = f"entries {after + 1} to {sequence}"
        more = _later(number - 1)
        if not has_entries:
            yield Violation(CHANGED, wallet, f"{stretch}: {_entries(sequence - after, entries, fall)}{more}")
        elif not follows:
            yield Violation(CHAIN, wallet, f"{stretch}: the seal before does not end at {after}{more}")
        elif not has_hash:
            yield Violation(CHAIN, wallet, f"{stretch}: the seal has another hash{more}")
    ((entries,),) = _query(UNSEALED_ENTRIES, {"wallets": wallets})
    unsealed.entries += entries


def _later(seals: int) -> str:
    return f"; {count(seals, 'later seal')} {'differs' if seals == 1 else 'differ'} too" if seals else ""


def _entries(sealed: int, found: int, times_fall: bool | None) -> str:
    """Return what is known about the entries of a stretch that differs."""
    there = count(found, "entry", "entries")
    if found != sealed:
        return f"{there} there, {sealed} sealed: entries were {'removed' if found < sealed else 'added'}"
    if times_fall:
        return f"{there}, as many as were sealed, but changed or put in another order: their times fall"
    return f"{there}, as many as were sealed, but changed, replaced or renumbered"


# --- Tables -----------------------------------------------------------------------------------------

UNSEALED_ROWS = """
    SELECT count(*) FROM public.{name} WHERE {key} > coalesce((
           SELECT key FROM public.wallet_tableseal
            WHERE table_name = '{name}' ORDER BY after DESC LIMIT 1), 0)
"""


def _table(table: Table, unsealed: Unsealed) -> Iterator[Violation]:
    ((below,),) = _query(f"SELECT count(*) FROM public.{table.name} WHERE {table.key} < 1", {})  # noqa: S608
    if below:
        yield Violation(KEYS, table.name, f"{count(below, 'row')}")
    for after, key, rows, follows, has_hash, has_rows, found, number in _query(_seals_of(table), {}):
        stretch = f"keys {after + 1} to {key}"
        more = _later(number - 1)
        if not has_rows:
            counted = f"{count(found, 'row')}, as many as were sealed, but changed or replaced"
            if found != rows:
                word = "removed" if found < rows else "added"
                counted = f"{count(found, 'row')} there, {rows} sealed: rows were {word}"
            yield Violation(CHANGED, table.name, f"{stretch}: {counted}{more}")
        elif not follows:
            yield Violation(CHAIN, table.name, f"{stretch}: the seal before does not end at {after}{more}")
        elif not has_hash:
            yield Violation(CHAIN, table.name, f"{stretch}: the seal has another hash{more}")
    if table.has_words:
        for key, trouble in _query(_redactions_of(table), {}):
            yield Violation(WORDS, f"{table.name} {key}", trouble)
    ((rows,),) = _query(UNSEALED_ROWS.format(name=table.name, key=table.key), {})
    unsealed.rows += rows


def _seals_of(table: Table) -> str:
    """Return the query for the first seal of a table that differs, and for how many do."""
    text = _text(table.formats, "sealed", table.words_sql("sealed"))
    hash = hash_sql(
        "seal.format::text",
        "seal.table_name",
        "seal.after::text",
        "seal.key::text",
        "seal.rows::text",
        "encode(seal.rows_digest, 'hex')",
        "encode(seal.previous, 'hex')",
    )
    return f"""
        SELECT after, key, rows, follows, has_hash, has_rows, found, count(*) OVER ()
          FROM (
            SELECT seal.after, seal.key, seal.rows,
                   seal.after = coalesce(seal.before, 0) AS follows,
                   seal.hash = {hash} AS has_hash,
                   seal.rows_digest = stretch.digest AND seal.rows = stretch.rows
                   AND seal.format IN ({", ".join(map(str, table.formats))}) AS has_rows,
                   stretch.rows AS found
              FROM (SELECT *, lag(key) OVER chain AS before, lag(hash) OVER chain AS previous
                      FROM public.wallet_tableseal WHERE table_name = '{table.name}'
                    WINDOW chain AS (ORDER BY after)) seal
             CROSS JOIN LATERAL (
                   SELECT {digest_sql(text, order=f"sealed.{table.key}")} AS digest, count(*) AS rows
                     FROM public.{table.name} sealed
                    WHERE sealed.{table.key} > seal.after AND sealed.{table.key} <= seal.key) stretch
            OFFSET 0) seal
         WHERE (follows AND has_hash AND has_rows) IS NOT TRUE
         ORDER BY after LIMIT 1
    """  # noqa: S608


def _redactions_of(table: Table) -> str:
    """Return the query for redacted rows whose words are not what the redactions left.

    Redacted words have the mark of an erasure in them.
    """
    words = table.formats[table.current].words
    marked = " OR ".join(f"sealed.{word.name} LIKE '%(erased)%'" for word in words)
    return f"""
        SELECT DISTINCT redaction.key,
               CASE WHEN redaction.next IS NULL AND sealed.{table.key} IS NULL THEN 'the row is gone'
                    WHEN redaction.next IS NULL AND redaction.last AND NOT ({marked})
                    THEN 'a redaction is recorded, but the words have no mark of one'
                    ELSE 'the words are not what the redaction left' END
          FROM (SELECT *, lead(before) OVER chain AS next, lead(id) OVER chain IS NULL AS last
                  FROM public.accounts_redaction WHERE table_name = '{table.name}'
                WINDOW chain AS (PARTITION BY key ORDER BY id)) redaction
          LEFT JOIN public.{table.name} sealed ON sealed.{table.key} = redaction.key
         WHERE coalesce(redaction.next, {table.formats[table.current].words_sql("sealed")}) <> redaction.after
            OR (redaction.last AND (sealed.{table.key} IS NULL OR NOT ({marked})))
         ORDER BY redaction.key
    """  # noqa: S608


# --- The seal file ----------------------------------------------------------------------------------

# The seal that ends where a head does is the last one that begins before it.
HEADS_OF_WALLETS = """
    SELECT wallet.user_id, seal.sequence, seal.hash
      FROM public.wallet_wallet wallet
      LEFT JOIN LATERAL (
           SELECT sequence, hash FROM public.wallet_seal seal
            WHERE seal.wallet_id = wallet.user_id
              AND seal.after < (%(positions)s::bigint[])[
                  array_position(%(names)s::text[], wallet.user_id::text)]
            ORDER BY seal.after DESC LIMIT 1) seal ON true
     WHERE wallet.user_id = ANY (%(names)s::text[])
"""
# The same, for a wallet that is gone.
HEAD_OF_WALLET = """
    SELECT sequence, hash FROM public.wallet_seal
     WHERE wallet_id = %(name)s AND after < %(position)s ORDER BY after DESC LIMIT 1
"""
HEADS_OF_TABLES = """
    SELECT head.name, head.position, seal.key, seal.hash,
           to_regclass('public.' || quote_ident(head.name)) IS NOT NULL
      FROM unnest(%(names)s::text[], %(positions)s::bigint[], %(hashes)s::bytea[]) head (name, position, hash)
      LEFT JOIN LATERAL (
           SELECT key, hash FROM public.wallet_tableseal seal
            WHERE seal.table_name = head.name AND seal.after < head.position
            ORDER BY seal.after DESC LIMIT 1) seal ON true
     WHERE seal.key IS DISTINCT FROM head.position OR seal.hash IS DISTINCT FROM head.hash
"""


def compare_file(
    path: str, *, user_id: str | None = None, on_compared: Callable[[str], None] = lambda remark: None
) -> Iterator[Violation]:
    """Yield the heads of a seal file that the books lack, or have with another hash.

    With `user_id`, only the head of this wallet is compared, but all are read. A file that is damaged or was
    changed is a violation too. At the end, `on_compared` is called with a sentence that says which file it
    was. Raises FileRefused if the file cannot be read.
    """
    ends: list[Violation | str] = []
    yield from compare_heads(_readable(path, ends), user_id=user_id)
    for end in ends:
        if isinstance(end, Violation):
            yield end
            on_compared(f"{COMPARED} up to a line that is not as it was written.")
        else:
            on_compared(end)


def _readable(path: str, ends: list[Violation | str]) -> Iterator[Head]:
    """Yield the heads of a seal file, up to the first line that is not as it was written.

    Then add to `ends` what is wrong, or the sentence that says which file it was.
    """
    try:
        file = SealFile(path)
        yield from file
        ends.append(f"{COMPARED} of {file.made_at.isoformat()}, root {file.root.hex()}.")
    except NotAsWritten as trouble:
        ends.append(Violation(FILE, path, trouble.detail))


def compare_heads(heads: Iterable[Head], *, user_id: str | None = None) -> Iterator[Violation]:
    """Yield those of these heads that the books lack, or have with another hash; see `compare_file`."""
    _show_all_rows()
    wanted = (head for head in heads if user_id is None or (head.kind, head.name) == ("wallet", user_id))
    while batch := list(islice(wanted, HEADS_AT_A_TIME)):
        for kind, differing in (("table", _tables_that_differ), ("wallet", _wallets_that_differ)):
            of_kind = [head for head in batch if head.kind == kind]
            for head, last, hash, is_there in differing(of_kind) if of_kind else []:
                if not is_there:
                    trouble = f"the {kind} is gone"
                elif hash is None:
                    trouble = "all of its seals are gone"
                elif last != head.position:
                    trouble = f"no seal ends there; the one before ends at {last}"
                else:
                    trouble = "the seal has another hash, so history and seals were written anew"
                yield Violation(HEADS, head.name, f"up to {head.position}: {trouble}")


# A head that differs from the books. Then the end and the hash of the seal that is there, and whether the
# wallet or the table is there.
Differing = tuple[Head, int | None, bytes | None, bool]


def _wallets_that_differ(heads: list[Head]) -> Iterator[Differing]:
    """Yield those of these heads that the books lack, or have with another hash. Each wallet has one head."""
    names, positions = [head.name for head in heads], [head.position for head in heads]
    found = {name: last for name, *last in _query(HEADS_OF_WALLETS, {"names": names, "positions": positions})}
    for head in heads:
        is_there = head.name in found
        if is_there:
            sequence, hash = found[head.name]
        else:
            of_wallet = _query(HEAD_OF_WALLET, {"name": head.name, "position": head.position})
            sequence, hash = of_wallet[0] if of_wallet else (None, None)
        if (sequence, hash and bytes(hash)) != (head.position, head.hash):
            yield head, sequence, hash, is_there


def _tables_that_differ(heads: list[Head]) -> Iterator[Differing]:
    names = [head.name for head in heads]
    values = {
        "names": names,
        "positions": [head.position for head in heads],
        "hashes": [head.hash for head in heads],
    }
    for name, _, key, hash, is_there in _query(HEADS_OF_TABLES, values):
        yield heads[names.index(name)], key, hash, is_there
