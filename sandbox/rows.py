"""What the sandbox's pages show of each object."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sandbox import disputes, events, refunds, sessions, wording
from sandbox.store import Document

Row = dict[str, Any]


def session_row(document: Document) -> Row:
    body = document.body
    state = sessions.state_of(document)
    return {
        "id": document.id,
        "short_id": wording.short(document.id),
        "created": wording.moment(body["created"]),
        "account": body["metadata"].get("user_id", ""),
        "product": body["metadata"].get("product", ""),
        "amount": wording.amount(body["amount_total"], body["currency"]),
        "state": state,
        "tag": wording.SESSION_TAGS[state],
    }


def refund_row(document: Document) -> Row:
    is_waiting = document.body["status"] in refunds.WAITING
    return _money_row(document) | {
        "tag": wording.REFUND_TAGS[document.body["status"]],
        "is_waiting": is_waiting,
        "can_fail": is_waiting or document.body["status"] == "succeeded",
    }


def dispute_row(document: Document) -> Row:
    status, currency = document.body["status"], document.body["currency"]
    taken = disputes.withdrawn(document)
    return _money_row(document) | {
        "tag": wording.DISPUTE_TAGS[status],
        "is_inquiry": status in disputes.INQUIRY,
        "is_chargeback": status in disputes.CHARGEBACK,
        "can_send_evidence": status.endswith("needs_response"),
        "can_return_money": disputes.can_return_money(document),
        "taken": wording.amount(taken, currency) if taken else "",
    }


def transaction_row(document: Document) -> Row:
    body = document.body
    return {
        "id": document.id,
        "created": wording.moment(body["created"]),
        "category": wording.CATEGORIES[body["reporting_category"]],
        "source": wording.short(body["source"]),
        "amount": wording.signed_amount(body["amount"], body["currency"]),
        "fee": wording.signed_amount(-body["fee"], body["currency"]) if body["fee"] else "",
        "net": wording.signed_amount(body["net"], body["currency"]),
    }


def _money_row(document: Document) -> Row:
    body = document.body
    return {
        "id": document.id,
        "created": wording.moment(body["created"]),
        "amount": wording.amount(body["amount"], body["currency"]),
        "status": body["status"],
    }


def event_row(one: Row) -> Row:
    """An event of `events.listed`, with its deliveries."""
    event, session_id = one["event"], one["session"]
    deliveries = [
        {
            "tag": wording.DELIVERY_TAGS[delivery.state],
            "attempts": _attempts_words(delivery.attempts),
            "next_at": wording.moment(delivery.due_at) if delivery.state == "waiting" else None,
        }
        for delivery in one["deliveries"]
    ]
    return {
        "id": event["id"],
        "type": event["type"],
        "created": wording.moment(event["created"]),
        "session_id": session_id,
        "short_session_id": wording.short(session_id),
        "deliveries": deliveries,
    }


def _attempts_words(attempts: Iterable[events.Attempt]) -> list[str]:
    """Each attempt in short: its status, or why there was no answer. Equal ones in a row are one."""
    words = (str(each.remark if each.status is None else each.status) for each in attempts)
    return [
        word if times == 1 else f"{word} ({times} times)"
        for word, times in ((word, len(list(same))) for word, same in groupby(words))
    ]
