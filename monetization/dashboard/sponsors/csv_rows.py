"""Placements as lines of a file."""

from datetime import datetime

from foundation.spreadsheets import Cell
from monetization.dashboard.csv_files import amount, moment
from monetization.models import Sponsor

SPONSOR_CSV_HEADER = (
    "sponsor_id",
    "created_at",
    "sponsor_name",
    "position",
    "state",
    "active_from",
    "active_until",
    "cancelled_at",
    "currency",
    "price_cents",
    "price",
    "target_url",
    "logo_url",
)


def sponsor_csv_row(sponsor: Sponsor, *, at: datetime) -> list[Cell]:
    """A placement under SPONSOR_CSV_HEADER, with its state at that moment."""
    return [
        sponsor.pk,
        moment(sponsor.created_at),
        sponsor.sponsor_name,
        sponsor.position,
        sponsor.state_at(at),
        moment(sponsor.active_from),
        moment(sponsor.active_until),
        moment(sponsor.cancelled_at),
        sponsor.currency,
        *amount(sponsor.price_cents, sponsor.currency),
        sponsor.target_url,
        sponsor.logo_url,
    ]
