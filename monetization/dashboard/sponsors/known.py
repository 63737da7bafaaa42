"""The sponsors that a creator has placed before, which the form offers."""

from accounts.models import User
from monetization.models import Sponsor

PLACEMENTS_READ = 200
KNOWN_MAX = 50


def known_sponsors(creator: User) -> list[Sponsor]:
    """Return the newest placement of each sponsor's name, at most 50, sorted by name.

    This reads the 200 placements that begin last, in one query.
    """
    newest: dict[str, Sponsor] = {}
    placed = Sponsor.objects.visible_to(creator).order_by("-active_from", "-pk")
    for each in placed.only("sponsor_name", "target_url", "logo_url")[:PLACEMENTS_READ]:
        newest.setdefault(each.sponsor_name, each)
    return sorted(list(newest.values())[:KNOWN_MAX], key=lambda each: each.sponsor_name.casefold())
