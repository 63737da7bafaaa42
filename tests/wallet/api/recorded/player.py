"""Sends the requests of a recording to a running server, and returns the answers as the recording keeps them.

A recording is a list of steps. A step is a request with its answer, or an act: what staff, an operator or
Stripe does between two requests. Parts that differ from run to run have names in two braces, such as
`{{entry 1}}`. A name stands for exactly one value in a run, so all other bytes are compared as they are.
"""

import base64
import http.client
import json
import re
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.service_keys import issue_service_key, revoke_service_key
from foundation.http.cursors import cursor_at, row_id_of
from tests.crowd import wallet_locked_by_another
from tests.wallet import by_hand
from tests.wallet.inbox import signature_of
from wallet.models import Entry
from wallet.prices import rates

FOLDER = Path(__file__).parent
TIMEOUT_SECONDS = 300
# The web server sends these by itself, or they change with the time of day.
NOT_KEPT = {"date", "server", "connection"}
ULID = "[0-9a-hjkmnp-tv-z]{26}"
ENTRY = re.compile(rf"txn_{ULID}")
CREATED = re.compile(rf'("id":"(txn_{ULID})"[^{{}}]*"created_at":")(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"')
CURSOR = re.compile(r'(?<="nextCursor":")[A-Za-z0-9_-]+(?=")')
CHECKOUT = re.compile(r"(?<=/c/pay/)cs_test_a1[A-Za-z0-9]{56}(?=\")")
REQUEST_ID = re.compile(rf"req_{ULID}")
WORD = re.compile(r"\{\{([a-z0-9_ -]+)\}\}")

Step = dict[str, Any]


def path_of(name: str) -> Path:
    """The file of a recording."""
    return FOLDER / f"{name}.json"


def read(name: str) -> list[Step]:
    """The steps of a recording."""
    stored = json.loads(path_of(name).read_text())
    steps: list[Step] = stored["steps"]
    for step in steps:
        if "answer" in step:
            step["answer"]["headers"] |= stored["headers_of_all"]
    return steps


def write(name: str, steps: list[Step]) -> None:
    """Store a recording: one line for each act, request and answer, so that a diff shows which one changed.

    Headers that all answers have are stored once.
    """
    headers = [step["answer"]["headers"] for step in steps if "answer" in step]
    common = dict(sorted(set.intersection(*(set(each.items()) for each in headers))))
    blocks = []
    for step in steps:
        if "answer" in step:
            own = {
                name: step["answer"]["headers"][name] for name in step["answer"]["headers"].keys() - common
            }
            step = step | {"answer": step["answer"] | {"headers": dict(sorted(own.items()))}}
        lines = (f"{json.dumps(part)}: {json.dumps(value)}" for part, value in step.items())
        blocks.append("{\n" + ",\n".join(lines) + "\n}")
    rows = ",\n".join(blocks)
    path_of(name).write_text(f'{{"headers_of_all": {json.dumps(common)},\n"steps": [\n{rows}\n]}}\n')


