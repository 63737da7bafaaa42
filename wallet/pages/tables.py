"""What the wallet's page says of spending and history: rows ready for the template, and for the CSV file.

Nothing here writes. Credits come as text where they are shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from foundation import money
from wallet.books.models import Entry
from wallet.history import products, spending
from wallet.pages.chart import Range, today
from wallet.prices.models import Rate

Kind = Entry.Kind

# What a history can be narrowed to, in the words of somebody who looks for something. Every kind is in one.
KIND_GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "top-ups": ("Top-ups", (Kind.TOPUP,)),
    "charges": ("Charges", (Kind.DEDUCT, Kind.CAPTURE)),
    "given-back": ("Given back", (Kind.REFUND,)),
    "payments": ("Payments reversed", (Kind.CLAWBACK, Kind.REINSTATEMENT)),
    "others": ("Adjustments and grants", (Kind.ADJUSTMENT, Kind.GRANT, Kind.EXPIRY)),
}
KIND_NAMES: dict[str, str] = {
    Kind.TOPUP: "Top-up",
    Kind.DEDUCT: "Charge",
    Kind.REFUND: "Given back",
    Kind.ADJUSTMENT: "Adjustment by Misar",
    Kind.CLAWBACK: "Payment reversed",
    Kind.REINSTATEMENT: "Payment reinstated",
    Kind.GRANT: "Credits granted",
    Kind.EXPIRY: "Credits expired",
    Kind.CAPTURE: "Charge",
}
SPENDING_ROWS_MAX = 20


# --- What was spent ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpendingRow:
    """One feature of one product, or all that did not fit the table."""

    label: str
    product: str
    units: str
    credits: str
    share_percent: int


@dataclass(frozen=True)
class SpendingTable:
    """The rows, most credits first, and what they come to."""

    rows: list[SpendingRow]
    total: str


def spending_of(user_id: str, shown: Range) -> SpendingTable:
    """What was spent by product and feature; the smallest ones in one row where there are many."""
    last_day = today()
    found = spending.by_feature(user_id=user_id, first_day=shown.first_day(last_day), last_day=last_day)
    rows = [
        SpendingRow(
            each.label, each.product, money.plain(each.units), money.plain(each.credits), each.share_percent
        )
        for each in found[:SPENDING_ROWS_MAX]
    ]
    rest = found[SPENDING_ROWS_MAX:]
    if rest:
        rows.append(
            SpendingRow(
                label=f"{len(rest):,} more",
                product="",
                units="",
                credits=money.plain(sum(each.credits for each in rest)),
                share_percent=sum(each.share_percent for each in rest),
            )
        )
    return SpendingTable(rows, money.plain(sum(each.credits for each in found)))


# --- History ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HistoryRow:
    """One entry as a line of the history or of a statement. Staff's reason is for staff, and is not in it."""

    id: str
    at: datetime
    what: str
    product: str
    credits: str
    balance_after: str
    adds: bool
    owes: bool


def history_rows(entries: Iterable[Entry], labels: dict[str, str]) -> list[HistoryRow]:
    """Entries in the order they come."""
    return [
        HistoryRow(
            id=entry.pk,
            at=entry.created_at,
            what=what_happened(entry, labels),
            product=products.name_of(entry.product),
            credits=money.signed(entry.credits),
            balance_after=money.plain(entry.balance_after),
            adds=entry.credits > 0,
            owes=entry.balance_after < 0,
        )
        for entry in entries
    ]


def what_happened(entry: Entry, labels: dict[str, str]) -> str:
    """An entry in a few words: the feature of a charge by its label, and how many of it."""
    if not entry.feature:
        return KIND_NAMES[entry.kind]
    label = labels.get(entry.feature, entry.feature)
    units = f" × {entry.count:,}" if entry.count and entry.count > 1 else ""
    if entry.kind in KIND_GROUPS["charges"][1]:
        return label + units
    return f"{KIND_NAMES[entry.kind]}: {label}{units}"


def labels_of_features() -> dict[str, str]:
    """What each feature of the rate table is called, also one that is charged no more."""
    return dict(Rate.objects.values_list("feature", "label"))


CSV_HEADER = (
    *("id", "time", "type", "credits", "balance_after", "feature", "count", "product"),
    "stripe_session_id",
)


def csv_row(entry: Entry) -> Sequence[str | int | None]:
    """An entry as a line of the file; times are UTC, ISO 8601."""
    return (
        *(entry.pk, f"{entry.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", entry.kind, entry.credits),
        *(entry.balance_after, entry.feature, entry.count, entry.product),
        entry.stripe_session_id,
    )
