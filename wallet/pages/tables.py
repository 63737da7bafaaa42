"""Describe ledger entries for the wallet's pages and for the CSV file."""

from collections.abc import Iterable, Sequence
from datetime import UTC

from wallet.books.models import Entry
from wallet.history import products
from wallet.payments import causes
from wallet.payments.causes import Reversal
from wallet.prices.models import Rate

Kind = Entry.Kind

# The choices of the history's filter. Each kind of entry belongs to exactly one choice.
KIND_GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "top-ups": ("Top-ups", (Kind.TOPUP,)),
    "charges": ("Charges", (Kind.DEDUCT, Kind.CAPTURE)),
    "given-back": ("Given back", (Kind.REFUND,)),
    "payments": ("Refunds and disputes", (Kind.CLAWBACK, Kind.REINSTATEMENT)),
    "others": ("Adjustments and grants", (Kind.ADJUSTMENT, Kind.GRANT, Kind.EXPIRY)),
}
KIND_NAMES: dict[str, str] = {
    Kind.TOPUP: "Top-up",
    Kind.DEDUCT: "Charge",
    Kind.REFUND: "Given back",
    Kind.ADJUSTMENT: "Adjustment by Misar",
    Kind.CLAWBACK: "Payment refunded or disputed",
    Kind.REINSTATEMENT: "Credits of a payment returned",
    Kind.GRANT: "Credits granted",
    Kind.EXPIRY: "Credits expired",
    Kind.CAPTURE: "Charge of a hold",
}


def described(entries: Iterable[Entry], labels: dict[str, str]) -> list[tuple[Entry, str, str]]:
    """Return each entry with a description and the name of its product.

    The description never contains the reason that a staff member wrote: only staff may read reasons.
    """
    entries = list(entries)
    reversals = causes.of_entries(entries)
    return [
        (entry, what_happened(entry, labels, reversals.get(entry.pk)), products.name_of(entry.product))
        for entry in entries
    ]


def what_happened(entry: Entry, labels: dict[str, str], reversal: Reversal | None = None) -> str:
    """Return a short description of an entry.

    It is the kind of the entry, or the label of its feature and the units, or what happened to its payment.
    A charge that took no hold first has no kind before its feature.
    """
    if reversal:
        return reversal.title
    if not entry.feature:
        return KIND_NAMES[entry.kind]
    units = units_of(entry.feature, entry.count, labels)
    return units if entry.kind == Kind.DEDUCT else f"{KIND_NAMES[entry.kind]}: {units}"


def units_of(feature: str, count: int | None, labels: dict[str, str]) -> str:
    """Return the label of a feature, and how many units of it if they are more than one."""
    label = labels.get(feature, feature)
    return f"{label} × {count:,}" if count and count > 1 else label


def labels_of_features() -> dict[str, str]:
    """Return the label of each feature in the rate table. Rates that are not active are included."""
    return dict(Rate.objects.values_list("feature", "label"))


CSV_HEADER = "id time type credits balance_after feature count product stripe_session_id".split()


def csv_row(entry: Entry) -> Sequence[str | int | None]:
    """Return an entry as a row of the CSV file. Times are in UTC and in ISO 8601 format."""
    time = f"{entry.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    moved = (entry.pk, time, entry.kind, entry.credits, entry.balance_after)
    return *moved, entry.feature, entry.count, entry.product, entry.stripe_session_id
