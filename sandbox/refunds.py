"""Refunds, full or partial: made, waiting, succeeded, failed (even much later), canceled.

A refund counts on its charge from its first moment. If it fails or is canceled, the charge can be refunded
again, and the money is back on the merchant's balance.
"""

import time
from collections.abc import Collection
from typing import Any

from foundation import money
from sandbox import behaviour, events, shapes, store
from sandbox.errors import NoSuchObject, Refused
from sandbox.store import Body, Document

WAITING = ("pending", "requires_action")
# The statuses in which a refund can begin.
FIRST_STATUSES = ("succeeded", *WAITING)


def charge_of_session(session_id: str) -> Document:
    """The charge of a session; raises Refused if it was not paid."""
    charges = store.of_session("charge", session_id)
    if not charges:
        raise Refused("Nothing was paid in this session.")
    return charges[-1]


def was_charged_back(charge: Document) -> bool:
    """Whether a dispute took money of this charge and was not won."""
    return any(
        dispute.body["charge"] == charge.id
        and dispute.body["balance_transactions"]
        and dispute.body["status"] != "won"
        for dispute in store.of_session("dispute", charge.session)
    )


def refund(
    charge_id: str,
    *,
    amount: int | None = None,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
    status: str | None = None,
) -> Document:
    """Refund an amount in cents, or all that is left. All refunds together never exceed the charge.

    The status is one of FIRST_STATUSES; without one, the setting `refunds_pending` decides.
    """
    if status is None:
        status = "pending" if behaviour.current().refunds_pending else "succeeded"
    with store.transaction():
        charge = find_charge(charge_id)
        left = charge.body["amount"] - charge.body["amount_refunded"]
        if was_charged_back(charge):
            raise Refused(
                f"Charge {charge.id} has been charged back; cannot issue a refund.", code="charge_disputed"
            )
        if left == 0:
            raise Refused(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
        if amount is not None and amount > left:
            raise Refused(
                f"Refund amount ({money.dollars(amount)}) is greater than "
                f"unrefunded amount on charge ({money.dollars(left)})",
                param="amount",
            )
        body = shapes.refund(
            charge.body,
            amount=left if amount is None else amount,
            status=status,
            reason=reason,
            metadata=metadata or {},
        )
        made = store.add(Document(body, session=charge.session))
        store.add(Document(shapes.transaction_of_refund(body), session=charge.session))
        events.record("refund.created", made, by_request=True)
        _count(charge, body["amount"])
        events.record("charge.refunded", charge, previous=_before(charge, body["amount"]), by_request=True)
    return made


def succeed(refund_id: str) -> Document:
    """A refund that was waiting reached the buyer."""
    with store.transaction():
        made, previous = _changed(refund_id, "succeeded", allowed=WAITING)
        store.save(made)
        events.record("refund.updated", made, previous=previous)
    return made


def fail(refund_id: str) -> Document:
    """The buyer's bank returned a refund, even one that had succeeded: the merchant has the money."""
    with store.transaction():
        made, previous = _changed(refund_id, "failed", allowed=FIRST_STATUSES)
        _take_back(made, reason="lost_or_stolen_card")
        events.record("refund.updated", made, previous=previous)
        events.record("refund.failed", made)
    return made


def cancel(refund_id: str, *, allowed: Collection[str] = WAITING) -> Document:
    """The merchant canceled a refund before it was on its way: the merchant has the money."""
    with store.transaction():
        made, previous = _changed(refund_id, "canceled", allowed=allowed)
        _take_back(made, reason="merchant_request")
        events.record("refund.updated", made, previous=previous)
    return made


def find_charge(charge_id: str) -> Document:
    charge = store.get("charge", charge_id)
    if charge is None:
        raise NoSuchObject("charge", charge_id, param="charge")
    return charge


def _changed(refund_id: str, status: str, *, allowed: Collection[str]) -> tuple[Document, Body]:
    """The refund in its next status, not saved yet, and what its changed fields were."""
    made = store.get("refund", refund_id)
    if made is None:
        raise NoSuchObject("refund", refund_id)
    if made.body["status"] not in allowed:
        raise Refused(f"This refund is {made.body['status'].replace('_', ' ')}.")
    previous = {"status": made.body["status"]}
    for name in ("pending_reason", "next_action"):
        if made.body.get(name):
            previous[name] = made.body[name]
    made.body |= {"status": status, "pending_reason": None, "next_action": None}
    return made, previous


def _take_back(made: Document, *, reason: str) -> None:
    """Return the money of a refund that came to nothing, and save the refund."""
    made.body |= {"failure_reason": reason, "failure_balance_transaction": shapes.new_id("txn_3")}
    store.save(made)
    moved = shapes.transaction_of_failed_refund(made.body, created=int(time.time()))
    store.add(Document(moved, session=made.session))
    _count(find_charge(made.body["charge"]), -made.body["amount"])


def _count(charge: Document, amount: int) -> None:
    refunded = charge.body["amount_refunded"] + amount
    charge.body |= {"amount_refunded": refunded, "refunded": refunded == charge.body["amount"]}
    store.save(charge)


def _before(charge: Document, amount: int) -> dict[str, Any]:
    before = {"amount_refunded": charge.body["amount_refunded"] - amount}
    return before | ({"refunded": False} if charge.body["refunded"] else {})
