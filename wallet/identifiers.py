"""Make the ids of the wallet's rows."""

from foundation import identifiers


def transaction_id() -> str:
    """Return a new id for a ledger entry. The API calls an entry a transaction."""
    return identifiers.new("txn")


def hold_id() -> str:
    """Return a new id for a hold."""
    return identifiers.new("hold")


def grant_id() -> str:
    """Return a new id for a grant."""
    return identifiers.new("grant")


def topup_id() -> str:
    """Return a new id for a top-up. Stripe gets it as our idempotency key; the API never shows it."""
    return identifiers.new("top")


def refund_request_id() -> str:
    """Return a new id for a refund that staff ask for. Stripe gets it as our idempotency key."""
    return identifiers.new("rreq")
