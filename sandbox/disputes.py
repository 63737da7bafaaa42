"""Disputes: an inquiry of the buyer's bank, the money that it takes, its decision, and the money's return.

An inquiry moves no money. It is closed, prevented, or escalates to a chargeback. A chargeback takes the money
at once. When it is won, the money comes back; when it is lost, all or some of it stays with the buyer. The
money may come back later than the decision.
"""

from sandbox import events, refunds, shapes, store
from sandbox.errors import NoSuchObject, Refused
from sandbox.store import Body, Document

# By the kind of a new dispute: its first status, and the type of the bank's case.
KINDS = {
    "chargeback": ("needs_response", "chargeback"),
    "inquiry": ("warning_needs_response", "inquiry"),
    "prevented": ("prevented", "resolution"),
}
INQUIRY = ("warning_needs_response", "warning_under_review")
CHARGEBACK = ("needs_response", "under_review")


def open_dispute(
    charge_id: str, *, amount: int | None = None, kind: str = "chargeback", reason: str = "fraudulent"
) -> Document:
    """Dispute a charge, by default its whole amount, even after a partial refund, as banks do.

    A prevented dispute is decided at once: the buyer gets the money, and there is no dispute fee.
    """
    status, case_type = KINDS[kind]
    with store.transaction():
        charge = refunds.find_charge(charge_id)
        amount = charge.body["amount"] if amount is None else amount
        if charge.body["refunded"]:
            raise Refused("A charge that was refunded in full cannot be disputed.")
        if not can_be_disputed(charge):
            raise Refused("This charge has been disputed already.")
        if not 0 < amount <= charge.body["amount"]:
            raise Refused("A dispute is about no more than the charge.")
        charge.body["disputed"] = True
        store.save(charge)
        body = shapes.dispute(charge.body, amount=amount, reason=reason, status=status, case_type=case_type)
        dispute = store.add(Document(body, session=charge.session))
        events.record("charge.dispute.created", dispute)
        if kind != "inquiry":
            _withdraw(dispute, fee=0 if kind == "prevented" else shapes.DISPUTE_FEE_CENTS)
        if kind == "prevented":
            events.record("charge.dispute.closed", dispute)
    return dispute


def can_be_disputed(charge: Document) -> bool:
    """Whether no earlier dispute of the charge is open or took its money."""
    return not charge.body["refunded"] and all(
        dispute.body["status"] in ("warning_closed", "prevented") and not dispute.body["balance_transactions"]
        for dispute in store.of_session("dispute", charge.session)
        if dispute.body["charge"] == charge.id
    )


# --- While it is open -------------------------------------------------------------------------------


def submit(dispute_id: str) -> Document:
    """The merchant sent evidence, and the bank reviews it."""
    with store.transaction():
        dispute = _find(dispute_id, "needs_response", "warning_needs_response")
        details = dispute.body["evidence_details"]
        previous = {"status": dispute.body["status"], "evidence_details": dict(details)}
        details |= {"has_evidence": True, "submission_count": details["submission_count"] + 1}
        is_inquiry = dispute.body["status"] in INQUIRY
        dispute.body["status"] = "warning_under_review" if is_inquiry else "under_review"
        store.save(dispute)
        events.record("charge.dispute.updated", dispute, previous=previous, by_request=True)
    return dispute


def escalate(dispute_id: str) -> Document:
    """An inquiry becomes a chargeback: the bank takes the money."""
    with store.transaction():
        dispute = _find(dispute_id, *INQUIRY)
        if refunds.find_charge(dispute.body["charge"]).body["refunded"]:
            raise Refused("A charge that was refunded in full cannot be charged back.")
        previous: Body = {"status": dispute.body["status"], "is_charge_refundable": True}
        dispute.body |= {"status": "needs_response", "is_charge_refundable": False}
        dispute.body["payment_method_details"]["card"]["case_type"] = "chargeback"
        store.save(dispute)
        events.record("charge.dispute.updated", dispute, previous=previous)
        _withdraw(dispute, fee=shapes.DISPUTE_FEE_CENTS)
    return dispute


