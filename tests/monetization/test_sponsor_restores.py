"""A cancelled placement can be restored for a moment, unless its place was taken."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from monetization import sponsors
from monetization.errors import NotFound, PositionTaken, TooLate
from monetization.figures import periods, stats
from monetization.models import Sponsor
from tests.crowd import begin, outcomes_at_once, patiently, wait_until_another_waits
from tests.factories import UserFactory
from tests.monetization.records import NOON, clock_at, days, place, upcoming

pytestmark = pytest.mark.django_db


def cancelled(creator, name="Acme", **facts):
    placed = upcoming(creator, name, **facts)
    return sponsors.cancel(creator=creator, sponsor_id=placed.pk)


def restore(sponsor, **changes):
    return sponsors.restore(
        **{"creator": sponsor.creator, "sponsor_id": sponsor.pk, "cancelled_at": sponsor.cancelled_at}
        | changes
    )


def ago(sponsor, seconds):
    """The placement, as if it had been cancelled so long ago."""
    Sponsor.objects.filter(pk=sponsor.pk).update(cancelled_at=timezone.now() - timedelta(seconds=seconds))
    sponsor.refresh_from_db()
    return sponsor


def test_it_is_back_as_it_was(creator):
    placed = upcoming(creator, price_cents=29_900)
    before = Sponsor.objects.values().get()
    gone = sponsors.cancel(creator=creator, sponsor_id=placed.pk)
    assert restore(gone).cancelled_at is None
    assert Sponsor.objects.values().get() == before
    assert restore(gone).pk == placed.pk  # The same request again.
    assert Sponsor.objects.values().get() == before


def test_the_figures_count_it_again(creator):
    placed = place(creator, starts=timezone.now(), price_cents=29_900)
    period = periods.period_of(creator, "30d", at=timezone.now())

    def booked():
        return {code: each.sponsors_booked_cents for code, each in stats.of_period(creator, period).items()}

    before = booked()
    gone = sponsors.cancel(creator=creator, sponsor_id=placed.pk)
    assert booked() != before
    restore(gone)
    assert booked() == before


def test_the_databases_clock_decides(creator):
    gone = cancelled(creator)
    with clock_at(NOON - days(900)):
        restore(gone)
    gone = sponsors.cancel(creator=creator, sponsor_id=gone.pk)
    with clock_at(timezone.now() + days(1)):
        restore(gone)


@pytest.mark.parametrize(("seconds", "is_restored"), [(9, True), (14, True), (16, False), (3600, False)])
def test_it_takes_ten_seconds_and_a_little_for_the_way(creator, seconds, is_restored):
    gone = ago(cancelled(creator), seconds)
    if is_restored:
        assert restore(gone).cancelled_at is None
        return
    with pytest.raises(TooLate):
        restore(gone)
    assert Sponsor.objects.get().cancelled_at == gone.cancelled_at


def test_only_the_named_cancellation_is_undone(creator, stranger):
    gone = cancelled(creator)
    with pytest.raises(TooLate):
        restore(gone, cancelled_at=gone.cancelled_at - timedelta(microseconds=1))
    for other in ({"creator": stranger}, {"sponsor_id": "spon_none"}):
        with pytest.raises(NotFound):
            restore(gone, **other)
    assert Sponsor.objects.get().cancelled_at == gone.cancelled_at


def test_a_taken_place_stays_taken_for_one_sponsor_at_a_time(creator):
    gone, other = cancelled(creator), UserFactory.create()
    sponsors.set_one_at_a_time(creator=creator, on=True)
    place(other, "Theirs", starts=gone.active_from)
    place(creator, "Elsewhere", starts=gone.active_from, position="footer")
    place(creator, "Next", starts=gone.active_until)
    taken = place(creator, "Globex", starts=gone.active_until - timedelta(seconds=1), position="inline")
    sponsors.edit(creator=creator, sponsor_id=taken.pk, sponsor_name="Initech")
    assert restore(gone).cancelled_at is None
    gone = sponsors.cancel(creator=creator, sponsor_id=gone.pk)
    place(creator, "Globex", starts=gone.active_from)
    with pytest.raises(PositionTaken, match="The header is taken in that period by Globex"):
        restore(gone)
    assert Sponsor.objects.get(pk=gone.pk).cancelled_at == gone.cancelled_at


def test_a_placement_that_is_over_takes_no_place(creator):
    """It may have shared the place before the creator had the rule."""
    now = timezone.now()
    place(creator, "Over", starts=now - days(20), ends=now - days(10))
    running = place(creator, "Acme", starts=now - days(30), ends=now + days(30))
    sponsors.set_one_at_a_time(creator=creator, on=True)
    gone = sponsors.cancel(creator=creator, sponsor_id=running.pk)
    assert restore(gone).cancelled_at is None


def test_without_the_rule_two_may_share_a_place(creator):
    gone = cancelled(creator)
    upcoming(creator, "Globex")
    assert restore(gone).cancelled_at is None
    assert sponsors.double_booked(creator, at=timezone.now()) == 2


@pytest.mark.django_db(transaction=True)
def test_of_an_undo_and_a_new_placement_at_once_one_gets_the_place(creator):
    sponsors.set_one_at_a_time(creator=creator, on=True)
    gone = cancelled(creator)
    acts = [lambda: restore(gone), lambda: place(creator, "Globex", starts=gone.active_from)] * 4
    outcomes = outcomes_at_once([partial(patiently, act) for act in acts])
    kinds = Counter(type(each.exception()) for each in outcomes)
    assert kinds in ({type(None): 4, PositionTaken: 4}, {type(None): 1, PositionTaken: 7})
    assert Sponsor.objects.filter(cancelled_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_undo_waits_for_a_placement_that_takes_its_place(creator):
    sponsors.set_one_at_a_time(creator=creator, on=True)
    gone = cancelled(creator)
    with transaction.atomic():
        place(creator, "Globex", starts=gone.active_from)
        waiting = begin(lambda: restore(gone))
        wait_until_another_waits()
    assert isinstance(waiting.exception(), PositionTaken)
    assert Sponsor.objects.get(pk=gone.pk).cancelled_at == gone.cancelled_at
