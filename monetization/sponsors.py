"""Sponsor slots: placed, cancelled, and kept apart where a creator wants one sponsor at a time."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from monetization.errors import NotFound, PlacementsOverlap, PositionTaken
from monetization.models import Earner, Sponsor

NAMED_MAX = 10  # Of what a refusal names.


@transaction.atomic
def place(
    *, creator: User, position: str, active_from: datetime, active_until: datetime, **facts: Any
) -> Sponsor:
    """Record a placement over [active_from, active_until); one in the past may be recorded too.

    Overlaps in a position are allowed unless the creator has one sponsor at a time: then PositionTaken.
    """
    # The lock makes two placements of one creator take turns, so that neither misses the other.
    if _locked(creator).one_sponsor_at_a_time:
        _require_free(creator, position, active_from, active_until)
    return Sponsor.objects.create(
        creator=creator,
        position=position,
        active_from=active_from,
        active_until=active_until,
        created_at=timezone.now(),
        **facts,
    )


@transaction.atomic
def cancel(*, creator: User, sponsor_id: str) -> Sponsor:
    """Take a placement back that has not ended. Raises NotFound where there is none any more."""
    now = timezone.now()
    standing = Sponsor.objects.visible_to(creator).active_or_upcoming(now)
    if not standing.filter(pk=sponsor_id).update(cancelled_at=now):
        raise NotFound
    return Sponsor.objects.get(pk=sponsor_id)


@transaction.atomic
def set_one_at_a_time(*, creator: User, on: bool) -> None:
    """Switch a creator's rule. Raises PlacementsOverlap, naming the sponsors, over existing overlaps."""
    earner = _locked(creator)
    if on and (pairs := list(islice(overlaps(creator, at=timezone.now()), NAMED_MAX))):
        raise PlacementsOverlap(
            [(first.position, first.sponsor_name, second.sponsor_name) for first, second in pairs]
        )
    earner.one_sponsor_at_a_time = on
    earner.save(update_fields=["one_sponsor_at_a_time"])


def overlaps(creator: User, *, at: datetime) -> Iterator[tuple[Sponsor, Sponsor]]:
    """Pairs of placements, running or to come, that share a position and a moment; as they are found."""
    standing = Sponsor.objects.visible_to(creator).active_or_upcoming(at)
    placements = list(standing.order_by("position", "active_from", "pk"))
    for index, first in enumerate(placements):
        for second in islice(placements, index + 1, None):
            # In order of their beginning: the first that begins after this one's end ends the search.
            if second.position != first.position or second.active_from >= first.active_until:
                break
            yield first, second


def _require_free(creator: User, position: str, active_from: datetime, active_until: datetime) -> None:
    there = Sponsor.objects.visible_to(creator).overlapping(
        position=position, active_from=active_from, active_until=active_until
    )
    if names := list(there.order_by("active_from").values_list("sponsor_name", flat=True)[:NAMED_MAX]):
        raise PositionTaken(position, names)


def _locked(creator: User) -> Earner:
    Earner.objects.bulk_create([Earner(creator=creator)], ignore_conflicts=True)
    return Earner.objects.select_for_update().get(pk=creator.pk)
