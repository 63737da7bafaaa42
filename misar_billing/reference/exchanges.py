"""The requests and answers that the API reference shows. A test keeps them true of the service.

`python -m tests.reference.record` writes the file; `tests/reference/` holds it against the service.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("exchanges.json")
BASE = "https://api.misar.io"  # Where the service of the exchanges is reached.


@dataclass(frozen=True)
class Request:
    """A request as it was sent. Credentials in `headers` are placeholders, such as `wsk_...`."""

    method: str
    path: str  # With the query.
    headers: Mapping[str, str]
    body: Any = None  # JSON; None if the request has no body.


@dataclass(frozen=True)
class Answer:
    """An answer, with the headers that matter to a caller."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Exchange:
    """A request and its answer. `operation` is an operation id, or None for an error of every operation.

    `name` is unique within the operation, such as `allowed` or `key_reused`.
    """

    operation: str | None
    name: str
    summary: str
    request: Request
    answer: Answer


@cache
def all_exchanges() -> tuple[Exchange, ...]:
    """Return every exchange. The first one of an operation that succeeds is the one to show."""
    return tuple(
        Exchange(
            each["operation"],
            each["name"],
            each["summary"],
            Request(**each["request"]),
            Answer(**each["answer"]),
        )
        for each in json.loads(FILE.read_text())
    )


def of(operation_id: str | None) -> list[Exchange]:
    """Return the exchanges of one operation, in the order of the file. None: those of every operation."""
    return [each for each in all_exchanges() if each.operation == operation_id]
