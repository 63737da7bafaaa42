"""The figures on the front of the back-office, of the whole service over some days.

Nothing here writes. Credits come as text with their links; days are UTC. Every figure is exactly the sum of
the rows behind its link.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Q, Sum

from backoffice.overview import charts
from backoffice.overview.links import entries, rows, within
from foundation import money, operators
from foundation.charts import Cell, Chart, Column, Row, Table
from foundation.words import count
from monetization.figures.periods import Period
from monetization.models import Tip
from wallet.books import days
from wallet.books.days import Flow
from wallet.history.products import name_of
from wallet.models import Entry, Wallet

T = TypeVar("T")
Kind = Entry.Kind

# In the order they are shown; those of OTHERS only where anything moved.
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
# Their names say whether they add or take, so they have no sign.
UNSIGNED = {Kind.TOPUP, Kind.DEDUCT, Kind.REFUND}


@dataclass(frozen=True)
class Tile:
    """One large figure with its name, its unit, and what stands below it."""

    key: str
    label: str
    figure: Cell
    unit: str
    details: Sequence[str] = ()
    needs_attention: bool = False


@dataclass(frozen=True)
class Movements:
    """What the entries of the period add up to; `change` is of all products."""

    tiles: list[Tile]
    flow_chart: Chart | None
    product_chart: Chart | None
    by_product: Table
    ever_moved: bool
    change: int


@contextmanager
def one_moment() -> Iterator[None]:
    """One snapshot for the whole page, unless the caller has a transaction: that cannot become a snapshot."""
    if connection.in_atomic_block:
        yield
        return
    with operators.snapshot():
        yield


def in_time(read: Callable[[], T]) -> T | None:
    """What `read` returns, or None where the database took longer than an answer may."""
    try:
        with transaction.atomic():
            return read()
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        return None


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
    return Tile(key, label, Cell(money.plain(credits), url), money.unit(credits), details, needs_attention)


# --- What moved -------------------------------------------------------------------------------------


def movements_of(period: Period, product: str) -> Movements:
    """What the entries of the period add up to; tiles and charts of one product where one is named."""
    flows = days.flows(period.first_day, period.last_day)
    shown = [flow for flow in flows if flow.product == product] if product else flows
    return Movements(
        tiles=_tiles(shown, period, product),
        flow_chart=charts.flow_chart(shown, period, product),
        product_chart=None if product else charts.product_chart(flows, period),
        by_product=_by_product(flows, period),
        # In the order of an index, so that one look into it answers, also before the first entry.
        ever_moved=bool(flows) or Entry.objects.order_by("-created_at").values("pk").first() is not None,
        change=sum(flow.credits for flow in flows),
    )


def _tiles(flows: Sequence[Flow], period: Period, product: str) -> list[Tile]:
    credits, moves = _by_kind(flows)

    def tile(kind: Kind, amount: int, *details: str, label: str = "", is_signed: bool = False) -> Tile:
        url = entries(period, product=product or None, kind__exact=kind.value) if moves[kind] else ""
        text = money.signed(amount) if is_signed and amount else money.plain(amount)
        details = (count(moves[kind], "entry", "entries"), *details)
        return Tile(kind.value, label or NAMES[kind], Cell(text, url), money.unit(amount), details)

    charged, given_back, adjusted = -credits[Kind.DEDUCT], credits[Kind.REFUND], moves[Kind.ADJUSTMENT]
    net = [f"{money.plain(charged - given_back)} net of what was given back"] if given_back else []
    # These are read only where there are any.
    added, taken = days.adjusted(period.first_day, period.last_day, product) if adjusted else (0, 0)
    both = [f"{money.signed(added)} added, {money.plain(taken)} taken"] if adjusted else []
    return [
        tile(Kind.TOPUP, credits[Kind.TOPUP]),
        tile(Kind.DEDUCT, charged, *net),
        tile(Kind.REFUND, given_back),
        tile(Kind.ADJUSTMENT, credits[Kind.ADJUSTMENT], *both, label="Adjusted by staff", is_signed=True),
        *(tile(kind, credits[kind], is_signed=True) for kind in OTHERS if moves[kind]),
    ]


def _by_kind(flows: Sequence[Flow]) -> tuple[Counter[str], Counter[str]]:
    """Credits with their sign, and entries, of each kind."""
    credits: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    for flow in flows:
        credits[flow.kind] += flow.credits
        moves[flow.kind] += flow.entries
    return credits, moves


def _by_product(flows: Sequence[Flow], period: Period) -> Table:
    """A row for each product, a column for each kind."""
    kinds = [*MAIN_KINDS, *(kind for kind in OTHERS if any(flow.kind == kind for flow in flows))]
    names = sorted({flow.product for flow in flows}, key=lambda name: (not name, name))
    table_rows = []
    for name in names:
        credits, moves = _by_kind([flow for flow in flows if flow.product == name])
        cells = []
        for kind in kinds:
            url = entries(period, product=name, kind__exact=kind.value) if moves[kind] else ""
            amount = credits[kind]
            text = money.plain(abs(amount)) if kind in UNSIGNED or not amount else money.signed(amount)
            cells.append(Cell(text, url))
        cells.append(Cell(money.plain(sum(moves.values())), entries(period, product=name)))
        table_rows.append(Row(name_of(name) or "No product", cells))
    columns = [*(Column(NAMES[kind]) for kind in kinds), Column("Entries")]
    return Table("Product", columns, table_rows)


# --- Tips -------------------------------------------------------------------------------------------


def tips_of(period: Period) -> Table:
    """The tips recorded in the period, by currency, the most first; their refunds, whenever these came."""
    sums = (
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
    table_rows = []
    for row in sums:
        currency = row["currency"]
        url = rows(Tip, currency__exact=currency, **within(period.since, period.until))
        amounts = [row[name] for name in ("gross", "fee", "refunded", "fee_returned")]
        cells = [
            Cell(money.figure(amount, currency), url if amount or place < 2 else "")
            for place, amount in enumerate(amounts)
        ]
        table_rows.append(Row(currency, [Cell(money.plain(row["tips"]), url), *cells]))
    names = ("Tips", "Gross", "Platform fee", "Refunded", "Fee returned")
    return Table("Currency", [Column(name) for name in names], table_rows)