class Player:
    """Plays steps, in their order, against one server with an empty database."""

    def __init__(self, host: str, request: pytest.FixtureRequest) -> None:
        self.host, self.fixtures = host, request
        self.started_at = timezone.now().replace(microsecond=0)
        self.words: dict[str, str] = {}  # What requests may mention: name to value.
        self.names: dict[str, str] = {}  # What was found in answers: value to name.
        self.times: dict[str, str] = {}  # The id of an entry to its time.
        self.locks = ExitStack()

    def plays(self, step: Step) -> Step | None:
        """Carry out one step. Return the answer to a request; None after an act."""
        if "act" in step:
            facts = dict(step["act"])
            getattr(self, f"act_{facts.pop('is')}")(**facts)
            return None
        return self._sends(step["request"])

    # --- Requests -----------------------------------------------------------------------------------

    def _sends(self, request: Step) -> Step:
        body = (
            base64.b64decode(request["base64"]) if "base64" in request else request.get("body", "").encode()
        )
        headers = {name: self._filled_in(value, body) for name, value in request["headers"].items()}
        if (body or request["method"] == "POST") and "Content-Length" not in headers:
            headers["Content-Length"] = str(len(body))
        # Each request has a connection of its own. On an open one, the small packets of an answer wait for
        # each other, which takes longer than the request.
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_SECONDS)
        try:
            path = self._filled_in(request["path"], body)
            connection.putrequest(request["method"], path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            answer = connection.getresponse()
            received = answer.read()
        finally:
            connection.close()
        return self._named(answer.status, answer.getheaders(), received)

    def _filled_in(self, text: str, body: bytes) -> str:
        return WORD.sub(lambda found: self._value_of(found[1], body), text)

    def _value_of(self, word: str, body: bytes) -> str:
        if word.startswith("cursor at "):
            return cursor_at(self._entry(word.removeprefix("cursor at ")))
        if word.startswith("entry "):
            return self._entry(word)
        match word:
            case "signature":
                return signature_of(body)
            case "signature of another secret":
                return signature_of(body, secret="whsec_of_another")
            case "signature of another body":
                return signature_of(body + b" ")
            case "signature of an hour ago":
                return signature_of(body, at=int(time.time()) - 3600)
            case "signature of the next hour":
                return signature_of(body, at=int(time.time()) + 3600)
        return self.words[word]

    def _entry(self, name: str) -> str:
        (entry_id,) = [value for value, known in self.names.items() if known == name]
        return entry_id

    # --- Answers ------------------------------------------------------------------------------------

    def _named(self, status: int, headers: list[tuple[str, str]], received: bytes) -> Step:
        """The answer, with names for what differs from run to run."""
        kept: dict[str, str] = {}
        for name, value in sorted(headers):
            if name.lower() not in NOT_KEPT:
                kept[name] = f"{kept[name]}, {value}" if name in kept else value
        # The library writes the directives in an order that changes with each process.
        policy = kept.get("Content-Security-Policy", "")
        kept["Content-Security-Policy"] = "; ".join(sorted(policy.split("; ")))
        if REQUEST_ID.fullmatch(kept["X-Request-ID"]):
            kept["X-Request-ID"] = "{{request id}}"
        if status == 429 and 1 <= int(kept["Retry-After"]) <= 10**9:  # See the fixture `one_window`.
            kept["Retry-After"] = "{{seconds to the end of the window}}"
        return {"status": status, "headers": kept, "body": self._body_named(received.decode())}

    def _body_named(self, text: str) -> str:
        text = CREATED.sub(self._time_named, text)
        text = CURSOR.sub(self._cursor_named, text)
        text = ENTRY.sub(lambda found: self._braced("entry", found[0]), text)
        text = CHECKOUT.sub(lambda found: self._braced("checkout", found[0]), text)
        return (
            text.replace(f'"{self.words["stand-in"]}/', '"{{stand-in}}/')
            if "stand-in" in self.words
            else text
        )

    def _braced(self, kind: str, value: str) -> str:
        number = 1 + sum(name.startswith(f"{kind} ") for name in self.names.values())
        return f"{{{{{self.names.setdefault(value, f'{kind} {number}')}}}}}"

    def _time_named(self, found: re.Match[str]) -> str:
        """Name an entry's time after the entry. It lies in this run, and each answer shows the same time."""
        before, entry_id, shown = found.groups()
        created_at = datetime.strptime(shown, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if (
            not self.started_at <= created_at <= timezone.now()
            or self.times.setdefault(entry_id, shown) != shown
        ):
            return found[0]
        return f'{before}{{{{time of {self._braced("entry", entry_id)[2:-2]}}}}}"'

    def _cursor_named(self, found: re.Match[str]) -> str:
        entry_id = row_id_of(found[0])
        if entry_id not in self.names or cursor_at(entry_id) != found[0]:
            return found[0]
        return f"{{{{cursor at {self.names[entry_id]}}}}}"

    # --- Acts ---------------------------------------------------------------------------------------

    def act_issue_key(
        self, name: str, product: str, prefixes: list[str] | None = None, state: str = ""
    ) -> None:
        expires_at = timezone.now() - timedelta(seconds=1) if state == "expired" else None
        key, secret = issue_service_key(
            product=product, feature_prefixes=prefixes or (), expires_at=expires_at
        )
        if state == "revoked":
            revoke_service_key(key)
        self.words[name] = secret

    def act_issue_token(self, name: str, user_id: str, seconds: int = 600, **claims: Any) -> None:
        token = self.fixtures.getfixturevalue("token")
        self.words[name] = token(user_id, exp=int(time.time()) + seconds, **claims)

    def act_set_rate(self, feature: str, credits: int, active: bool = True) -> None:
        rates.set_rate(
            feature=feature,
            label=f"Label of {feature}",
            credits=credits,
            unit="unit",
            active=active,
            actor="test",
        )

    def act_give_back(self, user_id: str, of: str, key: str, credits: int | None = None) -> None:
        """Staff give back the blog's charge with the idempotency key `of`."""
        charge = Entry.objects.get(wallet_id=user_id, product="blog", idempotency_key=of)
        by_hand.give_back(entry=charge, credits=credits, reason="It failed.", key=key, actor="user:staff:1")

    def act_adjust(self, user_id: str, credits: int, key: str) -> None:
        by_hand.adjust(user_id=user_id, credits=credits, reason="Goodwill", key=key, actor="user:staff:1")

    def act_set_limit(self, name: str, requests: int) -> None:
        setattr(self.fixtures.getfixturevalue("settings"), name, requests)

    def act_lock_wallet(self, user_id: str) -> None:
        """Another process holds the wallet, for longer than a charge waits."""
        self.locks.enter_context(wallet_locked_by_another(user_id))

    def act_unlock_wallet(self) -> None:
        self.locks.close()

    def act_start_stripe(self) -> None:
        stand_in = self.fixtures.getfixturevalue("stand_in")
        self.words["stand-in"] = stand_in.sandbox.address

    def act_break_stripe(self, api_failure: int | None) -> None:
        self.fixtures.getfixturevalue("stand_in").misbehaves(api_failure=api_failure)
