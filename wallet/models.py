"""The wallet's models. Each model is defined in the package that writes it."""

from wallet.books.models import Audit, ClosedDay, DayTotal, Entry, Wallet
from wallet.payments.models import StripeEvent, TopUp
from wallet.prices.models import Rate, RateChange

__all__ = ["Audit", "ClosedDay", "DayTotal", "Entry", "Rate", "RateChange", "StripeEvent", "TopUp", "Wallet"]
