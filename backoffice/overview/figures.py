"""The figures on the front page of the back-office. They cover the whole service over some UTC days.

Nothing here writes. Amounts of credits are text. A figure may have a link, and is then exactly the sum of the
rows that the link opens.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Greatest, Now

from backoffice.credits import funds
from backoffice.overview import charts
from backoffice.overview.charts import Flows, then_words
from backoffice.overview.links import entries, rows, within
from foundation import money, operators
from foundation.charts import Cell, Chart, Column, Row, Table
from foundation.comparisons import UNCHANGED, Better, Change, change
from foundation.words import count
from monetization.figures.periods import Period, before
from monetization.models import Tip
from wallet.books import days
from wallet.books.days import Flow
from wallet.charges.give_backs import CHARGES
from wallet.history.products import name_of
from wallet.models import Entry, Lot, Wallet

T = TypeVar("T")
Kind = Entry.Kind

# The kinds of entries, in the order of the page. A kind of OTHERS is shown only if it has entries. A capture
# counts as a charge.
MAIN_KINDS = (Kind.TOPUP, Kind.DEDUCT, Kind.REFUND, Kind.ADJUSTMENT)
OTHERS = (Kind.CLAWBACK, Kind.REINSTATEMENT, Kind.GRANT, Kind.EXPIRY)
NAMES = {
    Kind.TOPUP: "Topped up",
    Kind.DEDUCT: "Charged",
    Kind.REFUND: "Given back",
    Kind.ADJUSTMENT: "Adjusted",
    Kind.CLAWBACK: "Clawed back",
    Kind.REINSTATEMENT: "Reinstated",
    Kind.GRANT: "Granted",
    Kind.EXPIRY: "Expired",
}
# Amounts of these kinds have no sign, because the name says whether credits were added or taken.
UNSIGNED = {Kind.TOPUP, Kind.DEDUCT, Kind.REFUND}
# For the other kinds, more is neither good nor bad.
BETTER: dict[Kind, Better] = {Kind.TOPUP: "more", Kind.DEDUCT: "more", Kind.REFUND: "less"}


@dataclass(frozen=True)
class Tile:
    """One large figure with its name and its unit. `details` are the lines below it.

    `change` compares the figure with the period before.
    """

    key: str
    label: str
    figure: Cell
    unit: str
    details: Sequence[str] = ()
    needs_attention: bool = False
    change: Change = UNCHANGED


@dataclass(frozen=True)
class Movements:
    """What the entries of the period add up to.

    `change` is the sum of credits over all products, even if the page shows one product. `ever_moved` is
    false if the ledger has no entries at all.
    """

    tiles: list[Tile]
    flow_chart: Chart | None
    product_chart: Chart | None
    by_product: Table
    ever_moved: bool
    change: int


@contextmanager
def one_moment() -> Iterator[None]:
    """Read the whole page from one snapshot of the database.

    If the caller already has a transaction, this does nothing: a running transaction cannot become a
    snapshot.
    """
    if connection.in_atomic_block:
        yield
        return
    with operators.snapshot():
        yield


def in_time(read: Callable[[], T]) -> T | None:
    """Return the result of `read`; None if PostgreSQL cancelled a query because it took too long."""
    try:
        with transaction.atomic():
            return read()
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        return None


# --- Balances ---------------------------------------------------------------------------------------


def balances(period: Period, change: int | None) -> list[Tile]:
    """Return a tile with the credits that users hold. If users owe credits, return a second tile for them.

    Users hold paid credits, and what their grants have left. A debt is missing paid credits: it is not
    subtracted. `change` is how much the period's entries changed the sum of all balances. None or 0 is not
    shown.
    """
    owing = funds.CONDITIONS[funds.OWING]
    held = Wallet.objects.aggregate(
        credits=Sum(Greatest("balance", "granted"), default=0),
        wallets=Count("pk", filter=Q(balance__gt=0) | Q(granted__gt=0)),
        owed=Sum(funds.OWED, filter=owing, default=0),
        debtors=Count("pk", filter=owing),
        set_aside=Sum("held", default=0),
    )
    # A wallet counts these until they are written off.
    ended = Lot.objects.ended(Now()).aggregate(free=Sum(F("remaining") - F("held"), default=0))
    details = [f"in {count(held['wallets'], 'wallet')}" if held["wallets"] else "No wallet holds any yet."]
    if held["set_aside"]:
        details.append(f"{money.plain(held['set_aside'])} held for work in progress")
    if change:
        details.append(f"{money.signed(change)} in {period.label}")
    url = rows(Wallet) if held["wallets"] else ""
    tiles = [_tile("outstanding", "Credits outstanding", held["credits"] - ended["free"], url, details)]
    if held["debtors"]:
        owed = f"by {count(held['debtors'], 'wallet')}, after clawbacks"
        url = rows(Wallet, funds=funds.OWING)
        tiles.append(_tile("owed", "Owed to us", held["owed"], url, [owed], needs_attention=True))
    return tiles


def _tile(
    key: str, label: str, credits: int, url: str, details: Sequence[str] = (), needs_attention: bool = False
) -> Tile:
    return Tile(key, label, Cell(money.plain(credits), url), money.unit(credits), details, needs_attention)


# --- Movements --------------------------------------------------------------------------------------


def movements_of(period: Period, product: str) -> Movements:
    """Return what the entries of the period add up to.

    If `product` is not "", the tiles and the first chart count only this product, and there is no chart by
    product.
    """
    flows = _flows(period)
    shown = flows.of_product(product)
    return Movements(
        tiles=_tiles(shown, product),
        flow_chart=charts.flow_chart(shown, product),
        product_chart=None if product else charts.product_chart(flows),
        by_product=_by_product(flows),
        # An index has this order, so PostgreSQL needs one index lookup, even if there are no entries.
        ever_moved=bool(flows.now) or Entry.objects.order_by("-pk").values("pk").first() is not None,
        change=sum(flow.credits for flow in flows.now),
    )


def _flows(period: Period) -> Flows:
    """Return the sums of a period and of the period before, which one query reads."""
    earlier = before(period)
    assert earlier, "only the period of all time has none before, and this page doesn't show it"
    both = days.flows(earlier.first_day, period.last_day)
    now = [flow for flow in both if flow.day >= period.first_day]
    return Flows(period, now, earlier, both[: len(both) - len(now)])


def _tiles(flows: Flows, product: str) -> list[Tile]:
    period = flows.period
    credits, moves = _by_kind(flows.now)
    credits_then, moves_then = _by_kind(flows.then)

    def tile(kind: Kind, *details: str, label: str = "", is_signed: bool = False) -> Tile:
        amount, then = credits[kind], credits_then[kind]
        if kind == Kind.DEDUCT:
            amount, then = -amount, -then
        url = entries(period, product=product or None, kinds=_kinds_shown_as(kind)) if moves[kind] else ""
        text = money.signed(amount) if is_signed and amount else money.plain(amount)
        return Tile(
            kind.value,
            label or NAMES[kind],
            Cell(text, url),
            money.unit(amount),
            (count(moves[kind], "entry", "entries"), *details),
            change=change(amount, then, than=flows.before.label, better=BETTER.get(kind, "")),
        )

    charged, given_back, adjusted = -credits[Kind.DEDUCT], credits[Kind.REFUND], moves[Kind.ADJUSTMENT]
    net = [f"{money.plain(charged - given_back)} net of what was given back"] if given_back else []
    # This is another query, so it runs only if there are adjustments.
    added, taken = days.adjusted(period.first_day, period.last_day, product) if adjusted else (0, 0)
    both = [f"{money.signed(added)} added, {money.plain(taken)} taken"] if adjusted else []
    return [
        tile(Kind.TOPUP),
        tile(Kind.DEDUCT, *net),
        tile(Kind.REFUND),
        tile(Kind.ADJUSTMENT, *both, label="Adjusted by staff", is_signed=True),
        *(tile(kind, is_signed=True) for kind in OTHERS if moves[kind] or moves_then[kind]),
    ]


def _by_kind(flows: Sequence[Flow]) -> tuple[Counter[str], Counter[str]]:
    """Return the credits of each kind, with their sign, and the number of entries of each kind."""
    credits: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    for flow in flows:
        kind = Kind.DEDUCT if flow.kind in CHARGES else flow.kind
        credits[kind] += flow.credits
        moves[kind] += flow.entries
    return credits, moves


def _kinds_shown_as(kind: Kind) -> tuple[Kind, ...]:
    return CHARGES if kind == Kind.DEDUCT else (kind,)


def _by_product(flows: Flows) -> Table:
    """Return a table with a row for each product and a column for each kind of entries.

    Its column of the period before has the credits charged.
    """
    kinds = [*MAIN_KINDS, *(kind for kind in OTHERS if any(flow.kind == kind for flow in flows.now))]
    names = {flow.product for flow in flows.now} | {
        flow.product for flow in flows.then if flow.kind in CHARGES
    }
    table_rows = []
    for name in sorted(names, key=lambda name: (not name, name)):
        of_product = [flow for flow in flows.now if flow.product == name]
        credits, moves = _by_kind(of_product)
        then, _ = _by_kind([flow for flow in flows.then if flow.product == name])
        cells = []
        for kind in kinds:
            url = entries(flows.period, product=name, kinds=_kinds_shown_as(kind)) if moves[kind] else ""
            amount = credits[kind]
            text = money.plain(abs(amount)) if kind in UNSIGNED or not amount else money.signed(amount)
            cells.append(Cell(text, url))
        charged_then = -then[Kind.DEDUCT]
        url = entries(flows.before, product=name, kinds=CHARGES) if charged_then else ""
        cells.append(Cell(money.plain(charged_then), url))
        url = entries(flows.period, product=name) if of_product else ""
        cells.append(Cell(money.plain(sum(moves.values())), url))
        table_rows.append(Row(name_of(name) or "No product", cells))
    before_column = Column(f"Charged, {then_words(flows.before)}")
    columns = [*(Column(NAMES[kind]) for kind in kinds), before_column, Column("Entries")]
    return Table("Product", columns, table_rows)


# --- Tips -------------------------------------------------------------------------------------------


def tips_of(period: Period) -> Table:
    """Return a table of the tips recorded in the period. The currency with the most tips comes first.

    All refunds of these tips count, even refunds made after the period. The last column is the gross amount
    of the period before.
    """
    earlier = before(period)
    assert earlier
    shown = Q(created_at__gte=period.since)
    names = ("gross", "fee", "refunded", "fee_returned")
    sums = (
        Tip.objects.filter(created_at__gte=earlier.since, created_at__lt=period.until)
        .values("currency")
        .annotate(
            tips=Count("pk", filter=shown),
            **{name: Sum(f"{name}_cents", filter=shown, default=0) for name in names},
            then=Sum("gross_cents", filter=~shown, default=0),
        )
        .order_by("-tips", "currency")
    )
    table_rows = []
    row: Any
    for row in sums:
        currency = row["currency"]
        url, url_then = (
            rows(Tip, currency__exact=currency, **within(each.since, each.until))
            for each in (period, earlier)
        )
        cells = [Cell(money.plain(row["tips"]), url if row["tips"] else "")]
        for name in names:
            has_rows = row["tips"] if name in ("gross", "fee") else row[name]
            cells.append(Cell(money.figure(row[name], currency), url if has_rows else ""))
        cells.append(Cell(money.figure(row["then"], currency), url_then if row["then"] else ""))
        table_rows.append(Row(currency, cells))
    headings = ("Tips", "Gross", "Platform fee", "Refunded", "Fee returned")
    columns = [*map(Column, headings), Column(f"Gross, {then_words(earlier)}")]
    return Table("Currency", columns, table_rows)
