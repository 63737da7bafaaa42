"""The wallet's models. Each model is defined in the package that writes it."""

from wallet.books.models import Audit, ClosedDay, DayTotal, Entry, OutOfOrderEntry, Wallet
from wallet.charges.models import GiveBack, Hold
from wallet.payments.models import (
    Payment,
    ReconciliationRun,
    RefundRequest,
    StripeDispute,
    StripeEvent,
    StripeRefund,
    TopUp,
)
from wallet.prices.models import Rate, RateChange

__all__ = [
    "Audit",
    "ClosedDay",
    "DayTotal",
    "Entry",
    "GiveBack",
    "Hold",
    "OutOfOrderEntry",
    "Payment",
    "Rate",
    "RateChange",
    "ReconciliationRun",
    "RefundRequest",
    "StripeDispute",
    "StripeEvent",
    "StripeRefund",
    "TopUp",
    "Wallet",
]
