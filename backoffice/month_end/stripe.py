"""What a month says of our balance at Stripe: its movements, its fees and its payouts. Amounts are text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from foundation import money as amounts
from foundation.calendar import add_months, start_of
from foundation.charts import Cell, Column, Row, Table
from wallet.payments.payouts import money
from wallet.payments.payouts.models import CAME_BACK
from wallet.payments.payouts.money import Money, Moved, Payout

# Our category of what came back in this month of payouts that were made in an earlier one.
OF_EARLIER = "came_back_from_earlier"
# Stripe's reporting categories in our words, in the order of the page.
NAMES = {
    ("charge", True): "Top-ups",
    ("charge", False): "Other payments",
    ("refund", True): "Refunds of top-ups",
    ("refund", False): "Other refunds",
    ("refund_failure", True): "Failed refunds of top-ups",
    ("refund_failure", False): "Other failed refunds",
    ("dispute", True): "Disputes of top-ups",
    ("dispute", False): "Other disputes",
    ("dispute_reversal", True): "Disputes of top-ups that returned money",
    ("dispute_reversal", False): "Other disputes that returned money",
    ("fee", False): "Stripe's other fees",
    ("payout", False): "Payouts to our bank",
    (CAME_BACK, False): "Payouts that came back",
    (OF_EARLIER, False): "Payouts of earlier months that came back",
    ("topup", False): "Money that we added",  # Stripe's word for it is our users' word for something else.
}


@dataclass(frozen=True)
class Balance:
    """Our balance at Stripe in one currency: what it began with, what moved, and what it ended with."""

    currency: str
    opening: str
    closing: str
    moved: Table
    paid_out: str
    waiting: str
    came_back_later: str


@dataclass(frozen=True)
class StripeSide:
    """The part of a month's page about Stripe.

    `counts_from` is from when on movements are read: what was on the balance before counts as 0. Each payout
    has its amount, what it sent of this month's top-ups, and what it sent besides.
    """

    closed_at: datetime | None
    counts_from: datetime | None
    read_until: datetime | None
    balances: Sequence[Balance]
    payouts: Sequence[tuple[Payout, str, str, str]]

    @property
    def has_unknown(self) -> bool:
        """Whether Stripe does not know one of the payouts."""
        return any(payout.is_unknown for payout, *_ in self.payouts)


def side_of(month: date) -> StripeSide | None:
    """Return what a month says of Stripe; None if nothing of it is read."""
    found = money.money_of(month)
    if found is None:
        return None
    currencies = sorted({*found.opening, *(each.currency for each in found.moved)})
    earlier = {each.currency: each for each in money.of_earlier_payouts(month)}
    payouts = money.payouts_of(month)
    balances = [_balance(found, currency, earlier.get(currency), payouts) for currency in currencies]
    return StripeSide(
        found.closed_at, money.read_since(), money.read_until(), balances, list(map(_sent, payouts))
    )


def _balance(found: Money, currency: str, earlier: Moved | None, payouts: Sequence[Payout]) -> Balance:
    moved = [each for each in found.moved if each.currency == currency]
    if earlier:
        moved = list(_apart(moved, earlier))
    order = list(NAMES)
    moved.sort(
        key=lambda each: (order.index(_key(each)) if _key(each) in NAMES else len(order), each.category)
    )
    rows = [
        Row(NAMES.get(_key(each), each.category.replace("_", " ").capitalize()), _cells(each))
        for each in moved
    ]
    names = ("Gross", "Stripe's fee", "Net", "Movements")
    of_topups = [each for each in moved if each.of_topups]
    net, paid_out = sum(each.net for each in of_topups), sum(each.paid_out for each in of_topups)
    came_back_later = sum(
        payout.net
        for payout in payouts
        if payout.currency == currency and _came_back_later(payout, found.month)
    )
    return Balance(
        currency.upper(),
        _written(found.opening.get(currency, 0), currency),
        _written(found.closing.get(currency, 0), currency),
        Table("What moved", [Column(name) for name in names], rows),
        _written(paid_out, currency),
        _written(net - paid_out, currency),
        _written(came_back_later, currency) if came_back_later else "",
    )


def _apart(moved: Sequence[Moved], earlier: Moved) -> Iterator[Moved]:
    """Yield the movements, and apart what came back of payouts of earlier months."""
    for each in moved:
        if each.category != CAME_BACK:
            yield each
            continue
        yield replace(earlier, category=OF_EARLIER)
        if each.movements > earlier.movements:
            yield replace(
                each,
                movements=each.movements - earlier.movements,
                amount=each.amount - earlier.amount,
                fee=each.fee - earlier.fee,
            )


def _came_back_later(payout: Payout, month: date) -> bool:
    """Whether a payout of this month came back after the end of the month."""
    end = start_of(add_months(month, 1))
    return bool(payout.came_back_at and start_of(month) <= payout.created_at < end <= payout.came_back_at)


def _sent(payout: Payout) -> tuple[Payout, str, str, str]:
    amount, ours, other = (
        _written(each, payout.currency) for each in (payout.amount, payout.net, payout.amount - payout.net)
    )
    return payout, amount, ours, other


def _key(moved: Moved) -> tuple[str, bool]:
    return moved.category, moved.of_topups


def _cells(moved: Moved) -> list[Cell]:
    figures = (moved.amount, -moved.fee, moved.net)
    url = "#payouts" if moved.category in (CAME_BACK, OF_EARLIER) else ""
    return [
        *(Cell(_written(each, moved.currency)) for each in figures),
        Cell(amounts.plain(moved.movements), url),
    ]


def _written(smallest_units: int, currency: str) -> str:
    code = currency.upper()
    return amounts.figure(smallest_units, code) if amounts.is_currency(code) else str(smallest_units)
