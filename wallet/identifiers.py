"""The identifiers of the wallet's rows."""

from foundation import identifiers


def transaction_id() -> str:
    """The id of a ledger entry, which the API calls a transaction."""
    return identifiers.new("txn")


def topup_id() -> str:
    """The id of a top-up. The API never shows it; it is our idempotency key at Stripe."""
    return identifiers.new("top")
