"""Place, edit, cancel and restore sponsors.

Placements must not overlap if the creator has one sponsor at a time.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypedDict, Unpack

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import Count, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from foundation.errors import KeyReused
from monetization.errors import (
    ChangedMeanwhile,
    EndsBeforeItBegins,
    NotFound,
    PlacementsOverlap,
    PositionTaken,
    TooLate,
)
from monetization.models import FORM_KEY_LENGTH, Earner, Sponsor

NAMED_MAX = 10  # The most sponsors, or pairs of sponsors, that an error names.
CONFLICTS_NAMED = 3  # The most names in Conflicts.
# A page offers to undo a cancellation for ten seconds. The request needs a moment for its way, too.
UNDO_OFFERED = timedelta(seconds=10)
UNDO_ACCEPTED = UNDO_OFFERED + timedelta(seconds=5)
# The fields that can be edited, with the words for them in an error.
FIELDS = {
    "sponsor_name": "sponsor's name",
    "logo_url": "logo",
    "target_url": "target",
    "position": "position",
    "active_from": "beginning",
    "active_until": "end",
    "price_cents": "price",
    "currency": "currency",
}
OPEN_WHILE_ACTIVE = frozenset({"active_until", "target_url", "logo_url"})
PERIOD = frozenset({"position", "active_from", "active_until"})

State = Sponsor.State


@dataclass(frozen=True)
class Conflicts:
    """The placements that overlap with one placement, in the same position.

    `names` has the sponsors' names of 1 to 3 of these placements, the soonest first. Names are as they were
    recorded, and a name may occur twice. `more` is how many further placements overlap.
    """

    names: tuple[str, ...]
    more: int


class Changes(TypedDict, total=False):
    """The changes to a placement, with the parameter names of `place`.

    A field that is not given does not change.
    """

    sponsor_name: str
    logo_url: str
    target_url: str
    position: str
    active_from: datetime
    active_until: datetime
    price_cents: int | None
    currency: str


@transaction.atomic
def place(
    *,
    creator: User,
    position: str,
    active_from: datetime,
    active_until: datetime,
    key: str = "",
    **facts: Any,
) -> Sponsor:
    """Record a placement over the period [active_from, active_until). The period may be in the past.

    Placements may overlap in a position. But if the creator has one sponsor at a time, an overlap raises
    PositionTaken.

    `key` is the one-time key of a browser form (1 to 64 characters). If the same form is sent again, this
    returns the first placement, even if both requests run in parallel. Raises KeyReused if the form's values
    differ from the placement, or if the placement was cancelled.
    """
    assert len(key) <= FORM_KEY_LENGTH, "the form has refused anything longer"
    fields = {"position": position, "active_from": active_from, "active_until": active_until, **facts}
    # Take the creator's lock. Two placements of one creator are then recorded one after the other, and the
    # second transaction sees the first placement.
    earner = _locked(creator)
    if key and (first := Sponsor.objects.visible_to(creator).filter(form_key=key).first()):
        if first.cancelled_at or any(getattr(first, name) != value for name, value in fields.items()):
            raise KeyReused("This form was sent before; open it again to place another sponsor")
        return first
    if earner.one_sponsor_at_a_time:
        _require_free(creator, position, active_from, active_until)
    return Sponsor.objects.create(creator=creator, form_key=key, created_at=timezone.now(), **fields)


@transaction.atomic
def edit(*, creator: User, sponsor_id: str, seen: str | None = None, **changes: Unpack[Changes]) -> Sponsor:
    """Change a placement. After the placement has begun, only its end and its two URLs can change.

    A new value that equals the present value is no change. Raises NotFound, also for another creator's
    placement. Raises TooLate, which names the fields that can no longer change. Raises EndsBeforeItBegins.
    Raises PositionTaken if the creator has one sponsor at a time and the new period is not free.

    `seen` is the `fingerprint` of the placement that the creator saw. If the placement has changed since
    then, this raises ChangedMeanwhile and changes nothing.
    """
    assert changes.keys() <= FIELDS.keys(), "the edge has refused anything else"
    # Take the same lock as `place`, and lock the placement. A request that cancels the placement at the same
    # moment waits until this transaction ends.
    earner = _locked(creator)
    mine = Sponsor.objects.visible_to(creator).select_for_update()
    sponsor = mine.filter(pk=sponsor_id).first()
    if sponsor is None:
        raise NotFound
    different = {name: value for name, value in changes.items() if getattr(sponsor, name) != value}
    if different and seen is not None and seen != fingerprint(sponsor):
        raise ChangedMeanwhile
    _require_open(sponsor, different.keys() - open_fields(sponsor, at=timezone.now()))
    for name, value in different.items():
        setattr(sponsor, name, value)
    if sponsor.active_until <= sponsor.active_from:
        raise EndsBeforeItBegins
    if earner.one_sponsor_at_a_time and different.keys() & PERIOD:
        _require_free(creator, sponsor.position, sponsor.active_from, sponsor.active_until, but=sponsor)
    if different:
        sponsor.save(update_fields=list(different))
    return sponsor


def fingerprint(sponsor: Sponsor) -> str:
    """Return a digest of a placement, 64 hexadecimal digits. If the digest differs, the placement changed."""
    values = [getattr(sponsor, name) for name in (*FIELDS, "cancelled_at")]
    plain = [each.astimezone(UTC).isoformat() if isinstance(each, datetime) else each for each in values]
    return hashlib.sha256(repr(plain).encode()).hexdigest()


def open_fields(sponsor: Sponsor, *, at: datetime) -> frozenset[str]:
    """Return the FIELDS that `edit` can change at that moment.

    If the placement has ended or is cancelled, no field can change.
    """
    state = sponsor.state_at(at)
    if state == State.UPCOMING:
        return frozenset(FIELDS)
    return OPEN_WHILE_ACTIVE if state == State.ACTIVE else frozenset()


@transaction.atomic
def cancel(*, creator: User, sponsor_id: str) -> Sponsor:
    """Cancel a placement. Raises NotFound if the creator has no such active or upcoming placement."""
    standing = Sponsor.objects.visible_to(creator).active_or_upcoming(timezone.now())
    # The database's clock, because `restore` compares with it: the clocks of two hosts can differ by seconds.
    if not standing.filter(pk=sponsor_id).update(cancelled_at=Now()):
        raise NotFound
    return Sponsor.objects.get(pk=sponsor_id)


@transaction.atomic
def restore(*, creator: User, sponsor_id: str, cancelled_at: datetime) -> Sponsor:
    """Undo a cancellation of the last 15 seconds. The placement is then as it was before.

    `cancelled_at` says which cancellation: if the placement was cancelled again, or by staff, this undoes
    nothing. A second call for the same cancellation changes nothing. Raises NotFound, also for another
    creator's placement. Raises TooLate. Raises PositionTaken if the creator has one sponsor at a time, and
    another one has taken the place.
    """
    earner = _locked(creator)  # The same lock as `place`: only one of the two gets the place.
    mine = Sponsor.objects.visible_to(creator).select_for_update()
    sponsor = mine.filter(pk=sponsor_id).first()
    if sponsor is None:
        raise NotFound
    if sponsor.cancelled_at is None:
        return sponsor
    cancelled = Sponsor.objects.filter(pk=sponsor_id, cancelled_at=cancelled_at)
    if not cancelled.filter(cancelled_at__gt=Now() - UNDO_ACCEPTED).update(cancelled_at=None):
        raise TooLate("A cancellation can be undone for ten seconds only")
    sponsor.cancelled_at = None
    if earner.one_sponsor_at_a_time:
        # A placement that is over took nothing meanwhile. It may have overlapped before the rule.
        _require_free(
            *(creator, sponsor.position, sponsor.active_from, sponsor.active_until),
            but=sponsor,
            ignores_past=True,
        )
    return sponsor


@transaction.atomic
def set_one_at_a_time(*, creator: User, on: bool) -> None:
    """Switch a creator's rule "one sponsor at a time" on or off.

    Raises PlacementsOverlap, which names the sponsors, if the rule is switched on while placements overlap.
    """
    earner = _locked(creator)
    if on and (pairs := list(islice(overlaps(creator, at=timezone.now()), NAMED_MAX))):
        raise PlacementsOverlap(
            [(first.position, first.sponsor_name, second.sponsor_name) for first, second in pairs]
        )
    earner.one_sponsor_at_a_time = on
    earner.save(update_fields=["one_sponsor_at_a_time"])


def overlaps(creator: User, *, at: datetime) -> Iterator[tuple[Sponsor, Sponsor]]:
    """Yield the pairs of active or upcoming placements that overlap in the same position."""
    standing = Sponsor.objects.visible_to(creator).active_or_upcoming(at)
    placements = list(standing.order_by("position", "active_from", "pk"))
    for index, first in enumerate(placements):
        for second in islice(placements, index + 1, None):
            # Placements are sorted by beginning. If one begins after `first` ends, all later ones do too.
            if second.position != first.position or second.active_from >= first.active_until:
                break
            yield first, second


def conflicts(creator: User, *, at: datetime, among: Sequence[Sponsor]) -> dict[str, Conflicts]:
    """Return the conflicts of each placement of `among` with other placements in the same position.

    The keys are the ids of the placements. Only placements that are active or upcoming at `at` count. A
    placement without a conflict is left out. This takes one query. The query returns at most three names for
    each placement of `among`, even if the creator has very many placements.
    """
    standing = Sponsor.objects.visible_to(creator).active_or_upcoming(at)
    others = standing.sharing_with_outer_row()
    rows = standing.filter(pk__in=[each.pk for each in among]).annotate(
        names=ArraySubquery(others.order_by("active_from", "pk").values("sponsor_name")[:CONFLICTS_NAMED]),
        others=Subquery(others.order_by().values("position").annotate(count=Count("pk")).values("count")),
    )
    answers = rows.values_list("pk", "names", "others")
    return {pk: Conflicts(tuple(names), count - len(names)) for pk, names, count in answers if count}


def double_booked(creator: User, *, at: datetime) -> int:
    """Return how many active or upcoming placements overlap with another in the same position.

    This takes one query.
    """
    return len(in_conflict(Sponsor.objects.visible_to(creator).active_or_upcoming(at)))


def in_conflict(placements: Iterable[Sponsor]) -> set[str]:
    """Return the ids of the placements that overlap with another of these placements in the same position."""
    return {each.pk for pair in neighbours(placements) for each in pair}


def neighbours(placements: Iterable[Sponsor]) -> Iterator[tuple[Sponsor, Sponsor]]:
    """Yield a pair (earlier, later) for each placement that begins while another of its position still runs.

    If several earlier placements still run, `earlier` is the one that ends last. Each placement that overlaps
    with another in the same position is in at least one pair. There are fewer pairs than placements.
    """
    last_to_end: dict[str, Sponsor] = {}
    for later in sorted(placements, key=lambda each: (each.active_from, each.pk)):
        earlier = last_to_end.get(later.position)
        if earlier and later.active_from < earlier.active_until:
            yield earlier, later
        if earlier is None or later.active_until > earlier.active_until:
            last_to_end[later.position] = later


def _require_open(sponsor: Sponsor, closed: set[str]) -> None:
    if not closed:
        return
    if sponsor.cancelled_at:
        raise TooLate("This placement was cancelled, so nothing about it can change")
    named = " and ".join(FIELDS[name] for name in FIELDS if name in closed)
    if sponsor.active_until <= timezone.now():
        raise TooLate("This placement has ended, so nothing about it can change")
    raise TooLate(f"This placement has begun, so these can no longer change: {named}")


def _require_free(
    creator: User,
    position: str,
    active_from: datetime,
    active_until: datetime,
    *,
    but: Sponsor | None = None,
    ignores_past: bool = False,
) -> None:
    there = Sponsor.objects.visible_to(creator).overlapping(
        position=position, active_from=active_from, active_until=active_until
    )
    if but is not None:
        there = there.exclude(pk=but.pk)
    if ignores_past:
        there = there.filter(active_until__gt=Now())
    if names := list(there.order_by("active_from").values_list("sponsor_name", flat=True)[:NAMED_MAX]):
        raise PositionTaken(position, names)


def _locked(creator: User) -> Earner:
    Earner.objects.bulk_create([Earner(creator=creator)], ignore_conflicts=True)
    return Earner.objects.select_for_update().get(pk=creator.pk)
