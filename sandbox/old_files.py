"""Files of older sandboxes: what a file lacks is filled in once, so that people keep their demonstration."""

import json
import sqlite3
from collections.abc import Iterator

from sandbox import shapes
from sandbox.shapes import Body

# 1: every charge, refund and dispute has its balance transactions. 2: each of these waits for its payout.
VERSION = 2
DAY_SECONDS = 86_400


def paid_out_at(created: int) -> int:
    """The first midnight (UTC) at which money that moved then may be paid out, after two days."""
    return (created // DAY_SECONDS + 3) * DAY_SECONDS


def complete(connection: sqlite3.Connection) -> None:
    """Bring a file to the present version, in one transaction. A new file is only marked."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < 1:
            _add_balance_transactions(connection)
        if version < VERSION:
            connection.execute(
                "UPDATE documents SET due_at = (created / ? + 3) * ? WHERE object = 'balance_transaction'",
                (DAY_SECONDS, DAY_SECONDS),
            )
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _add_balance_transactions(connection: sqlite3.Connection) -> None:
    rows = connection.execute(
        "SELECT id, session, body FROM documents WHERE object IN ('charge', 'refund', 'dispute')"
        " ORDER BY sequence"
    ).fetchall()
    for object_id, session, text in rows:
        body = json.loads(text)
        if body["object"] == "charge":
            body.setdefault("balance_transaction", shapes.new_id("txn_3"))
            connection.execute("UPDATE documents SET body = ? WHERE id = ?", (json.dumps(body), object_id))
        for moved in _transactions_of(body):
            connection.execute(
                "INSERT INTO documents (id, object, created, session, body, notes)"
                " VALUES (?, 'balance_transaction', ?, ?, ?, '{}')",
                (moved["id"], moved["created"], session, json.dumps(moved)),
            )


def _transactions_of(body: Body) -> Iterator[Body]:
    if body["object"] == "charge":
        yield shapes.transaction_of_charge(body)
    elif body["object"] == "dispute":
        yield from body["balance_transactions"]
    else:
        yield shapes.transaction_of_refund(body)
        if body.get("failure_balance_transaction"):
            # An older sandbox did not store when the refund failed.
            yield shapes.transaction_of_failed_refund(body, created=body["created"])
