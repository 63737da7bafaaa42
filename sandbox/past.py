"""Refunds and disputes of the past, as Stripe would show them today: without events and webhooks.

They belong to sessions of `store.add_paid_session`, and are for creating a history. Times are Unix seconds.
"""

from sandbox import disputes, refunds, shapes, store
from sandbox.store import Body, Document


def add_refund(session_id: str, *, amount: int, created: int) -> Body:
    """Add a refund of so many cents that reached the buyer; returns it. It fits into what is left."""
    with store.transaction():
        charge = refunds.charge_of_session(session_id)
        refunded = charge.body["amount_refunded"] + amount
        assert refunded <= charge.body["amount"], "no more is refunded than was paid"
        made = shapes.refund(
            charge.body, amount=amount, status="succeeded", reason=None, metadata={}, created=created
        )
        charge.body |= {"amount_refunded": refunded, "refunded": refunded == charge.body["amount"]}
        store.save(charge)
        store.add(Document(made, session=session_id))
        store.add(Document(shapes.transaction_of_refund(made), session=session_id))
    return made


def add_dispute(session_id: str, *, created: int) -> Body:
    """Add a chargeback that took all money of a payment and waits for evidence; returns the dispute."""
    status, case_type = disputes.KINDS["chargeback"]
    with store.transaction():
        charge = refunds.charge_of_session(session_id)
        charge.body["disputed"] = True
        store.save(charge)
        body = shapes.dispute(
            charge.body,
            amount=charge.body["amount"],
            reason="fraudulent",
            status=status,
            case_type=case_type,
            created=created,
        )
        dispute = store.add(Document(body, session=session_id))
        _move(dispute, amount=-body["amount"], fee=shapes.DISPUTE_FEE_CENTS, created=created)
    return dispute.body


def close_dispute(dispute_id: str, *, won: bool, created: int) -> Body:
    """Decide a chargeback of `add_dispute`; returns it. If it is won, all money and the fee come back."""
    with store.transaction():
        dispute = store.get("dispute", dispute_id)
        assert dispute is not None, "the dispute was added before"
        dispute.body["status"] = "won" if won else "lost"
        store.save(dispute)
        if won:
            amount = disputes.withdrawn(dispute)
            _move(dispute, amount=amount, fee=-shapes.DISPUTE_FEE_CENTS, created=created)
    return dispute.body


def _move(dispute: Document, *, amount: int, fee: int, created: int) -> None:
    moved = shapes.transaction_of_dispute(dispute.body, amount=amount, fee=fee, created=created)
    dispute.body["balance_transactions"].append(moved)
    store.save(dispute)
    store.add(Document(moved, session=dispute.session))
