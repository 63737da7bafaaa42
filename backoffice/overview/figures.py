"""What the front of the back-office says: figures of the whole service over some days, each with its rows.

Nothing here writes. Credits come as text with their links; days are UTC. Every figure is exactly what the
rows behind its link add up to.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Q, Sum

from backoffice.overview import attention, charts
from backoffice.overview.attention import Check, Line, Sees
from backoffice.overview.charts import Chart
from backoffice.overview.links import entries, rows, within
from foundation import calendar, money, operators
from foundation.words import count
from monetization.figures import periods
from monetization.figures.periods import Period
from monetization.models import Tip
from wallet.books import days
from wallet.books.days import Flow
from wallet.history.products import name_of
from wallet.models import ClosedDay, Entry, Wallet

T = TypeVar("T")
Kind = Entry.Kind

PERIODS = {"7d": "7 days", "30d": "30 days", "90d": "90 days", "12m": "12 months"}
PERIOD_DEFAULT = "30d"
# In the order in which they are shown; those of OTHERS where anything moved.
MAIN_KINDS = (Kind.TOPUP, Kind.DEDUCT, Kind.REFUND, Kind.ADJUSTMENT)
OTHERS = (Kind.CLAWBACK, Kind.REINSTATEMENT, Kind.GRANT, Kind.EXPIRY, Kind.CAPTURE)
NAMES = {
    Kind.TOPUP: "Topped up",
    Kind.DEDUCT: "Charged",
    Kind.REFUND: "Given back",
    Kind.ADJUSTMENT: "Adjusted",
    Kind.CLAWBACK: "Clawed back",
    Kind.REINSTATEMENT: "Reinstated",
    Kind.GRANT: "Granted",
    Kind.EXPIRY: "Expired",
    Kind.CAPTURE: "Charged of holds",
}
# Their name says which way they go.
UNSIGNED = {Kind.TOPUP, Kind.DEDUCT, Kind.REFUND}
NO_PRODUCT = "No product"
# Characters of a figure that fit a tile on a phone at the first and at the second size.
LONG, LONGEST = 6, 9


@dataclass(frozen=True)
class Figure:
    """An amount as text, and the address of the rows that it adds up; no address where there are none."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Tile:
    """One large figure with its name, its unit, and what is said below it."""

    key: str
    label: str
    figure: Figure
    unit: str
    details: tuple[str, ...] = ()
    needs_attention: bool = False

    @property
    def size(self) -> str:
        """How large it can be written, so that it stays in one line: "", "long" or "longest"."""
        length = len(self.figure.text)
        return "" if length <= LONG else "long" if length <= LONGEST else "longest"


@dataclass(frozen=True)
class ProductRow:
    """One product over the period: what each kind moved, behind the name of its column."""

    name: str
    named: list[tuple[str, Figure]]
    entries: Figure


@dataclass(frozen=True)
class TipsRow:
    """The tips of one currency over the period: each figure behind the name of its column."""

    currency: str
    named: list[tuple[str, Figure]]


@dataclass(frozen=True)
class Movements:
    """What the ledger says of the period; `columns` are the table's kinds, `change` is of all products."""

    tiles: list[Tile]
    flow_chart: Chart
    product_chart: Chart
    products: list[ProductRow]
    columns: list[str]
    ever_moved: bool
    change: int


@dataclass(frozen=True)
class Overview:
    """The whole page. A part that its reader may not see is None; `too_slow` names what took too long."""

    summary: str
    attention: list[Line]
    checks: list[Check] | None
    days_added_up: str
    days_url: str
    period: Period
    product: str
    products: list[str]
    balances: list[Tile] | None
    movements: Movements | None
    tips: list[TipsRow] | None
    too_slow: tuple[str, ...]


