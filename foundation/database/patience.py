"""Longer limits for an operator's command than for a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Long enough to wait for a quick writer, short enough that requests do not queue behind a waiting migration.
PATIENT_LOCK_TIMEOUT_MS = 5000


@contextmanager
def patient(alias: str = "default") -> Iterator[None]:
    """No limit for a statement and a longer one for a lock. The limits of a request return afterwards."""
    from django.db import connections  # Here: this module is imported before there are settings.

    connection: Any = connections[alias]
    usual, connection.seconds_max = connection.seconds_max, None
    with connection.cursor() as cursor:
        cursor.execute(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
            f"SET lock_timeout = {PATIENT_LOCK_TIMEOUT_MS}"
        )
    try:
        yield
    finally:
        # A connection that broke, or whose transaction failed, returns to its first limits by itself.
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(
                    "RESET statement_timeout; RESET lock_timeout; RESET idle_in_transaction_session_timeout"
                )
        connection.seconds_max = usual
