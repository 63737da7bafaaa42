"""What the list of tips says, and its totals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from foundation import money, words
from foundation.words import NAME_SHOWN, NONE
from monetization import fees
from monetization.dashboard.tips.filters import Totals
from monetization.figures.supporters import ANONYMOUS, ERASED
from monetization.models import Tip
from monetization.privacy.placeholders import is_erased

EXCERPT_LENGTH = 80


# --- Tips -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TipRow:
    """A tip in the list."""

    pk: str
    at: datetime
    who: str
    email: str
    excerpt: str
    is_hidden: bool
    gross: str
    fee: str
    rate: str
    net: str
    refunded: str
    stripe_id: str


def tip_rows(tips: Sequence[Tip]) -> list[TipRow]:
    """Tips with what they brought."""
    return [
        TipRow(
            pk=each.pk,
            at=each.created_at,
            who=words.shortened(who_gave(each), NAME_SHOWN),
            email="" if is_erased(each.email) else words.shortened(each.email, NAME_SHOWN),
            excerpt=words.shortened(each.shown_message, EXCERPT_LENGTH),
            is_hidden=bool(each.message and each.message_hidden_at),
            gross=money.amount(each.gross_cents, each.currency),
            fee=money.amount(each.fee_cents, each.currency),
            rate=fees.percent(each.fee_bps),
            net=money.amount(each.net_cents, each.currency),
            refunded=money.amount(each.refunded_cents, each.currency) if each.refunded_cents else "",
            stripe_id=each.stripe_payment_id or "",
        )
        for each in tips
    ]


def who_gave(tip: Tip) -> str:
    """What to call whoever gave a tip."""
    if is_erased(tip.email):
        return ERASED
    return tip.name or ANONYMOUS


@dataclass(frozen=True)
class TotalRow:
    """What all tips of a filter add up to in one currency."""

    currency: str
    count: str
    gross: str
    fee: str
    net: str
    refunded: str
    after_refunds: str


def total_rows(totals: Sequence[Totals]) -> list[TotalRow]:
    """The totals above the list, one row per currency."""
    return [
        TotalRow(
            currency=each.currency,
            count=words.count(each.count, "tip"),
            gross=money.amount(each.gross_cents, each.currency),
            fee=money.amount(each.fee_cents, each.currency),
            net=money.amount(each.net_cents, each.currency),
            refunded=money.amount(each.refunded_cents, each.currency) if each.refunded_cents else NONE,
            after_refunds=money.amount(each.net_after_refunds_cents, each.currency),
        )
        for each in totals
    ]
