"""Refunds, full or partial."""

from typing import Any

from foundation import money
from sandbox import events, shapes, store
from sandbox.errors import NoSuchObject, Refused
from sandbox.store import Document


def charge_of_session(session_id: str) -> Document:
    """The charge of a session; raises Refused if it was not paid."""
    charges = store.of_session("charge", session_id)
    if not charges:
        raise Refused("Nothing was paid in this session.")
    return charges[-1]


def refund(
    charge_id: str,
    *,
    amount: int | None = None,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
    pending: bool = False,
) -> Document:
    """Refund an amount, or all that is left. All refunds together never exceed the charge."""
    with store.transaction():
        charge = find_charge(charge_id)
        left = charge.body["amount"] - charge.body["amount_refunded"]
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
            status="pending" if pending else "succeeded",
            reason=reason,
            metadata=metadata or {},
        )
        made = store.add(Document(body, session=charge.session))
        events.record("refund.created", made, by_request=True)
        _count(charge, body["amount"])
        events.record("charge.refunded", charge, previous=_before(charge, body["amount"]), by_request=True)
    return made


def succeed(refund_id: str) -> Document:
    """A pending refund reached the buyer."""
    with store.transaction():
        made = _pending_or_done(refund_id, allowed=("pending",))
        made.body |= {"status": "succeeded", "pending_reason": None}
        store.save(made)
        events.record("refund.updated", made)
    return made


def fail(refund_id: str) -> Document:
    """The buyer's bank returned a refund, even one that had succeeded: the merchant has the money."""
    with store.transaction():
        made = _pending_or_done(refund_id, allowed=("pending", "succeeded"))
        made.body |= {
            "status": "failed",
            "pending_reason": None,
            "failure_reason": "lost_or_stolen_card",
            "failure_balance_transaction": shapes.new_id("txn_3"),
        }
        store.save(made)
        _count(find_charge(made.body["charge"]), -made.body["amount"])
        events.record("refund.updated", made)
        events.record("refund.failed", made)
    return made


def find_charge(charge_id: str) -> Document:
    charge = store.get("charge", charge_id)
    if charge is None:
        raise NoSuchObject("charge", charge_id, param="charge")
    return charge


def _pending_or_done(refund_id: str, *, allowed: tuple[str, ...]) -> Document:
    made = store.get("refund", refund_id)
    if made is None:
        raise NoSuchObject("refund", refund_id)
    if made.body["status"] not in allowed:
        raise Refused(f"This refund is {made.body['status']}.")
    return made


def _count(charge: Document, amount: int) -> None:
    refunded = charge.body["amount_refunded"] + amount
    charge.body |= {"amount_refunded": refunded, "refunded": refunded == charge.body["amount"]}
    store.save(charge)


def _before(charge: Document, amount: int) -> dict[str, Any]:
    before = {"amount_refunded": charge.body["amount_refunded"] - amount}
    return before | ({"refunded": False} if charge.body["refunded"] else {})
