"""What a page shows about a placement at one moment. Days and times are in UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.utils.text import get_text_list

from foundation.calendar import DAY, day_of
from foundation.text import initials, one_line
from foundation.words import NAME_SHOWN, beginning_words, count, period_words
from monetization.models import Sponsor
from monetization.sponsors import Conflicts

State = Sponsor.State


@dataclass(frozen=True)
class PlacementRow:
    """A placement on a page, with the placements that overlap with it."""

    sponsor: Sponsor
    at: datetime
    conflicts: Conflicts | None = None

    @property
    def state(self) -> Sponsor.State:
        return self.sponsor.state_at(self.at)

    @property
    def can_change(self) -> bool:
        return self.state in (State.UPCOMING, State.ACTIVE)

    @property
    def days_left(self) -> str:
        """How many days the placement still runs, or in how many days it begins; "" after its end.

        Days are rounded up. A cancelled placement has "" too.
        """
        if self.state == State.ACTIVE:
            return f"{_days(self.sponsor.active_until - self.at)} left"
        return (
            f"begins in {_days(self.sponsor.active_from - self.at)}" if self.state == State.UPCOMING else ""
        )

    @property
    def days(self) -> str:
        """The days on which the placement is shown, and a time if it does not begin or end at midnight."""
        return period_words(self.sponsor.active_from, self.sponsor.active_until, today=day_of(self.at))

    @property
    def begins(self) -> str:
        return beginning_words(self.sponsor.active_from)

    @property
    def logo(self) -> str:
        """The address of the logo; "" if a browser may not load it here, because it is not https."""
        url = self.sponsor.logo_url
        return url if url.startswith("https://") else ""

    @property
    def initials(self) -> str:
        """The first letters of one or two words of the sponsor's name. They stand where a logo is missing."""
        return initials(self.sponsor.sponsor_name)

    @property
    def conflict(self) -> str:
        return conflict_of(self.sponsor, self.conflicts)

    @property
    def target_host(self) -> str:
        """The host of the URL that the placement links to; "" if this URL is not http or https."""
        try:
            parts = urlsplit(self.sponsor.target_url)
        except ValueError:
            return ""
        return parts.hostname or "" if parts.scheme in ("http", "https") else ""


def conflict_of(sponsor: Sponsor, conflicts: Conflicts | None) -> str:
    """Return a sentence that names the sponsors with the same position at the same time; "" for none."""
    if not conflicts:
        return ""
    # Name a sponsor with two placements only once.
    names = list(dict.fromkeys(one_line(name, NAME_SHOWN) for name in conflicts.names))
    more = [f"{conflicts.more} more"] if conflicts.more else []
    place = "inline position" if sponsor.position == Sponsor.Position.INLINE else sponsor.position
    return f"Same {place}, same days as {get_text_list([*names, *more], 'and')}"


def _days(span: timedelta) -> str:
    return count(-(-span // DAY), "day")
