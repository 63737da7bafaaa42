"""Timeouts for the commands of operators. They are longer than the timeouts of requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Long enough to wait for a short transaction. Short enough that a waiting migration does not make requests
# queue.
PATIENT_LOCK_TIMEOUT_MS = 5000


@contextmanager
def patient(alias: str = "default") -> Iterator[None]:
    """Run the block without a time limit for statements, and with a longer limit for waiting for a lock.

    Afterwards, the limits of requests apply again. Raises NeedsOwnSession if the connection leads through a
    pooler: there, the next client would have no limits.
    """
    from django.db import connections  # Not at the top: this module is imported before Django has settings.

    connection: Any = connections[alias]
    connection.require_own_session("This command")
    usual, connection.seconds_max = connection.seconds_max, None
    with connection.cursor() as cursor:
        cursor.execute(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
            f"SET lock_timeout = {PATIENT_LOCK_TIMEOUT_MS}"
        )
    try:
        yield
    finally:
        # If the connection broke or its transaction failed, the usual limits apply again without a RESET.
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(
                    "RESET statement_timeout; RESET lock_timeout; RESET idle_in_transaction_session_timeout"
                )
        connection.seconds_max = usual
