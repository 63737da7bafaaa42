"""What the list of placements says.

Nothing here writes. Days and times are UTC; amounts come as text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from foundation import money, words
from foundation.calendar import DAY
from foundation.words import NAME_SHOWN, NONE
from monetization.dashboard.tags import TONES, State, Tag
from monetization.models import Sponsor
from monetization.sponsors import Conflicts

# --- Sponsors ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SponsorRow:
    """A placement in the list."""

    pk: str
    name: str
    target_host: str
    target_url: str
    position: str
    begins: datetime
    ends: datetime
    until: str
    days_left: str
    price: str
    state: Tag
    conflict: str
    can_edit: bool
    can_cancel: bool


def sponsor_rows(
    placements: Sequence[Sponsor], conflicts: Mapping[str, Conflicts], *, at: datetime
) -> list[SponsorRow]:
    """Placements as they stand at that moment, each with those it shares position and time with."""
    return [_sponsor_row(each, conflicts.get(each.pk), at) for each in placements]


def _sponsor_row(sponsor: Sponsor, others: Conflicts | None, at: datetime) -> SponsorRow:
    state = sponsor.state_at(at)
    stands = state in (State.UPCOMING, State.ACTIVE)
    return SponsorRow(
        pk=sponsor.pk,
        name=words.shortened(sponsor.sponsor_name, NAME_SHOWN),
        target_host=host_of(sponsor.target_url),
        target_url=sponsor.target_url,
        position=sponsor.get_position_display(),
        begins=sponsor.active_from,
        ends=sponsor.active_until,
        until=words.end_words(sponsor.active_until),
        days_left=days_left(sponsor, at),
        price=price_of(sponsor),
        state=Tag(state.label, TONES.get(state, "")),
        conflict=conflict_of(sponsor, others),
        can_edit=stands,
        can_cancel=stands,
    )


def price_of(sponsor: Sponsor) -> str:
    """A placement's price; a dash where none is recorded."""
    return NONE if sponsor.price_cents is None else money.amount(sponsor.price_cents, sponsor.currency)


def days_left(sponsor: Sponsor, at: datetime) -> str:
    """How long a placement still runs, or when it begins; days begun count whole. Empty once it is over."""
    state = sponsor.state_at(at)
    if state == State.ACTIVE:
        return f"{_days(sponsor.active_until - at)} left"
    return f"begins in {_days(sponsor.active_from - at)}" if state == State.UPCOMING else ""


def _days(span: timedelta) -> str:
    return words.count(-(-span // DAY), "day")


def conflict_of(sponsor: Sponsor, others: Conflicts | None) -> str:
    """With whom a placement shares position and time, in words; empty for nobody."""
    if not others:
        return ""
    names = [words.shortened(name, NAME_SHOWN) for name in others.names]
    more = [f"{others.more} more"] if others.more else []
    place = "inline position" if sponsor.position == Sponsor.Position.INLINE else sponsor.position
    return f"Same {place}, same days as {listed([*names, *more])}"


def where(sponsor: Sponsor) -> str:
    """Where a placement is, in a sentence: "inline", "in the header"."""
    return "inline" if sponsor.position == Sponsor.Position.INLINE else f"in the {sponsor.position}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, each once.

    >>> listed(["Acme", "Globex", "Acme", "Initech"])
    'Acme, Globex and Initech'
    """
    names = list(dict.fromkeys(names))
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def host_of(url: str) -> str:
    """The host of a web address, for a link to be judged by; empty for what is no web address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.hostname or "" if parts.scheme in ("http", "https") else ""
