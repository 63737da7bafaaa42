"""The wallet's tables, each in the room that writes it."""

from wallet.books.models import (
    ADDING_KINDS,
    FEATURE_LENGTH,
    KEY_LENGTH,
    PRODUCT_LENGTH,
    STRIPE_ID_LENGTH,
    TAKING_KINDS,
    Audit,
    ClosedDay,
    DayTotal,
    Entry,
    Wallet,
)
from wallet.payments.models import FORM_KEY_LENGTH, StripeEvent, TopUp
from wallet.prices.models import Rate, RateChange

__all__ = [
    "ADDING_KINDS",
    "FEATURE_LENGTH",
    "FORM_KEY_LENGTH",
    "KEY_LENGTH",
    "PRODUCT_LENGTH",
    "STRIPE_ID_LENGTH",
    "TAKING_KINDS",
    "Audit",
    "ClosedDay",
    "DayTotal",
    "Entry",
    "Rate",
    "RateChange",
    "StripeEvent",
    "TopUp",
    "Wallet",
]
