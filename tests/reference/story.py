"""Plays requests against the service and keeps them with their answers, with values that stay the same.

Times need no replacement: the story has a clock of its own. Ids and secrets are random, so each is replaced
by a fixed one of the same form, in requests and answers alike.
"""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.test import Client
from ulid import ULID

from foundation.http.cursors import cursor_at, row_id_of
from tests.monetization.records import clock_at
from tests.wallet.clock import Clock

BEGINNING = datetime(2026, 6, 2, 10, 15, tzinfo=UTC)
SECONDS_BETWEEN = 20
ID = re.compile(r"\b([a-z]{2,12})_([0-7][0-9a-hjkmnp-tv-z]{25})\b")
CURSOR = re.compile(r"\beyJ[A-Za-z0-9_-]+")
TOLD_HEADERS = (
    *("Retry-After", "Idempotent-Replayed", "X-RateLimit-Limit", "X-RateLimit-Remaining"),
    *("X-RateLimit-Reset", "Link", "Allow"),
)


class Story:
    """A story: its clock, its exchanges so far, and the stable values that stand for the random ones."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.set(BEGINNING)
        self.exchanges: list[dict[str, Any]] = []
        self._ids: dict[str, str] = {}
        self._words: dict[str, str] = {}

    def ask(
        self,
        caller: "Caller",
        operation: str | None,
        name: str,
        summary: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        status: int,
    ) -> Any:
        """Send one request, keep it with its answer, and return the body of the answer as it was."""
        headers = headers or {}
        response = self.send(caller, method, path, body, headers)
        assert response.status_code == status, (operation, name, response.status_code, response.content)
        sent = caller.shown | ({"Content-Type": "application/json"} if body is not None else {}) | headers
        request = {"method": method, "path": path, "headers": sent}
        if body is not None:
            request["body"] = body
        answer = response.json()
        told = {header: response[header] for header in TOLD_HEADERS if response.has_header(header)}
        if status != HTTPStatus.METHOD_NOT_ALLOWED:
            told.pop("Allow", None)  # Django REST framework sends it with every answer.
        exchange = {
            "operation": operation,
            "name": name,
            "summary": summary,
            "request": request,
            "answer": {"status": status, "headers": told, "body": answer},
        }
        self.exchanges.append(self._stable(exchange))
        return answer

    def send(self, caller: "Caller", method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        """Send one request, a little later than the last one."""
        self.pass_time(SECONDS_BETWEEN)
        data = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        content_type = headers.get("Content-Type", "application/json")
        with clock_at(self.clock.now):
            return caller.client.generic(method, path, data, content_type, headers=caller.sent | headers)

    def pass_time(self, seconds: float = 0, **parts: float) -> None:
        self.clock.advance(seconds, **parts)

    def in_days(self, days: float) -> str:
        """A midnight, so many days after the present day."""
        day = self.clock.now.replace(hour=0, minute=0, second=0) + timedelta(days=days)
        return f"{day:%Y-%m-%dT%H:%M:%SZ}"

    def show_as(self, word: str, shown: str) -> None:
        """Show a text that differs from run to run as another one."""
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
        value = CURSOR.sub(self._cursor, value)
        return ID.sub(lambda found: self._id(found[0]), value)

    def _cursor(self, found: re.Match[str]) -> str:
        row_id = row_id_of(found[0])
        return cursor_at(self._id(row_id)) if row_id else found[0]

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
