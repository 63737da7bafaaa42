"""Plays requests against the service and keeps them with their answers, with values that stay the same.

The story has a clock of its own. Ids and secrets are random, so each is replaced by a fixed one of the same
form, in requests and answers alike; so is the address of a checkout.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlencode

from django.test import Client
from ulid import ULID

from foundation.http.cursors import cursor_at, row_id_of
from tests.monetization.records import clock_at
from tests.wallet.clock import Clock

BEGINNING = datetime(2026, 6, 2, 10, 15, tzinfo=UTC)
SECONDS_BETWEEN = 20
ID = re.compile(r"\b([a-z]{2,12})_([0-7][0-9a-hjkmnp-tv-z]{25})\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SECRET = re.compile(r"\bmsk_([0-9a-f]{8})([0-9a-f]*)\b")
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
CURSOR = re.compile(r"\beyJ[A-Za-z0-9_-]+")
CHECKOUT = re.compile(r"^http://\S+/c/pay/\S+$")
CHECKOUT_SESSION = "cs_test_b1Wm4zQd7pN2xT6rVgJkHs9E"
KEPT_HEADERS = (
    *("Retry-After", "Idempotent-Replayed", "X-RateLimit-Limit", "X-RateLimit-Remaining"),
    *("X-RateLimit-Reset", "Link", "Allow"),
)


class Story:
    """A story: its clock, its exchanges so far, and the stable values that stand for the random ones."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.set(BEGINNING)
        self.exchanges: list[dict[str, Any]] = []
        self._began_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        self._ids: dict[str, str] = {}
        self._words: dict[str, str] = {}
        self._uuids: dict[str, str] = {}
        self._secrets: dict[str, str] = {}

    def operation(self, operation: str | None, method: str, path: str, **usual: Any) -> "Operation":
        """Return an operation to play. `path` may have `{}` for an id; `usual` are its usual fields."""
        return Operation(self, operation, method, path, usual)

    def send(
        self,
        caller: "Caller",
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        seconds: int = SECONDS_BETWEEN,
    ) -> Any:
        """Send one request, so much later than the last one. `body` is a text, or is sent as JSON."""
        self.clock.advance(seconds)
        data = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        content_type = headers.get("Content-Type", "application/json" if data else "")
        with clock_at(self.clock.now):
            return caller.client.generic(
                method, path, data, content_type, headers=caller.sent | dict(headers)
            )

    def keep(self, exchange: dict[str, Any]) -> None:
        """Keep an exchange, with stable values."""
        self.exchanges.append(self._stable(exchange))

    def by_operation(self) -> list[dict[str, Any]]:
        """Return the exchanges of each operation together, by status."""
        order = list(dict.fromkeys(each["operation"] for each in self.exchanges))
        place = {operation: number for number, operation in enumerate(order)}
        return sorted(self.exchanges, key=lambda each: (place[each["operation"]], each["answer"]["status"]))

    def in_days(self, days: float) -> str:
        """A midnight, so many days after the present day."""
        day = self.clock.now.replace(hour=0, minute=0, second=0) + timedelta(days=days)
        return f"{day:%Y-%m-%dT%H:%M:%SZ}"

    def show(self, word: str, shown: str) -> None:
        """Show a text that differs from run to run, or is too long, as another one."""
        self._words[word] = shown

    def _stable(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._stable(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._stable(inner) for inner in value]
        if not isinstance(value, str):
            return value
        for word, shown in self._words.items():
            value = value.replace(word, shown)
        value = CHECKOUT.sub(f"https://checkout.stripe.com/c/pay/{CHECKOUT_SESSION}", value)
        value = TIME.sub(lambda found: self._time(found[0]), value)
        value = CURSOR.sub(self._cursor, value)
        value = SECRET.sub(lambda found: self._secret(found[1], len(found[2])), value)
        value = UUID.sub(lambda found: self._uuid(found[0]), value)
        return ID.sub(lambda found: self._id(found[0]), value)

    def _cursor(self, found: re.Match[str]) -> str:
        row_id = row_id_of(found[0])
        return cursor_at(self._id(row_id)) if row_id else found[0]

    def _time(self, found: str) -> str:
        """Return the story's beginning for a time of the real clock, which the default of a column reads."""
        is_of_this_run = self._began_at <= datetime.fromisoformat(found) <= datetime.now(UTC)
        return f"{BEGINNING:%Y-%m-%dT%H:%M:%SZ}" if is_of_this_run else found

    def _secret(self, beginning: str, rest: int) -> str:
        """Return what stands for a key of a creator, or for its first characters: both begin alike."""
        digest = hashlib.sha256(f"secret {len(self._secrets)}".encode()).hexdigest()
        return f"msk_{self._secrets.setdefault(beginning, digest)[: 8 + rest]}"

    def _uuid(self, found: str) -> str:
        digest = hashlib.sha256(f"uuid {len(self._uuids)}".encode()).hexdigest()
        return self._uuids.setdefault(found, str(uuid.UUID(digest[:32], version=4)))

    def _id(self, found: str) -> str:
        """Return the id that stands for one: of the same prefix, of the story's time, and always the same."""
        if found not in self._ids:
            prefix = found.partition("_")[0]
            number = sum(each.startswith(f"{prefix}_") for each in self._ids)
            made_at = int(self.clock.now.timestamp() * 1000).to_bytes(6)
            random = hashlib.sha256(f"{prefix} {number}".encode()).digest()[:10]
            self._ids[found] = f"{prefix}_{str(ULID(made_at + random)).lower()}"
        return self._ids[found]


class Caller:
    """A caller: the headers that are sent, and the placeholders that the reference shows for them."""

    def __init__(self, sent: dict[str, str] | None = None, shown: dict[str, str] | None = None) -> None:
        self.sent, self.shown = sent or {}, shown or {}
        self.client = Client(raise_request_exception=False)


@dataclass
class Operation:
    """An operation of the API. A call plays it once and returns the body of the answer."""

    story: Story
    operation: str | None
    method: str
    path: str
    usual: dict[str, Any]

    def __call__(
        self,
        caller: Caller,
        name: str,
        summary: str,
        status: int = 200,
        /,
        *,
        on: str = "",
        raw: str | None = None,
        headers: dict[str, str] | None = None,
        but: str = "",
        **fields: Any,
    ) -> Any:
        """Play it with some fields changed, on the row `on`; `but` is left out. It is kept if it has a name.

        GET and DELETE send the fields in the query, the others as a JSON body. `raw` replaces the body.
        """
        fields = {key: value for key, value in (self.usual | fields).items() if key != but}
        path, body = self.path.format(on), cast(Any, raw)
        if self.method in ("GET", "DELETE"):
            path += f"?{urlencode(fields)}" if fields else ""
        elif raw is None:
            body = fields
        headers = headers or {}
        response = self.story.send(caller, self.method, path, body, headers)
        assert response.status_code == status, (self.operation, name, response.status_code, response.content)
        typed = {} if body is None else {"Content-Type": "application/json"}
        request: dict[str, Any] = {
            "method": self.method,
            "path": path,
            "headers": caller.shown | typed | headers,
        }
        if body is not None:
            request["body"] = _read(body)
        answer = response.json()
        kept = {header: response[header] for header in KEPT_HEADERS if response.has_header(header)}
        if status != HTTPStatus.METHOD_NOT_ALLOWED:
            kept.pop("Allow", None)  # Django REST framework sends it with every answer.
        if not name:
            return answer
        self.story.keep(
            {
                "operation": self.operation,
                "name": name,
                "summary": summary,
                "request": request,
                "answer": {"status": status, "headers": kept, "body": answer},
            }
        )
        return answer


def _read(body: Any) -> Any:
    """Return the JSON that a body is; a text that is not JSON stays a text."""
    try:
        return json.loads(body) if isinstance(body, str) else body
    except ValueError:
        return body
