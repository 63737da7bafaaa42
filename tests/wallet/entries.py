"""The books by raw SQL: what the laws must stop, and what verbs to come will be allowed."""

import re
from typing import Any

from django.db import connection
from django.utils import timezone

from tests import clusters
from tests.wallet import by_hand
from wallet import identifiers

# Whether a day has 24 hours depends on the session's time zone, so a cluster refuses such a sum in an update.
SHIFTED = re.compile(r"\b(\w+_at) ([+-]) (interval '[^']+')")


def sql(query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement past models and verbs; its rows, if it has any."""
    if query.startswith("UPDATE") and clusters.nodes():
        query = SHIFTED.sub(r"(\1 AT TIME ZONE 'UTC' \2 \3) AT TIME ZONE 'UTC'", query)
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def move(user_id: str, by: int, **entry: Any) -> str:
    """Move a wallet, and write the entry that says so, as a verb would; the entry's id.

    Columns of the entry may be given, also to say something else.
    """
    [(balance, count)] = sql(
        "UPDATE wallet_wallet SET balance = balance + %s, entries_count = entries_count + 1"
        " WHERE user_id = %s RETURNING balance, entries_count",
        by,
        user_id,
    )
    return insert_entry(user_id, **{"credits": by, "balance_after": balance, "sequence": count} | entry)


def insert_entry(user_id: str, **entry: Any) -> str:
    """Write an entry alone; an adjustment also gets its act, unless its actor is given."""
    now = timezone.now()
    is_signed = entry.get("kind", "adjustment") == "adjustment" and "actor" not in entry
    row: dict[str, Any] = {
        "id": identifiers.transaction_id(),
        "wallet_id": user_id,
        "kind": "adjustment",
        "feature": "",
        "product": "",
        "idempotency_key": "",
        "stripe_session_id": "",
        "actor": "sql",
        "reason": "",
        "effective_at": now,
        "created_at": now,
    } | entry
    if is_signed:
        row |= {"actor": by_hand.STAFF, "idempotency_key": row["idempotency_key"] or row["id"]}
    columns = ", ".join(row)
    places = ", ".join(["%s"] * len(row))
    sql(f"INSERT INTO wallet_entry ({columns}) VALUES ({places})", *row.values())
    if is_signed:
        by_hand.sign(actor=row["actor"], key=row["idempotency_key"], about=user_id)
    return str(row["id"])
