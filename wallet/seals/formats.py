"""The canonical text of history, which seals digest: the same bytes from SQL and from Python.

A value is `-` for NULL, else `<octets>:<text>`: the length of the text in UTF-8, and the text. A row is its
values one after the other, so no two rows have the same text. A list of rows is the value of its length, and
then its rows. The text of a value does not depend on any setting of the session:

- integers are decimal
- booleans are `t` or `f`
- times are whole microseconds since 1970 in UTC
- bytes are lower-case hex
- JSON is as PostgreSQL's jsonb writes it.

A later release that needs another text adds a format to FORMATS, and seals of earlier formats stay valid. So
a format that was ever released is never changed. The SQL is made here and not in a function of the database,
which could be replaced together with the books.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# With another path, functions and operators of other schemas could replace those of PostgreSQL. Even in a
# schema that comes later, an operator whose types fit exactly wins: so `public` is not in this path.
FIXED_PATH = "SET LOCAL search_path = pg_catalog, pg_temp"


@contextmanager
def fixed_path() -> Iterator[CursorWrapper]:
    """Yield a cursor for the SQL of seals: in the block, all names are PostgreSQL's, or have their schema.

    The caller has begun a transaction. The path of before is put back at the end, for the queries of models.
    After an error the transaction is rolled back, which does the same.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_setting('search_path')")
        before = cursor.fetchone()
        cursor.execute(FIXED_PATH)
        yield cursor
        cursor.execute("SELECT pg_catalog.set_config('search_path', %s, true)", before)


@dataclass(frozen=True)
class Kind:
    """How values of one kind are written: in SQL (`{}` is the column), and in Python.

    In Python, values of other types are refused with TypeError.
    """

    sql: str
    types: tuple[type, ...]
    text: Callable[[Any], str]


def _same(value: str) -> str:
    return value


