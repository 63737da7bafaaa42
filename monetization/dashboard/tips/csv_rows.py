"""Tips as lines of a file."""

from foundation.spreadsheets import Cell
from monetization.dashboard.csv_files import amount, moment
from monetization.models import Tip

# --- Files ------------------------------------------------------------------------------------------

TIP_CSV_HEADER = (
    "tip_id",
    "created_at",
    "name",
    "email",
    "currency",
    "gross_cents",
    "gross",
    "fee_bps",
    "fee_cents",
    "fee",
    "net_cents",
    "net",
    "refunded_cents",
    "refunded",
    "fee_returned_cents",
    "fee_returned",
    "message",
    "stripe_payment_id",
)


def tip_csv_row(tip: Tip) -> list[Cell]:
    """A tip under TIP_CSV_HEADER; a hidden message is empty."""
    return [
        tip.pk,
        moment(tip.created_at),
        tip.name,
        tip.email,
        tip.currency,
        *amount(tip.gross_cents, tip.currency),
        tip.fee_bps,
        *amount(tip.fee_cents, tip.currency),
        *amount(tip.net_cents, tip.currency),
        *amount(tip.refunded_cents, tip.currency),
        *amount(tip.fee_returned_cents, tip.currency),
        tip.shown_message,
        tip.stripe_payment_id,
    ]
