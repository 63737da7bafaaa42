"""The sandbox's storage: Stripe's objects as JSON documents in one SQLite file.

The file survives the process, and several processes may use it at once: the sandbox itself, and a command
that creates a history. Inside `transaction()` several changes are one; every function joins an open one.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from foundation.text import beginning
from sandbox import directory, old_files, shapes

Body = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    object TEXT NOT NULL,
    created INTEGER NOT NULL,
    session TEXT NOT NULL,      -- the Checkout Session it belongs to
    body TEXT NOT NULL,         -- as Stripe's API shows it
    notes TEXT NOT NULL,        -- what Stripe knows and its API does not show
    due_at REAL                 -- when the background thread must change it
);
CREATE INDEX IF NOT EXISTS documents_newest ON documents (object, created, sequence);
CREATE INDEX IF NOT EXISTS documents_session ON documents (session, object);
CREATE INDEX IF NOT EXISTS documents_due ON documents (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    state TEXT NOT NULL,        -- waiting, delivered, dropped, given_up
    due_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    repeats INTEGER NOT NULL    -- how often to send it again after a good answer
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due_at) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
CREATE TABLE IF NOT EXISTS attempts (
    delivery INTEGER NOT NULL REFERENCES deliveries ON DELETE CASCADE,
    at REAL NOT NULL,
    status INTEGER,             -- of the answer; NULL if there was none
    remark TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS attempts_delivery ON attempts (delivery);
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    used_at REAL NOT NULL,
    status INTEGER,             -- NULL while the first call runs
    body TEXT
);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
TABLES = ("attempts", "deliveries", "documents", "idempotency_keys", "settings")
LOCK_SECONDS_MAX = 30
# Every second of creation, as SQLite's integers allow.
ALWAYS = (-(2**62), 2**62)


@dataclass
class Document:
    """One Stripe object. Change `body`, `notes` or `due_at`, then `save` it."""

    body: Body
    session: str
    notes: dict[str, Any] = field(default_factory=dict)
    due_at: float | None = None

    @property
    def id(self) -> str:
        return str(self.body["id"])


@dataclass(frozen=True)
class Page:
    """A page of a list, newest first."""

    documents: list[Document]
    has_more: bool


# --- The file ---------------------------------------------------------------------------------------

_open = threading.local()
_prepared: set[Path] = set()
# Set after each transaction of this process that changed a row. The background thread waits for it.
changed = threading.Event()


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """Commit all changes or none. Inside another transaction of the same thread, it is part of that one."""
    if connection := getattr(_open, "connection", None):
        yield connection
        return
    connection = _connect()
    _open.connection = connection
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
        if connection.total_changes:
            changed.set()
    finally:
        _open.connection = None
        connection.close()


def _connect() -> sqlite3.Connection:
    file = directory.path() / "stripe.sqlite3"
    if file not in _prepared or not file.exists():
        _prepare(file)
    connection = sqlite3.connect(file, timeout=LOCK_SECONDS_MAX, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")  # This survives a crash of the process.
    return connection


def _prepare(file: Path) -> None:
    with (
        directory.locked()
    ):  # Two processes may start at once, and SQLite does not wait for a lock to change its journal.
        connection = sqlite3.connect(file, timeout=LOCK_SECONDS_MAX)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
        old_files.complete(connection)
        connection.close()
    _prepared.add(file)


def forget_everything() -> None:
    """Delete all objects, deliveries and keys, and reset every setting."""
    with transaction() as connection:
        for table in TABLES:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 (a name of the tuple above)


# --- Documents --------------------------------------------------------------------------------------


def add(document: Document) -> Document:
    """Store a new object."""
    body = document.body
    if body["object"] == "balance_transaction" and body["type"] != "payout":
        document.due_at = old_files.paid_out_at(body["created"])
    with transaction() as connection:
        connection.execute(
            "INSERT INTO documents (id, object, created, session, body, notes, due_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                document.id,
                body["object"],
                body["created"],
                document.session,
                json.dumps(body),
                json.dumps(document.notes),
                document.due_at,
            ),
        )
    return document


def save(document: Document) -> None:
    """Store the changes of an object."""
    with transaction() as connection:
        connection.execute(
            "UPDATE documents SET body = ?, notes = ?, due_at = ? WHERE id = ?",
            (json.dumps(document.body), json.dumps(document.notes), document.due_at, document.id),
        )


def get(object_type: str, object_id: str) -> Document | None:
    """The object of this type and id, None if there is none."""
    with transaction() as connection:
        row = connection.execute(
            "SELECT * FROM documents WHERE id = ? AND object = ?", (object_id, object_type)
        ).fetchone()
    return _document(row) if row else None


def find(object_id: str) -> Document | None:
    """The object with this id, of any type; None if there is none."""
    with transaction() as connection:
        row = connection.execute("SELECT * FROM documents WHERE id = ?", (object_id,)).fetchone()
    return _document(row) if row else None


def of_session(object_type: str, session_id: str) -> list[Document]:
    """All objects of this type that belong to a Checkout Session, oldest first."""
    with transaction() as connection:
        rows = connection.execute(
            "SELECT * FROM documents WHERE session = ? AND object = ? ORDER BY sequence",
            (session_id, object_type),
        ).fetchall()
    return [_document(row) for row in rows]


def due(object_type: str, now: float) -> list[Document]:
    """The objects that are due for the background thread."""
    with transaction() as connection:
        rows = connection.execute(
            "SELECT * FROM documents WHERE due_at <= ? AND object = ?", (now, object_type)
        ).fetchall()
    return [_document(row) for row in rows]


def next_due(object_type: str) -> float:
    """When the next object of this type is due for the background thread; infinity if none is."""
    with transaction() as connection:
        (due_at,) = connection.execute(
            "SELECT min(due_at) FROM documents WHERE due_at IS NOT NULL AND object = ?", (object_type,)
        ).fetchone()
    return float("inf") if due_at is None else float(due_at)


def page(
    object_type: str,
    *,
    wanted: Callable[[Body], bool] = lambda body: True,
    limit: int,
    created: tuple[int, int] = ALWAYS,
    session: str | None = None,
    starting_after: str | None = None,
    ending_before: str | None = None,
) -> Page:
    """The newest objects for which `wanted` is true; those older than an id, or those just newer than one.

    `created` is the first and the last second of their creation; with a session, only its objects are read.
    An unknown id raises KeyError.
    """
    conditions = "object = ? AND created BETWEEN ? AND ?"
    values: list[Any] = [object_type, *created]
    if session is not None:
        conditions += " AND session = ?"
        values.append(session)
    with transaction() as connection:
        order = "created DESC, sequence DESC"
        if cursor := ending_before or starting_after:
            conditions += f" AND (created, sequence) {'>' if ending_before else '<'} (?, ?)"
            values += _position(connection, object_type, cursor)
        if ending_before:
            order = "created, sequence"
        rows = connection.execute(
            f"SELECT * FROM documents WHERE {conditions} ORDER BY {order}",  # noqa: S608 (the lines above)
            values,
        )
        # Read only as many as needed: the list may be long.
        matching = (document for document in map(_document, rows) if wanted(document.body))
        documents = list(islice(matching, limit + 1))
    shown = documents[:limit]
    return Page(shown[::-1] if ending_before else shown, has_more=len(documents) > limit)


def _position(connection: sqlite3.Connection, object_type: str, object_id: str) -> tuple[int, int]:
    row = connection.execute(
        "SELECT created, sequence FROM documents WHERE id = ? AND object = ?", (object_id, object_type)
    ).fetchone()
    if row is None:
        raise KeyError(object_id)
    return row["created"], row["sequence"]


def _document(row: sqlite3.Row) -> Document:
    return Document(
        body=json.loads(row["body"]),
        session=row["session"],
        notes=json.loads(row["notes"]),
        due_at=row["due_at"],
    )


# --- Settings ---------------------------------------------------------------------------------------


def settings() -> dict[str, Any]:
    """The settings that were changed, by name."""
    with transaction() as connection:
        rows = connection.execute("SELECT name, value FROM settings").fetchall()
    return {row["name"]: json.loads(row["value"]) for row in rows}


def change_settings(changes: Mapping[str, Any]) -> None:
    with transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)",
            [(name, json.dumps(value)) for name, value in changes.items()],
        )


# --- History ----------------------------------------------------------------------------------------


def add_paid_session(
    *,
    user_id: str,
    product: str,
    amount_cents: int,
    created: int,
    session_id: str | None = None,
    topup_id: str | None = None,
) -> Body:
    """Add a top-up paid in the past, as Stripe would show it today; returns the session.

    It is for creating a history: there are no events and no webhooks. The same `session_id` again returns the
    same session, unchanged.
    """
    metadata = {"type": "wallet_topup", "user_id": user_id, "product": product}
    if topup_id:
        metadata["topup_id"] = topup_id
    order = shapes.Order(
        amount=amount_cents, currency="usd", names=("Misar credits",), payment_metadata=metadata
    )
    session = shapes.checkout_session(
        order,
        session_id=session_id or shapes.new_id("cs_test_a1", 56),
        created=created,
        expires_at=created + 3600,
        metadata=metadata,
        client_reference_id=beginning(user_id, 200),
    )
    with transaction():
        if known := get("checkout.session", session["id"]):
            return known.body
        intent = shapes.payment_intent(order, created=created)
        charge = shapes.charge(intent, created=created)
        shapes.complete(session, intent)
        shapes.succeed(session, intent, charge)
        add(Document(session, session=session["id"], notes=order.as_notes()))
        for body in (intent, charge, shapes.transaction_of_charge(charge)):
            add(Document(body, session=session["id"]))
    return session