def _microseconds(value: datetime) -> str:
    return str((value - EPOCH) // MICROSECOND)


def _bit(value: bool) -> str:
    return "t" if value else "f"


def _hex(value: bytes | memoryview) -> str:
    return bytes(value).hex()


TEXT = Kind("{}", (str,), _same)
INTEGER = Kind("{}::text", (int,), str)
BOOLEAN = Kind("CASE {} WHEN true THEN 't' WHEN false THEN 'f' END", (bool,), _bit)
# extract() gives a numeric, which is exact. It also has a text for the time `infinity`.
TIME = Kind("trunc(extract(epoch FROM {}) * 1000000)::text", (datetime,), _microseconds)
BYTES = Kind("encode({}, 'hex')", (bytes, memoryview), _hex)
# In Python, the text that PostgreSQL gave.
JSON = Kind("{}::text", (str,), _same)


@dataclass(frozen=True)
class Column:
    """A column of a table, and how its values are written."""

    name: str
    kind: Kind = TEXT

    def text(self, value: Any) -> bytes:
        """Return the canonical text of a value. Raises TypeError, or ValueError for what UTF-8 can't write.

        >>> Column("reason").text("für 5:7"), Column("reason").text(None), Column("count", INTEGER).text(-12)
        (b'8:f\\xc3\\xbcr 5:7', b'-', b'3:-12')
        """
        if value is None:
            return b"-"
        if not isinstance(value, self.kind.types) or (isinstance(value, bool) and self.kind is not BOOLEAN):
            raise TypeError(f"{self.name} is of the type {type(value).__name__}")
        return value_of(self.kind.text(value))

    def as_sql(self, alias: str) -> str:
        """Return the SQL expression for the canonical text of this column."""
        return value_sql(self.kind.sql.format(f'{alias}."{self.name}"'))


def value_of(text: str | bytes | None) -> bytes:
    """Return the canonical text of a value that is text already.

    >>> value_of(""), value_of("-"), value_of(None)
    (b'0:', b'1:-', b'-')
    """
    if text is None:
        return b"-"
    octets = text.encode() if isinstance(text, str) else text
    return b"%d:%b" % (len(octets), octets)


def value_sql(text: str) -> str:
    """Return the SQL expression for the canonical text of an expression that is text already.

    The database has the encoding UTF-8, so its own count of octets is right.
    """
    return f"coalesce(octet_length({text})::text || ':' || ({text}), '-')"


@dataclass(frozen=True)
class Part:
    """Rows of another table that belong to a row: its list in the canonical text.

    `condition` names the row's alias as `{row}` and that of the part as `{part}`. At most one row of a part
    without `order` fits the condition.
    """

    name: str
    table: str
    condition: str
    rows: "Rows"
    order: str = ""

    def as_sql(self, alias: str) -> str:
        """Return the SQL expression for the canonical text of the list."""
        part = f"{alias}_{self.name}"
        text = self.rows.as_sql(part)
        order = f""" ORDER BY {part}."{self.order}" COLLATE "C\"""" if self.order else ""
        condition = self.condition.format(row=alias, part=part)
        length = value_sql("count(*)::text")
        rows = f"public.{self.table} {part} WHERE {condition}"
        return f"(SELECT {length} || coalesce(string_agg({text}, ''{order}), '') FROM {rows})"  # noqa: S608


@dataclass(frozen=True)
class Rows:
    """The canonical text of a table's rows: the columns, then the digest of `words`, then the parts.

    Of the columns in `words`, which an erasure may change later, the text has only a digest.
    """

    columns: tuple[Column, ...]
    words: tuple[Column, ...] = ()
    parts: tuple[Part, ...] = ()

    def text(self, row: Mapping[str, Any]) -> bytes:
        """Return the canonical text of a row, whose parts are lists of rows under their names.

        Raises KeyError, TypeError or ValueError for a row that a table could not have.
        """
        texts = [column.text(row[column.name]) for column in self.columns]
        if self.words:
            texts.append(value_of(self.digest_of_words(row).hex()))
        for part in self.parts:
            rows = row[part.name]
            texts.append(value_of(str(len(rows))))
            texts += [part.rows.text(each) for each in rows]
        return b"".join(texts)

    def digest_of_words(self, row: Mapping[str, Any]) -> bytes:
        """Return the SHA-256 of the canonical text of the words."""
        return hashlib.sha256(b"".join(column.text(row[column.name]) for column in self.words)).digest()

    def as_sql(self, alias: str, words_digest: str | None = None) -> str:
        """Return the SQL expression for the canonical text of a row.

        `words_digest` is an expression (bytea) that replaces the digest of the words.
        """
        texts = [column.as_sql(alias) for column in self.columns]
        if self.words:
            texts.append(value_sql(f"encode({words_digest or self.words_sql(alias)}, 'hex')"))
        texts += [part.as_sql(alias) for part in self.parts]
        return " || ".join(texts)

    def words_sql(self, alias: str) -> str:
        """Return the SQL expression (bytea) for the digest of the words."""
        words = " || ".join(column.as_sql(alias) for column in self.words)
        return f"sha256(convert_to({words}, 'UTF8'))"


def digest_of(texts: Iterable[bytes]) -> bytes:
    """Return the digest of a stretch: SHA-256 over the texts of its rows, each as a value.

    >>> digest_of([b"a", b"b"]) == hashlib.sha256(b"1:a1:b").digest()
    True
    """
    digest = hashlib.sha256()
    for text in texts:
        digest.update(value_of(text))
    return digest.digest()


def digest_sql(text: str, order: str) -> str:
    """Return the SQL aggregate (bytea) for the digest of a stretch of rows with this text."""
    return f"sha256(convert_to(coalesce(string_agg({value_sql(text)}, '' ORDER BY {order}), ''), 'UTF8'))"


def hash_of(format: int, *facts: str | int | bytes | None) -> bytes:
    """Return the hash of a seal: SHA-256 over the row of its format and its facts.

    The facts are (wallet, after, sequence, digest of the entries, hash of the seal before or None), or
    (table, after, key, rows, digest of the rows, hash of the seal before or None).
    """
    texts = (fact.hex() if isinstance(fact, bytes) else fact for fact in (format, *facts))
    values = (value_of(text if text is None else str(text)) for text in texts)
    return hashlib.sha256(b"".join(values)).digest()


def hash_sql(format: str, *facts: str) -> str:
    """Return the SQL expression (bytea) for the hash of a seal. All facts are expressions of type text."""
    row = " || ".join(value_sql(fact) for fact in (format, *facts))
    return f"sha256(convert_to({row}, 'UTF8'))"


@dataclass(frozen=True)
class Format:
    """A format of seals: what the text of an entry is. The tables name theirs in tables.py."""

    entry: Rows


def columns(text: str, kinds: Mapping[str, Kind]) -> tuple[Column, ...]:
    """Return the columns with these names, in this order; those that `kinds` does not name are text."""
    return tuple(Column(name, kinds.get(name, TEXT)) for name in text.split())


_KINDS = {
    **dict.fromkeys(("sequence", "credits", "balance_after", "held", "count", "remaining_after"), INTEGER),
    **dict.fromkeys(("requested", "refundable", "lapsed", "to_grants", "available"), INTEGER),
    **dict.fromkeys(("available_before", "ttl_seconds", "captured_count"), INTEGER),
    **dict.fromkeys(("effective_at", "created_at", "expires_at", "ended_at"), TIME),
}
_OF_WALLET = "{part}.wallet_id = {row}.wallet_id AND "

FORMATS = {
    1: Format(
        entry=Rows(
            columns(
                "wallet_id sequence id kind credits balance_after held feature count product idempotency_key"
                " stripe_session_id actor reason reverses_id hold_id effective_at created_at",
                _KINDS,
            ),
            parts=(
                Part(
                    "moves",
                    "wallet_lotmove",
                    _OF_WALLET + "{part}.sequence = {row}.sequence",
                    Rows(columns("lot_id credits remaining_after", _KINDS)),
                    order="lot_id",
                ),
                # Only the columns that never change.
                Part(
                    "lot",
                    "wallet_lot",
                    _OF_WALLET + "{part}.entry_id = {row}.id AND {row}.kind = 'grant'",
                    Rows(columns("id product reason credits created_at expires_at", _KINDS)),
                ),
                Part(
                    "give_back",
                    "wallet_giveback",
                    _OF_WALLET + "{part}.entry_id = {row}.id AND {row}.kind = 'refund'",
                    Rows(columns("requested refundable lapsed to_grants available", _KINDS)),
                ),
                Part(
                    "hold",
                    "wallet_hold",
                    _OF_WALLET + "{part}.id = {row}.hold_id AND {row}.kind = 'capture'",
                    Rows(
                        columns(
                            "id product feature count credits idempotency_key actor available_before"
                            " ttl_seconds captured_count created_at expires_at ended_at",
                            _KINDS,
                        ),
                        parts=(
                            Part(
                                "parts",
                                "wallet_holdpart",
                                _OF_WALLET + "{part}.hold_id = {row}.id",
                                Rows(columns("lot_id credits", _KINDS)),
                                order="lot_id",
                            ),
                        ),
                    ),
                ),
            ),
        )
    )
}
CURRENT = max(FORMATS)
