"""The identifiers of creators' records."""

from foundation import identifiers


def sponsor_id() -> str:
    """Return a new id for a sponsor slot."""
    return identifiers.new("spon")


def subscription_id() -> str:
    """Return a new id for a reader's subscription."""
    return identifiers.new("sub")


def tip_id() -> str:
    """Return a new id for a tip."""
    return identifiers.new("tip")


def refund_id() -> str:
    """Return a new id for a tip's refund."""
    return identifiers.new("rfd")
