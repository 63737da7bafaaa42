"""The wallet's models. Each model is defined in the package that writes it."""

from wallet.books.models import Audit, ClosedDay, DayTotal, Entry, OutOfOrderEntry, Wallet
from wallet.books.totals import ClosedMonth, FeatureTotal, LateTotal, MonthTotal
from wallet.charges.models import Budget, GiveBack, Hold, HoldPart, Lot, LotMove
from wallet.grants.models import GrantedMonth
from wallet.payments.models import (
    Payment,
    ReconciliationRun,
    RefundRequest,
    StripeDispute,
    StripeEvent,
    StripeRefund,
    TopUp,
)
from wallet.payments.payouts.models import (
    ClosedMoney,
    MonthMoney,
    PayoutItem,
    PayoutReading,
    StripeMovement,
    StripePayout,
)
from wallet.prices.models import Rate, RateChange
from wallet.seals.models import Seal, TableSeal

__all__ = [
    "Audit",
    "Budget",
    "ClosedDay",
    "ClosedMoney",
    "ClosedMonth",
    "DayTotal",
    "Entry",
    "FeatureTotal",
    "GiveBack",
    "GrantedMonth",
    "Hold",
    "HoldPart",
    "LateTotal",
    "Lot",
    "LotMove",
    "MonthMoney",
    "MonthTotal",
    "OutOfOrderEntry",
    "Payment",
    "PayoutItem",
    "PayoutReading",
    "Rate",
    "RateChange",
    "ReconciliationRun",
    "RefundRequest",
    "Seal",
    "StripeDispute",
    "StripeEvent",
    "StripeMovement",
    "StripePayout",
    "StripeRefund",
    "TableSeal",
    "TopUp",
    "Wallet",
]
