"""The models of charges: holds, lots of granted credits, budgets, and what the answers to refunds said.

Their rows belong to one wallet. In the database, the primary key includes the wallet (books/models.py).
"""

from wallet.charges.models.budgets import Budget
from wallet.charges.models.give_backs import GiveBack
from wallet.charges.models.holds import Hold, HoldQuerySet
from wallet.charges.models.lots import HoldPart, Lot, LotMove, LotQuerySet, has_ended

__all__ = [
    "Budget",
    "GiveBack",
    "Hold",
    "HoldPart",
    "HoldQuerySet",
    "Lot",
    "LotMove",
    "LotQuerySet",
    "has_ended",
]