def overview_of(*, period: str, product: str, at: datetime, sees: Sees) -> Overview:
    """The page at one moment of the database, for whoever `sees` so much of it, by permission.

    `period` is one of PERIODS, else PERIOD_DEFAULT; `product` one that entries name, else all of them.
    """
    with _one_moment():
        chosen = period_of(period, at=at)
        names = days.products() if sees("wallet.view_entry") else []
        product = product if product in names else ""
        slow: list[str] = []

        def part(permission: str, name: str, ask: Callable[[], T]) -> T | None:
            if not sees(permission):
                return None
            found = in_time(ask)
            if found is None:
                slow.append(name)
            return found

        movements = part("wallet.view_entry", "what moved", lambda: movements_of(chosen, product))
        change = movements.change if movements and not product else None
        found = attention.lines(at=at, sees=sees)
        return Overview(
            summary=attention.summary(found),
            attention=found,
            checks=attention.checks() if sees("wallet.view_audit") else None,
            days_added_up=attention.days_sentence() if sees("wallet.view_closedday") else "",
            days_url=rows(ClosedDay),
            period=chosen,
            product=product,
            products=names,
            balances=part("wallet.view_wallet", "the balances", lambda: balances(chosen, change)),
            movements=movements,
            tips=part("monetization.view_tip", "the tips", lambda: tips_of(chosen)),
            too_slow=tuple(slow),
        )


@contextmanager
def _one_moment() -> Iterator[None]:
    """One snapshot for the whole page, unless the caller has a transaction: that cannot become one."""
    if connection.in_atomic_block:
        yield
        return
    with operators.snapshot():
        yield


def in_time(ask: Callable[[], T]) -> T | None:
    """What is asked for, or None where the database took longer than an answer may."""
    try:
        with transaction.atomic():
            return ask()
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        return None


def period_of(name: str, *, at: datetime) -> Period:
    """The days of one of PERIODS, today's included; of PERIOD_DEFAULT for any other name."""
    name = name if name in PERIODS else PERIOD_DEFAULT
    if name != "12m":
        return periods.last_days(int(name.removesuffix("d")), name=name, at=at)
    today = calendar.day_of(at)
    try:
        a_year_ago = today.replace(year=today.year - 1)
    except ValueError:  # 29 February
        a_year_ago = date(today.year - 1, 2, 28)
    return Period(name, a_year_ago + timedelta(days=1), today, "the last 12 months")


# --- Balances ---------------------------------------------------------------------------------------


def balances(period: Period, change: int | None) -> list[Tile]:
    """What users hold and, where any do, what they owe; `change` is what the period did to both together."""
    positive, negative = Q(balance__gt=0), Q(balance__lt=0)
    held = Wallet.objects.aggregate(
        credits=Sum("balance", filter=positive, default=0),
        wallets=Count("pk", filter=positive),
        owed=Sum("balance", filter=negative, default=0),
        debtors=Count("pk", filter=negative),
    )
    details = [f"in {count(held['wallets'], 'wallet')}" if held["wallets"] else "No wallet holds any yet."]
    if change:
        details.append(f"{money.signed(change)} in {period.label}")
    url = rows(Wallet) if held["wallets"] else ""
    tiles = [_tile("outstanding", "Credits outstanding", held["credits"], url, details)]
    if held["debtors"]:
        owed = f"by {count(held['debtors'], 'wallet')}, after clawbacks"
        url = rows(Wallet, balance__lt=0)
        tiles.append(_tile("owed", "Owed to us", -held["owed"], url, [owed], needs_attention=True))
    return tiles


def _tile(
    key: str, label: str, credits: int, url: str, details: Sequence[str] = (), needs_attention: bool = False
) -> Tile:
    figure = Figure(money.plain(credits), url)
    return Tile(key, label, figure, money.unit(credits), tuple(details), needs_attention)


# --- What moved -------------------------------------------------------------------------------------


def movements_of(period: Period, product: str) -> Movements:
    """What the entries of the period add up to; tiles and charts of one product where one is named."""
    flows = days.flows(period.first_day, period.last_day)
    by_product: dict[str, list[Flow]] = {}
    for flow in flows:
        by_product.setdefault(flow.product, []).append(flow)
    shown = by_product.get(product, []) if product else flows
    names = sorted(by_product, key=lambda name: (not name, name))
    kinds = [*MAIN_KINDS, *(kind for kind in OTHERS if any(flow.kind == kind for flow in flows))]
    return Movements(
        tiles=_tiles(shown, period, product),
        flow_chart=charts.flow_chart(shown, period, product),
        product_chart=charts.product_chart(flows, period) if not product else Chart(),
        products=[_product_row(name, kinds, by_product[name], period) for name in names],
        columns=[NAMES[kind] for kind in kinds],
        # Ordered, so that one look into an index tells, also where nothing was written yet.
        ever_moved=bool(flows) or Entry.objects.order_by("-created_at").values("pk").first() is not None,
        change=sum(flow.credits for flow in flows),
    )


