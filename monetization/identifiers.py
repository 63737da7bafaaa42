"""The identifiers of creators' records."""

from foundation import identifiers


def sponsor_id() -> str:
    """The id of a sponsor slot."""
    return identifiers.new("spon")


def subscription_id() -> str:
    """The id of a reader's subscription."""
    return identifiers.new("sub")


def tip_id() -> str:
    """The id of a tip."""
    return identifiers.new("tip")


def refund_id() -> str:
    """The id of a tip's refund."""
    return identifiers.new("rfd")
