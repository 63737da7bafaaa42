"""Run a query that counts readers. Such a query compares coalesce(mailbox, reader)."""

from typing import Any

from django.db import connection

from foundation.mailboxes import OTHER, Addressed


def rows(model: type[Addressed], query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a query, without their last column.

    The last column says whether the model's table has rows that need a mailbox and have none: the query finds
    them with the pattern %(other)s, in a partial index that is usually empty. If it has such rows, this fills
    their mailboxes and runs the query again (docs/decisions/0019).
    """
    values = values | {"other": OTHER}
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        found = cursor.fetchall()
        if found and found[0][-1]:
            model.fill_mailboxes()
            cursor.execute(query, values)
            found = cursor.fetchall()
    return [row[:-1] for row in found]
