"""The wallet's models. Each model is defined in the package that writes it."""

from wallet.books.models import Audit, ClosedDay, DayTotal, Entry, OutOfOrderEntry, Wallet
from wallet.payments.models import StripeEvent, TopUp
from wallet.prices.models import Rate, RateChange

__all__ = [
    "Audit",
    "ClosedDay",
    "DayTotal",
    "Entry",
    "OutOfOrderEntry",
    "Rate",
    "RateChange",
    "StripeEvent",
    "TopUp",
    "Wallet",
]
