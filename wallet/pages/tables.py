"""Describe ledger entries for the wallet's pages and for the CSV file."""

from collections.abc import Iterable, Sequence
from datetime import UTC

from django.db.models import F

from wallet.books.models import Entry
from wallet.charges.models import LotMove
from wallet.history import products
from wallet.payments import causes
from wallet.payments.causes import Reversal
from wallet.prices.units import Feature

Kind = Entry.Kind

# The choices of the history's filter. Each kind of entry belongs to exactly one choice.
KIND_GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "top-ups": ("Top-ups", (Kind.TOPUP,)),
    "charges": ("Charges", (Kind.DEDUCT, Kind.CAPTURE)),
    "given-back": ("Given back", (Kind.REFUND,)),
    "payments": ("Refunds and disputes", (Kind.CLAWBACK, Kind.REINSTATEMENT)),
    "grants": ("Grants", (Kind.GRANT, Kind.EXPIRY)),
    "others": ("Adjustments", (Kind.ADJUSTMENT,)),
}
KIND_NAMES: dict[str, str] = {
    Kind.TOPUP: "Top-up",
    Kind.DEDUCT: "Charge",
    Kind.REFUND: "Given back",
    Kind.ADJUSTMENT: "Adjustment by Misar",
    Kind.CLAWBACK: "Payment refunded or disputed",
    Kind.REINSTATEMENT: "Credits of a payment returned",
    Kind.GRANT: "Granted",
    Kind.EXPIRY: "Ended unspent",
    Kind.CAPTURE: "Charge of a hold",
}
# The user sees the reason of these.
KINDS_OF_GRANTS = (Kind.GRANT, Kind.EXPIRY)
TAKEN_BACK = "Taken back"


def described(entries: Iterable[Entry], features: dict[str, Feature]) -> list[tuple[Entry, str, str]]:
    """Return each entry with a description and the name of its product.

    The description has the reason of a grant. It never contains another reason that a staff member wrote:
    only staff may read those.
    """
    entries = list(entries)
    reversals = causes.of_entries(entries)
    taken_back = _of_grants_taken_back(entries)

    def what(entry: Entry) -> str:
        if entry.pk in taken_back:
            return f"{TAKEN_BACK}: {entry.reason}"
        return what_happened(entry, features, reversals.get(entry.pk))

    return [(entry, what(entry), products.name_of(entry.product)) for entry in entries]


def _of_grants_taken_back(entries: Iterable[Entry]) -> set[str]:
    """Return the ids of those entries that ended a grant because it was taken back."""
    ended = {(entry.wallet_id, entry.sequence): entry.pk for entry in entries if entry.kind == Kind.EXPIRY}
    if not ended:
        return set()
    wallets, sequences = zip(*ended, strict=True)
    moves = LotMove.objects.filter(wallet_id__in=set(wallets), sequence__in=sequences)
    taken_back = moves.filter(lot__wallet_id=F("wallet_id"), lot__voided_at__isnull=False)
    places = taken_back.values_list("wallet_id", "sequence")
    return {ended[place] for place in places if place in ended}


def what_happened(entry: Entry, features: dict[str, Feature], reversal: Reversal | None = None) -> str:
    """Return a short description of an entry.

    It is the kind of the entry, or the label of its feature and the units, or what happened to its payment,
    or the reason of its grant. A charge that took no hold first has no kind before its feature.
    """
    if reversal:
        return reversal.title
    if entry.kind in KINDS_OF_GRANTS and entry.reason:
        return f"{KIND_NAMES[entry.kind]}: {entry.reason}"
    if not entry.feature:
        return KIND_NAMES[entry.kind]
    units = units_of(entry.feature, entry.count, features)
    return units if entry.kind == Kind.DEDUCT else f"{KIND_NAMES[entry.kind]}: {units}"


def units_of(feature: str, units: int | None, features: dict[str, Feature]) -> str:
    """Return the label of a feature, and how many things were charged if they are more than one."""
    return features.get(feature, Feature(feature)).times(units)


CSV_HEADER = "id time type credits balance_after feature count product stripe_session_id reason".split()


def csv_row(entry: Entry) -> Sequence[str | int | None]:
    """Return an entry as a row of the CSV file. Times are in UTC and in ISO 8601 format.

    The reason is that of a grant; it is empty for other entries.
    """
    time = f"{entry.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    moved = (entry.pk, time, entry.kind, entry.credits, entry.balance_after)
    reason = entry.reason if entry.kind in KINDS_OF_GRANTS else ""
    return *moved, entry.feature, entry.count, entry.product, entry.stripe_session_id, reason
