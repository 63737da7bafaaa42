"""The seal file: the heads of all wallets and tables, and the Merkle root over them, in a file that leaves.

A head is the last seal of a wallet or of a table. Its hash covers all history before it. So, with a copy of
this file on another machine, even a database that was recomputed from end to end is found out.

The first line says when the file was made and from which database. Then comes a line for each head: the
tables, then the wallets, both sorted by their names in UTF-8. The last line has the counts and the root.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from foundation.operators import database_read, snapshot
from wallet.seals import entry_lines, files, formats, merkle
from wallet.seals.files import NotAsWritten, Row

KIND = "seals"
FORMAT = 1
FETCHED_MAX = 2000

# The order of the primary key finds the last seal of each table without a sort of all of them.
TABLES = """
    SELECT table_name, key, hash FROM (
        SELECT DISTINCT ON (table_name) table_name, key, hash
        FROM public.wallet_tableseal ORDER BY table_name, after DESC
    ) head ORDER BY table_name COLLATE "C"
"""
# Each wallet has one first seal, also a wallet that is gone. So this reads two seals of each.
# (A wallet that lost its first seal is not in the file, and check_ledger --seals names it.)
WALLETS = """
    SELECT first.wallet_id, head.sequence, head.hash
      FROM public.wallet_seal first
     CROSS JOIN LATERAL (
           SELECT seal.sequence, seal.hash FROM public.wallet_seal seal
            WHERE seal.wallet_id = first.wallet_id ORDER BY seal.after DESC LIMIT 1) head
     WHERE first.after = 0
     ORDER BY first.wallet_id COLLATE "C"
"""


@dataclass(frozen=True)
class Head:
    """The last seal of a wallet or of a table: the number of the last entry or the key of the last row."""

    kind: str
    name: str
    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.kind} {files.shown(self.name)}"

    @property
    def order(self) -> tuple[str, str]:
        """What heads are sorted by. Python compares texts as their octets in UTF-8 compare."""
        return self.kind, self.name

    def leaf(self) -> merkle.Subtree:
        """Return this head as a leaf of the Merkle tree."""
        facts = (self.kind, self.name, str(self.position), self.hash.hex())
        return merkle.leaf(b"".join(formats.value_of(fact) for fact in facts))

    def row(self) -> Row:
        """Return the line of a file for this head."""
        position = "sequence" if self.kind == "wallet" else "key"
        return {self.kind: self.name, position: self.position, "hash": self.hash.hex()}


def of_row(row: Row) -> Head:
    """Return the head of a line, or raise NotAsWritten."""
    kind, position = ("wallet", "sequence") if "wallet" in row else ("table", "key")
    files.only(row, kind, position, "hash")
    name, place = files.text(row, kind), files.number(row, position, at_least=1)
    return Head(kind, name, place, files.digest(row, "hash"))


@dataclass
class Heads:
    """Heads that are counted as they come. They must come in order, so none comes twice."""

    tree: merkle.Tree
    tables: int = 0
    wallets: int = 0
    last: Head | None = None

    def count(self, head: Head) -> Head:
        """Count a head, or raise NotAsWritten if it does not come after the last one."""
        if self.last is not None and self.last.order >= head.order:
            raise NotAsWritten(f"the {head} is out of order, or there twice.")
        self.last = head
        if head.kind == "wallet":
            self.wallets += 1
        else:
            self.tables += 1
        return head

    def summary(self) -> Row:
        """Return the last line of a file with these heads."""
        return {"wallets": self.wallets, "tables": self.tables, "root": self.tree.root().hex()}


def of_books() -> Iterator[Head]:
    """Yield the heads of the books in their order, in constant memory. The caller has begun a snapshot."""
    for kind, query in (("table", TABLES), ("wallet", WALLETS)):
        for name, position, hash in fetched(query):
            yield Head(kind, name, position, bytes(hash))


def fetched(query: str, params: dict[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query through a cursor of the server, so memory does not grow with them.

    The caller has begun a snapshot. The names in the query get their meaning when the cursor is declared.
    """
    with connection.chunked_cursor() as cursor:
        with formats.fixed_path():
            cursor.execute(query, params)
        while rows := cursor.fetchmany(FETCHED_MAX):
            yield from rows


def beginning(kind: str) -> Row:
    """Return the facts that the first line of a file has: what it is, when it was made, and from what.

    The caller has begun a snapshot. The time is that of the database's clock when the snapshot began.
    """
    with formats.fixed_path() as cursor:
        cursor.execute(f"SELECT {formats.TIME.sql.format('pg_catalog.now()')}")
        made_at = entry_lines.time_from(cursor.fetchone()[0].encode())
    return {"file": kind, "format": FORMAT, "made_at": made_at, "database": database_read()}


def write(path: str, *, stdout: files.Output) -> Row:
    """Write the seal file in one snapshot and return its last line. `-` writes to `stdout`.

    Raises FileRefused if the file exists or cannot be written.
    """
    with files.writing(path, stdout=stdout) as append, snapshot():
        append(beginning(KIND))
        heads = Heads(merkle.Tree())
        for head in of_books():
            heads.tree.add(heads.count(head).leaf())
            append(head.row())
        append(heads.summary())
        return heads.summary()


def begun(row: Row, kind: str, *others: str) -> datetime:
    """Return when the file was made that begins with this row. Raises NotAsWritten for other kinds."""
    if row.get("file") != kind:
        raise NotAsWritten(f"not the first line of a file of {kind}.")
    if row.get("format") != FORMAT or isinstance(row["format"], bool):
        raise NotAsWritten("a format that this release does not know.")
    files.only(row, "file", "format", "made_at", "database", *others)
    files.text(row, "database")
    return files.moment(row, "made_at")


class SealFile:
    """A seal file that is read as a stream. Iterate over it once: it yields the heads.

    `made_at` is known at once; `wallets`, `tables` and `root` after the last head. The iteration ends with
    NotAsWritten if the heads are not in order, or if the counts or the root are not those of the heads.
    """

    def __init__(self, path: str) -> None:
        """Open the file. Raises FileRefused if it cannot be read, NotAsWritten if it is no seal file."""
        self._lines = files.Reader(path)
        self.wallets = self.tables = 0
        self.root = b""
        with self._lines.naming_the_line():
            self.made_at = begun(self._lines.first(), KIND)

    def __iter__(self) -> Iterator[Head]:
        with self._lines.naming_the_line():
            heads = Heads(merkle.Tree())
            for row in self._lines:
                if "root" in row:
                    self._end(row, heads)
                    return
                head = heads.count(of_row(row))
                heads.tree.add(head.leaf())
                yield head
            raise NotAsWritten("the file breaks off: its last line is missing.")

    def _end(self, row: Row, heads: Heads) -> None:
        files.only(row, "wallets", "tables", "root")
        if row != heads.summary():
            raise NotAsWritten("the counts or the root are not those of the heads in this file.")
        for _ in self._lines:
            raise NotAsWritten("the file goes on after its last line.")
        self.wallets, self.tables, self.root = heads.wallets, heads.tables, heads.tree.root()
