"""Disputes: the buyer's bank takes the money at once, and the merchant gets it back by winning."""

from sandbox import events, refunds, shapes, store
from sandbox.errors import NoSuchObject, Refused
from sandbox.store import Document


def open_dispute(charge_id: str, *, amount: int | None = None, reason: str = "fraudulent") -> Document:
    """Dispute a charge, by default its whole amount, even after a partial refund, as banks do."""
    with store.transaction():
        charge = refunds.find_charge(charge_id)
        amount = charge.body["amount"] if amount is None else amount
        if charge.body["refunded"]:
            raise Refused("A charge that was refunded in full cannot be disputed.")
        if charge.body["disputed"]:
            raise Refused("This charge has been disputed already.")
        if not 0 < amount <= charge.body["amount"]:
            raise Refused("A dispute is about no more than the charge.")
        charge.body["disputed"] = True
        store.save(charge)
        dispute = store.add(
            Document(shapes.dispute(charge.body, amount=amount, reason=reason), session=charge.session)
        )
        events.record("charge.dispute.created", dispute)
        _move(dispute, amount=-amount, fee=shapes.DISPUTE_FEE_CENTS)
        events.record("charge.dispute.funds_withdrawn", dispute)
    return dispute


def win(dispute_id: str) -> Document:
    """The bank decides for the merchant: the money comes back, and the dispute is closed."""
    with store.transaction():
        dispute = _undecided(dispute_id)
        dispute.body["status"] = "won"
        _move(dispute, amount=dispute.body["amount"], fee=-shapes.DISPUTE_FEE_CENTS)
        events.record("charge.dispute.funds_reinstated", dispute)
        events.record("charge.dispute.closed", dispute)
    return dispute


def lose(dispute_id: str) -> Document:
    """The bank decides for the buyer: the money does not come back."""
    with store.transaction():
        dispute = _undecided(dispute_id)
        dispute.body["status"] = "lost"
        store.save(dispute)
        events.record("charge.dispute.closed", dispute)
    return dispute


def _undecided(dispute_id: str) -> Document:
    dispute = store.get("dispute", dispute_id)
    if dispute is None:
        raise NoSuchObject("dispute", dispute_id)
    if dispute.body["status"] in ("won", "lost"):
        raise Refused(f"This dispute is {dispute.body['status']}.")
    return dispute


def _move(dispute: Document, *, amount: int, fee: int) -> None:
    moved = shapes.dispute_transaction(dispute.body, amount=amount, fee=fee)
    dispute.body["balance_transactions"].append(moved)
    store.save(dispute)
