"""What the page of one placement says."""

from calendar import monthrange
from datetime import MAXYEAR, datetime

from foundation import money, words
from foundation.words import moment
from monetization.dashboard.tags import Fact
from monetization.models import Sponsor

# A placement's fields as a page names them, in the order in which they are read.
SPONSOR_WORDS = {
    "sponsor_name": "Sponsor",
    "position": "Position",
    "active_from": "From, UTC",
    "active_until": "End, UTC",
    "target_url": "Target address",
    "logo_url": "Logo address",
    "price_cents": "Price",
    "currency": "Currency",
}


# --- Sponsors ---------------------------------------------------------------------------------------


def sponsor_facts(sponsor: Sponsor, *, but: frozenset[str] = frozenset()) -> list[Fact]:
    """A placement field by field, without those a form beside it has."""
    price = (
        money.amount(sponsor.price_cents, sponsor.currency)
        if sponsor.price_cents is not None
        else "none recorded"
    )
    values = {
        "sponsor_name": sponsor.sponsor_name,
        "position": sponsor.get_position_display(),
        "active_from": moment(sponsor.active_from),
        "active_until": words.end_words(sponsor.active_until),
        "target_url": sponsor.target_url,
        "logo_url": sponsor.logo_url,
        "price_cents": price,
    }
    return [Fact(SPONSOR_WORDS[name], value) for name, value in values.items() if name not in but]


def in_next_month(sponsor: Sponsor, *, at: datetime) -> tuple[datetime, datetime]:
    """The same days of the next month in which they are still to come: for the placement to be sold again.

    A day that a month lacks becomes its last; a period that would vanish by that keeps its length.
    """
    months = 1
    while _months_later(sponsor.active_from, months) <= at:
        months += 1
    begins, ends = (_months_later(each, months) for each in (sponsor.active_from, sponsor.active_until))
    return begins, ends if ends > begins else begins + (sponsor.active_until - sponsor.active_from)


def _months_later(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    year = min(moment.year + years, MAXYEAR)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