# --- Decisions --------------------------------------------------------------------------------------


def close(dispute_id: str) -> Document:
    """The bank closes an inquiry. No money moved."""
    return _decide(dispute_id, *INQUIRY, status="warning_closed")


def prevent(dispute_id: str) -> Document:
    """The merchant's answer kept an inquiry from becoming a chargeback. No money moved."""
    return _decide(dispute_id, *INQUIRY, status="prevented")


def win(dispute_id: str, *, later: bool = False) -> Document:
    """The bank decides for the merchant. The money comes back at once, or `later`, by `reinstate`."""
    return _decide(dispute_id, *CHARGEBACK, status="won", returns=not later)


def lose(dispute_id: str) -> Document:
    """The bank decides for the buyer: the money does not come back."""
    return _decide(dispute_id, *CHARGEBACK, status="lost")


def win_part(dispute_id: str, *, amount: int) -> Document:
    """The bank decides for both: the dispute is lost, as Stripe shows it, and this amount comes back."""
    return _decide(dispute_id, *CHARGEBACK, status="lost", returns=True, amount=amount)


def reinstate(dispute_id: str, *, amount: int | None = None) -> Document:
    """Money comes back after the decision: all that was taken, or this amount."""
    with store.transaction():
        dispute = _find(dispute_id, "won", "lost", "prevented")
        _return(dispute, amount=amount)
    return dispute


def _decide(
    dispute_id: str, *from_statuses: str, status: str, returns: bool = False, amount: int | None = None
) -> Document:
    with store.transaction():
        dispute = _find(dispute_id, *from_statuses)
        dispute.body["status"] = status
        if returns:
            _return(dispute, amount=amount)
        store.save(dispute)
        events.record("charge.dispute.closed", dispute)
    return dispute


def _find(dispute_id: str, *statuses: str) -> Document:
    """The dispute; raises Refused unless it has one of these statuses."""
    dispute = store.get("dispute", dispute_id)
    if dispute is None:
        raise NoSuchObject("dispute", dispute_id)
    if dispute.body["status"] not in statuses:
        raise Refused(f"This is not possible: the dispute is {dispute.body['status'].replace('_', ' ')}.")
    return dispute


# --- Money ------------------------------------------------------------------------------------------


def withdrawn(dispute: Document) -> int:
    """How many cents the dispute has taken and not returned."""
    return -sum(moved["amount"] for moved in dispute.body["balance_transactions"])


def can_return_money(dispute: Document) -> bool:
    """Whether a decided dispute took money and returned none. At Stripe, money comes back once at most."""
    return len(dispute.body["balance_transactions"]) == 1


def _withdraw(dispute: Document, *, fee: int) -> None:
    _move(dispute, amount=-dispute.body["amount"], fee=fee)
    events.record("charge.dispute.funds_withdrawn", dispute)


def _return(dispute: Document, *, amount: int | None) -> None:
    """Return an amount, by default all, and with all of a won dispute its fee."""
    if not can_return_money(dispute):
        raise Refused("This dispute holds no money that can come back.")
    taken = withdrawn(dispute)
    amount = taken if amount is None else amount
    if not 0 < amount <= taken:
        raise Refused("No more money comes back than the dispute took.")
    fee = dispute.body["balance_transactions"][0]["fee"]
    returns_fee = dispute.body["status"] == "won" and amount == taken
    _move(dispute, amount=amount, fee=-fee if returns_fee else 0)
    events.record("charge.dispute.funds_reinstated", dispute)


def _move(dispute: Document, *, amount: int, fee: int) -> None:
    moved = shapes.transaction_of_dispute(dispute.body, amount=amount, fee=fee)
    dispute.body["balance_transactions"].append(moved)
    store.save(dispute)
    store.add(Document(moved, session=dispute.session))
