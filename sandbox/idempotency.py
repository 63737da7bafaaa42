"""Idempotency keys: the first answer to a key is replayed as long as the key is kept."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sandbox import store
from sandbox.errors import InvalidParameter, KeyInUse, KeyReused, StripeError

KEY_LENGTH_MAX = 255
KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Answer:
    """An answer of the API. `replayed` means that it was the answer to an earlier call."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


def once(key: str, *, request: str, begin: Callable[[], None], call: Callable[[], dict[str, Any]]) -> Answer:
    """Run a call, or replay the answer if its key was used already.

    `request` identifies the call. Its effect and its answer are stored in one transaction. `begin` runs
    before the transaction and may be slow. Errors of a call that had started are stored too; refused
    parameters leave the key free.
    """
    if len(key) > KEY_LENGTH_MAX:
        raise InvalidParameter(f"Idempotency keys are up to {KEY_LENGTH_MAX} characters long.")
    if known := _claim(key, digest_of(request)):
        return known
    with _released_unless_answered(key):
        try:
            begin()
            with store.transaction():
                answer = Answer(200, call())
                _remember(key, answer)
        except StripeError as error:
            if not error.executed:
                raise
            answer = Answer(error.status, error.body())
            _remember(key, answer)
    return answer


def digest_of(request: str) -> str:
    return hashlib.sha256(request.encode()).hexdigest()


def forget_unfinished() -> None:
    """Delete the keys of calls that were running when the last process ended."""
    with store.transaction() as connection:
        connection.execute("DELETE FROM idempotency_keys WHERE status IS NULL")


def _claim(key: str, request: str) -> Answer | None:
    """Reserve the key for this call, or return its stored answer."""
    with store.transaction() as connection:
        connection.execute("DELETE FROM idempotency_keys WHERE used_at < ?", (time.time() - KEPT_SECONDS,))
        row = connection.execute("SELECT * FROM idempotency_keys WHERE key = ?", (key,)).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO idempotency_keys (key, request, used_at) VALUES (?, ?, ?)",
                (key, request, time.time()),
            )
            return None
    if row["request"] != request:
        raise KeyReused(
            "Keys for idempotent requests can only be used with the same parameters they were first used "
            f"with. Try using a key other than '{key}' if you meant to execute a different request."
        )
    if row["status"] is None:
        raise KeyInUse(
            "There is currently another in-progress request using this Idempotent Key. "
            "Please try again later.",
            code="idempotency_key_in_use",
        )
    return Answer(row["status"], json.loads(row["body"]), replayed=True)


@contextmanager
def _released_unless_answered(key: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with store.transaction() as connection:
            connection.execute("DELETE FROM idempotency_keys WHERE key = ? AND status IS NULL", (key,))
        raise


def _remember(key: str, answer: Answer) -> None:
    with store.transaction() as connection:
        connection.execute(
            "UPDATE idempotency_keys SET status = ?, body = ? WHERE key = ?",
            (answer.status, json.dumps(answer.body), key),
        )
