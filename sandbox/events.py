"""Events, their deliveries as webhooks, and the answers to these."""

import random
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sandbox import behaviour, shapes, store
from sandbox.errors import NoSuchObject, Refused
from sandbox.store import Body, Document

TRIES_MAX = 20
TIMES_MAX = 20
BACK_OFF_SECONDS_MAX = 30


@dataclass(frozen=True)
class Attempt:
    """One POST of a webhook. Without a status there was no answer; the remark says why."""

    at: float
    status: int | None
    remark: str

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Delivery:
    """The delivery of an event to the webhook: waiting, delivered, dropped or given_up."""

    id: int
    event: str
    state: str
    due_at: float
    tries: int
    attempts: tuple[Attempt, ...]


def record(
    event_type: str, about: Document, *, previous: Body | None = None, by_request: bool = False
) -> None:
    """Store an event and queue its delivery, in the transaction of the change that it reports."""
    body = shapes.event(event_type, about.body, previous=previous, by_request=by_request)
    store.add(Document(body, session=about.session))
    for _ in range(2 if behaviour.current().double_webhooks else 1):
        _queue(body["id"], repeats=0)


def find(event_id: str) -> Document:
    event = store.get("event", event_id)
    if event is None:
        raise NoSuchObject("event", event_id)
    return event


def resend(event_id: str, *, times: int = 1, at_once: bool = False) -> None:
    """Send an event again, one at a time (each after the answer to the last) or all at the same moment."""
    if not 1 <= times <= TIMES_MAX:
        raise Refused(f"times is from 1 to {TIMES_MAX}.")
    with store.transaction():
        find(event_id)
        if at_once:
            for _ in range(times):
                _queue(event_id, repeats=0)
        else:
            _queue(event_id, repeats=times - 1)


def _queue(event_id: str, *, repeats: int) -> None:
    played = behaviour.current()
    due_at = time.time() + played.webhook_delay_seconds + random.uniform(0, played.shuffle_seconds)  # noqa: S311 (no secret)
    with store.transaction() as connection:
        connection.execute(
            "INSERT INTO deliveries (event, state, due_at, repeats) VALUES (?, 'waiting', ?, ?)",
            (event_id, due_at, repeats),
        )


# --- For the courier --------------------------------------------------------------------------------


def deliveries_due(now: float) -> dict[int, str]:
    """The deliveries that are due, each with its event's id."""
    with store.transaction() as connection:
        rows = connection.execute(
            "SELECT id, event FROM deliveries WHERE state = 'waiting' AND due_at <= ? ORDER BY due_at, id",
            (now,),
        ).fetchall()
    return {row["id"]: row["event"] for row in rows}


def next_delivery_due(*, besides: Collection[int]) -> float:
    """When the next waiting delivery is due, without those named; infinity if there is none."""
    with store.transaction() as connection:
        rows = connection.execute("SELECT id, due_at FROM deliveries WHERE state = 'waiting' ORDER BY due_at")
        return next((row["due_at"] for row in rows if row["id"] not in besides), float("inf"))


def drop(delivery_id: int) -> None:
    """Lose the delivery; it is not tried again."""
    with store.transaction() as connection:
        connection.execute("UPDATE deliveries SET state = 'dropped' WHERE id = ?", (delivery_id,))


def note_attempt(delivery_id: int, attempt: Attempt) -> None:
    """Store the answer and decide what is next: done, sent again, tried later, or given up."""
    with store.transaction() as connection:
        delivery = connection.execute("SELECT * FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
        if delivery is None:  # The sandbox was reset in the meantime.
            return
        connection.execute(
            "INSERT INTO attempts (delivery, at, status, remark) VALUES (?, ?, ?, ?)",
            (delivery_id, attempt.at, attempt.status, attempt.remark),
        )
        tries = delivery["tries"] + 1
        state = "delivered" if attempt.succeeded else "given_up" if tries >= TRIES_MAX else "waiting"
        connection.execute(
            "UPDATE deliveries SET state = ?, tries = ?, due_at = ? WHERE id = ?",
            (state, tries, time.time() + back_off_seconds(tries), delivery_id),
        )
        if attempt.succeeded:
            _mark_received(delivery["event"])
            if delivery["repeats"]:
                _queue(delivery["event"], repeats=delivery["repeats"] - 1)


def back_off_seconds(tries: int) -> float:
    """How long to wait after this many failures: 1, 2, 4 ... seconds, where Stripe waits for hours."""
    return min(BACK_OFF_SECONDS_MAX, 2 ** (tries - 1))


def _mark_received(event_id: str) -> None:
    if event := store.get("event", event_id):
        event.body["pending_webhooks"] = 0
        store.save(event)


# --- For people and tests ---------------------------------------------------------------------------


def deliveries(event_id: str | None = None) -> list[Delivery]:
    """The deliveries of one event or of all, with their attempts, oldest first."""
    with store.transaction() as connection:
        rows = connection.execute(
            "SELECT * FROM deliveries WHERE ? IS NULL OR event = ? ORDER BY id", (event_id, event_id)
        ).fetchall()
        return [
            Delivery(
                id=row["id"],
                event=row["event"],
                state=row["state"],
                due_at=row["due_at"],
                tries=row["tries"],
                attempts=tuple(
                    Attempt(**attempt)
                    for attempt in connection.execute(
                        "SELECT at, status, remark FROM attempts WHERE delivery = ? ORDER BY at", (row["id"],)
                    )
                ),
            )
            for row in rows
        ]


def listed(*, session_id: str | None = None, limit: int) -> list[dict[str, Any]]:
    """The newest events of one session or of all, each with its session and its deliveries."""
    if session_id is not None:
        documents = store.of_session("event", session_id)[::-1][:limit]
    else:
        documents = store.page("event", limit=limit).documents
    return [
        {"event": document.body, "session": document.session, "deliveries": deliveries(document.id)}
        for document in documents
    ]
