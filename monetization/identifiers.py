"""The identifiers of creators' records."""

from django.db import models

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


def refund_number() -> "models.BigIntegerField[int, int]":
    """Return a field with the order in which refunds were recorded, from a sequence of the database."""
    next_number = models.Func(models.Value("monetization_refund_number"), function="nextval")
    return models.BigIntegerField(editable=False, db_default=next_number)