def _tiles(flows: Sequence[Flow], period: Period, product: str) -> list[Tile]:
    credits, moves = _by_kind(flows)
    named = product or None

    def link(kind: Kind) -> str:
        return entries(period, product=named, kind__exact=kind.value) if moves[kind] else ""

    charged, given_back = -credits[Kind.DEDUCT], credits[Kind.REFUND]
    of_charges = [f"{money.plain(charged - given_back)} net of what was given back"] if given_back else []
    tiles = [
        _tile("topup", "Topped up", credits[Kind.TOPUP], link(Kind.TOPUP), [_entries(moves[Kind.TOPUP])]),
        _tile("deduct", "Charged", charged, link(Kind.DEDUCT), [_entries(moves[Kind.DEDUCT]), *of_charges]),
        _tile("refund", "Given back", given_back, link(Kind.REFUND), [_entries(moves[Kind.REFUND])]),
        _adjusted(credits[Kind.ADJUSTMENT], moves[Kind.ADJUSTMENT], period, product),
    ]
    for kind in OTHERS:
        if moves[kind]:
            moved = Figure(money.signed(credits[kind]), link(kind))
            unit = money.unit(credits[kind])
            tiles.append(Tile(kind.value, NAMES[kind], moved, unit, (_entries(moves[kind]),)))
    return tiles


def _adjusted(credits: int, moves: int, period: Period, product: str) -> Tile:
    if not moves:
        return _tile("adjustment", "Adjusted by staff", 0, "", [_entries(0)])
    url = entries(period, product=product or None, kind__exact=Kind.ADJUSTMENT.value)
    added, taken = days.adjusted(period.first_day, period.last_day, product)
    details = (_entries(moves), f"{money.signed(added)} added, {money.plain(taken)} taken")
    figure = Figure(money.signed(credits) if credits else "0", url)
    return Tile("adjustment", "Adjusted by staff", figure, money.unit(credits), details)


def _entries(number: int) -> str:
    return f"{money.plain(number)} {'entry' if number == 1 else 'entries'}"


def _by_kind(flows: Sequence[Flow]) -> tuple[Counter[str], Counter[str]]:
    """Credits with their sign, and entries, of each kind."""
    credits: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    for flow in flows:
        credits[flow.kind] += flow.credits
        moves[flow.kind] += flow.entries
    return credits, moves


def _product_row(name: str, kinds: Sequence[Kind], flows: Sequence[Flow], period: Period) -> ProductRow:
    credits, moves = _by_kind(flows)

    def figure(kind: Kind) -> Figure:
        if not moves[kind]:
            return Figure("0")
        url = entries(period, product=name, kind__exact=kind.value)
        if kind in UNSIGNED:
            return Figure(money.plain(abs(credits[kind])), url)
        return Figure(money.signed(credits[kind]) if credits[kind] else "0", url)

    return ProductRow(
        name=name_of(name) or NO_PRODUCT,
        named=[(NAMES[kind], figure(kind)) for kind in kinds],
        entries=Figure(money.plain(sum(moves.values())), entries(period, product=name)),
    )


# --- Tips -------------------------------------------------------------------------------------------


def tips_of(period: Period) -> list[TipsRow]:
    """The tips recorded in the period, by currency, the most first; refunds of theirs, whenever they came."""
    found = (
        Tip.objects.filter(created_at__gte=period.since, created_at__lt=period.until)
        .values("currency")
        .annotate(
            tips=Count("pk"),
            gross=Sum("gross_cents"),
            fee=Sum("fee_cents"),
            refunded=Sum("refunded_cents"),
            fee_returned=Sum("fee_returned_cents"),
        )
        .order_by("-tips", "currency")
    )
    return [_tips_row(period, **totals) for totals in found]


def _tips_row(
    period: Period, *, currency: str, tips: int, gross: int, fee: int, refunded: int, fee_returned: int
) -> TipsRow:
    url = rows(Tip, currency__exact=currency, **within(period.since, period.until))
    return TipsRow(
        currency=currency,
        named=[
            ("Tips", Figure(money.plain(tips), url)),
            ("Gross", Figure(money.figure(gross, currency), url)),
            ("Platform fee", Figure(money.figure(fee, currency), url)),
            ("Refunded", Figure(money.figure(refunded, currency), url if refunded else "")),
            ("Fee returned", Figure(money.figure(fee_returned, currency), url if fee_returned else "")),
        ],
    )
