"""Sponsor slots: their state, overlaps, and one at a time for creators who want that."""

from collections import Counter
from datetime import timedelta
from functools import partial
from itertools import combinations
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given, settings

from foundation.errors import KeyReused
from monetization import sponsors
from monetization.errors import NotFound, PlacementsOverlap, PositionTaken
from monetization.models import Earner, Sponsor
from monetization.sponsors import Conflicts
from tests.crowd import begin, outcomes_at_once, patiently, wait_until_another_waits
from tests.factories import UserFactory
from tests.monetization.records import NOON, clock_at, days, place, refused

pytestmark = pytest.mark.django_db

A_MOMENT = timedelta(microseconds=1)


def one_at_a_time(creator, on=True):
    sponsors.set_one_at_a_time(creator=creator, on=on)


def cancel(sponsor):
    return sponsors.cancel(creator=sponsor.creator, sponsor_id=sponsor.pk)


def listed_at(moment, creator):
    return list(Sponsor.objects.visible_to(creator).active_or_upcoming(moment).values_list("pk", flat=True))


# --- States -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "state", "listed"),
    [
        (NOON - days(400), "upcoming", True),
        (NOON - A_MOMENT, "upcoming", True),
        (NOON, "active", True),
        (NOON + days(7) - A_MOMENT, "active", True),
        (NOON + days(7), "ended", False),
        (NOON + days(400), "ended", False),
    ],
)
def test_a_placement_is_active_from_its_beginning_until_just_before_its_end(creator, moment, state, listed):
    placed = place(creator, starts=NOON, ends=NOON + days(7))
    assert placed.state_at(moment) == state
    assert listed_at(moment, creator) == ([placed.pk] if listed else [])


def test_a_cancelled_placement_is_cancelled_whatever_the_clock_says(creator):
    placed = cancel(place(creator))
    for moment in (placed.active_from - days(1), placed.active_from, placed.active_until + days(1)):
        assert placed.state_at(moment) == "cancelled"
    assert listed_at(placed.active_from, creator) == []


def test_a_placement_keeps_what_it_was_sold_as(creator):
    placed = place(creator, price_cents=29900, currency="EUR")
    assert placed.pk.startswith("spon_")
    assert (placed.price_cents, placed.currency, placed.cancelled_at) == (29900, "EUR", None)


def test_a_placement_in_the_past_may_be_recorded(creator):
    assert place(creator, starts=NOON, ends=NOON + A_MOMENT).state_at(NOON + A_MOMENT) == "ended"


@pytest.mark.parametrize("length", [timedelta(0), -A_MOMENT, -days(7)])
def test_a_placement_ends_after_it_begins(creator, length):
    placed = place(creator)
    refused(
        "monetization_sponsor_ends_after_it_begins",
        "UPDATE monetization_sponsor SET active_until = %s",
        placed.active_from + length,
    )


def test_a_price_is_not_negative(creator):
    place(creator)
    refused("monetization_sponsor_price_not_negative", "UPDATE monetization_sponsor SET price_cents = -1")


# --- Cancelled --------------------------------------------------------------------------------------


def test_what_runs_and_what_is_to_come_can_be_cancelled(creator):
    with clock_at(NOON):
        running = place(creator, starts=NOON - days(1))
        coming = place(creator, starts=NOON + days(1))
        cancelled = [cancel(each).cancelled_at for each in (running, coming)]
    # The database's clock says when.
    assert all(at and timezone.now() - timedelta(minutes=1) < at for at in cancelled)


def test_what_ended_was_cancelled_or_never_was_is_not_found(creator, stranger):
    ended = place(creator, starts=NOON - days(8), ends=NOON)
    theirs = place(stranger, starts=NOON + days(1))
    twice = place(creator, starts=NOON + days(1))
    with clock_at(NOON):
        cancel(twice)
        for sponsor_id in (ended.pk, theirs.pk, twice.pk, "spon_none"):
            with pytest.raises(NotFound):
                sponsors.cancel(creator=creator, sponsor_id=sponsor_id)
    assert Sponsor.objects.filter(cancelled_at=None).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_placement_cancelled_by_many_at_once_is_cancelled_once(creator):
    placed = place(creator)
    outcomes = outcomes_at_once([lambda: patiently(lambda: cancel(placed))] * 8)
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {type(None): 1, NotFound: 7}


# --- Placed by a form -------------------------------------------------------------------------------


def test_the_same_form_again_is_the_first_placement(creator):
    first = place(creator, starts=NOON, key="form-1")
    assert place(creator, starts=NOON, key="form-1") == first
    assert Sponsor.objects.count() == 1


def test_it_is_so_where_one_sponsor_at_a_time_is_wanted(creator):
    one_at_a_time(creator)
    assert place(creator, starts=NOON, key="form-1") == place(creator, starts=NOON, key="form-1")


def test_keys_are_each_creators_own_and_none_is_no_key(creator, stranger):
    for who in (creator, stranger):
        place(who, starts=NOON, key="form-1")
        place(who, starts=NOON)
        place(who, starts=NOON)
    assert Sponsor.objects.count() == 6


def test_a_form_that_says_something_else_by_now_is_refused(creator):
    first = place(creator, starts=NOON, key="form-1")
    with pytest.raises(KeyReused):
        place(creator, "Globex", starts=NOON, key="form-1")
    with clock_at(NOON - days(1)):
        cancel(first)
    with pytest.raises(KeyReused):
        place(creator, starts=NOON, key="form-1")
    assert Sponsor.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_many_times_at_once_places_once(creator):
    sent = partial(patiently, partial(place, creator, starts=NOON, key="form-1"))
    assert len({outcome.result().pk for outcome in outcomes_at_once([sent] * 8)}) == 1
    assert Sponsor.objects.count() == 1


def test_a_key_is_used_once_whatever_the_code_does(creator):
    place(creator, key="form-1")
    place(creator)
    refused("monetization_sponsor_form_once", "UPDATE monetization_sponsor SET form_key = 'form-1'")


# --- Overlaps ---------------------------------------------------------------------------------------


def overlaps(creator, at=NOON):
    return [(one.sponsor_name, other.sponsor_name) for one, other in sponsors.overlaps(creator, at=at)]


def test_overlaps_are_found_in_pairs(creator):
    place(creator, "Acme", starts=NOON, ends=NOON + days(7))
    place(creator, "Globex", starts=NOON + days(2), ends=NOON + days(3))
    place(creator, "Initech", starts=NOON + days(2) + A_MOMENT, ends=NOON + days(9))
    assert overlaps(creator) == [("Acme", "Globex"), ("Acme", "Initech"), ("Globex", "Initech")]


def test_conflicts_name_each_others_partners_in_order(creator, stranger):
    acme = place(creator, "Acme", starts=NOON, ends=NOON + days(7))
    initech = place(creator, "Initech", starts=NOON + days(6), ends=NOON + days(9))
    globex = place(creator, "Globex", starts=NOON + days(2), ends=NOON + days(3))
    place(creator, "Hooli", starts=NOON + days(9), ends=NOON + days(10))
    place(creator, "Umbrella", position="footer", starts=NOON)
    place(stranger, "Stark", starts=NOON)
    everything = list(Sponsor.objects.all())
    assert sponsors.conflicts(creator, at=NOON, among=everything) == {
        acme.pk: Conflicts(("Globex", "Initech"), 0),
        globex.pk: Conflicts(("Acme",), 0),
        initech.pk: Conflicts(("Acme",), 0),
    }
    assert sponsors.conflicts(creator, at=NOON, among=[globex]).keys() == {globex.pk}
    assert sponsors.conflicts(creator, at=NOON, among=[]) == {}
    assert sponsors.double_booked(creator, at=NOON) == 3


def test_what_is_over_or_cancelled_conflicts_with_nothing(creator):
    acme = place(creator, "Acme", starts=NOON - days(9), ends=NOON)
    globex = place(creator, "Globex", starts=NOON - days(9), ends=NOON + days(1))
    with clock_at(NOON):
        initech = cancel(place(creator, "Initech", starts=NOON, ends=NOON + days(1)))
    assert sponsors.conflicts(creator, at=NOON, among=[acme, globex, initech]) == {}
    assert sponsors.double_booked(creator, at=NOON) == 0
    a_moment_ago = NOON - A_MOMENT
    found = sponsors.conflicts(creator, at=a_moment_ago, among=[acme, globex, initech])
    assert found == {acme.pk: Conflicts(("Globex",), 0), globex.pk: Conflicts(("Acme",), 0)}
    assert sponsors.double_booked(creator, at=a_moment_ago) == 2


@settings(derandomize=True, database=None, deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["header", "footer"]), st.integers(0, 6), st.integers(1, 4)), max_size=8
    )
)
def test_any_conflicts_are_those_of_a_look_at_every_pair(periods):
    creator = UserFactory.create()
    placed = [
        place(
            creator, f"S{n}", position=position, starts=NOON + days(first), ends=NOON + days(first + length)
        )
        for n, (position, first, length) in enumerate(periods)
    ]
    at = NOON + days(2)
    partners: dict[str, list[Sponsor]] = {}
    for one, other in combinations(sorted(placed, key=lambda each: (each.active_from, each.pk)), 2):
        meet = one.active_from < other.active_until and other.active_from < one.active_until
        if meet and one.position == other.position and min(one.active_until, other.active_until) > at:
            partners.setdefault(one.pk, []).append(other)
            partners.setdefault(other.pk, []).append(one)
    expected = {}
    for pk, others in partners.items():
        names = [each.sponsor_name for each in sorted(others, key=lambda each: (each.active_from, each.pk))]
        expected[pk] = Conflicts(tuple(names[:3]), max(0, len(names) - 3))
    assert sponsors.conflicts(creator, at=at, among=placed) == expected
    assert sponsors.double_booked(creator, at=at) == len(expected)


def test_very_many_overlaps_are_named_three_at_a_time_by_one_query(creator, django_assert_num_queries):
    """2,000 placements that all overlap are two million pairs, and no page reads them."""
    many = [
        Sponsor(
            creator=creator,
            sponsor_name=f"S{n:04}",
            position="header",
            active_from=NOON + timedelta(minutes=n),
            active_until=NOON + days(30),
        )
        for n in range(2000)
    ]
    Sponsor.objects.bulk_create(many)
    with django_assert_num_queries(2):
        found = sponsors.conflicts(creator, at=NOON, among=many[:50])
        assert sponsors.double_booked(creator, at=NOON) == 2000
    assert len(found) == 50
    assert found[many[0].pk] == Conflicts(("S0001", "S0002", "S0003"), 1996)
    assert found[many[1].pk] == Conflicts(("S0000", "S0002", "S0003"), 1996)
    with clock_at(NOON), pytest.raises(PlacementsOverlap) as refusal:
        one_at_a_time(creator)
    assert str(refusal.value).count(" and ") == sponsors.NAMED_MAX


@pytest.mark.parametrize(
    ("starts", "ends", "meet"),
    [
        (-days(2), -A_MOMENT, False),
        (-days(2), days(0), False),  # Back to back: the end is not included.
        (-days(2), A_MOMENT, True),
        (days(0), days(7), True),
        (days(1), days(2), True),
        (-days(2), days(20), True),
        (days(7) - A_MOMENT, days(8), True),
        (days(7), days(8), False),
    ],
)
@pytest.mark.parametrize("first", ["the one", "the other"])
def test_periods_meet_where_they_share_a_moment(creator, starts, ends, meet, first):
    periods = [("Acme", NOON, NOON + days(7)), ("Globex", NOON + starts, NOON + ends)]
    (one, *period), (other, *then) = periods if first == "the one" else reversed(periods)
    place(creator, one, starts=period[0], ends=period[1])
    place(creator, other, starts=then[0], ends=then[1])
    assert bool(overlaps(creator, at=NOON - days(3))) is meet


def test_other_positions_creators_and_the_cancelled_or_ended_do_not_meet(creator, stranger):
    week: dict[str, Any] = {"starts": NOON, "ends": NOON + days(7)}
    place(creator, "Acme", **week)
    place(creator, "Globex", position="footer", **week)
    place(stranger, "Initech", **week)
    with clock_at(NOON):
        cancel(place(creator, "Hooli", **week))
    place(creator, "Umbrella", starts=NOON - days(7), ends=NOON + A_MOMENT)
    assert overlaps(creator, at=NOON + A_MOMENT) == []
    assert overlaps(creator, at=NOON) == [("Umbrella", "Acme")]


@settings(derandomize=True, database=None, deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["header", "inline"]), st.integers(0, 20), st.integers(1, 8)), max_size=8
    )
)
def test_any_overlaps_are_those_of_a_look_at_every_pair(periods):
    creator: Any = UserFactory()
    placed = [
        place(creator, starts=NOON + days(begins), ends=NOON + days(begins + length), position=position)
        for position, begins, length in periods
    ]
    meet = {
        frozenset((one.pk, other.pk))
        for one, other in combinations(placed, 2)
        if one.position == other.position
        and max(one.active_from, other.active_from) < min(one.active_until, other.active_until)
    }
    found = [frozenset((one.pk, other.pk)) for one, other in sponsors.overlaps(creator, at=NOON)]
    assert len(found) == len(meet)
    assert set(found) == meet


# --- One at a time ----------------------------------------------------------------------------------


def test_without_the_rule_placements_may_overlap(creator):
    place(creator)
    place(creator)
    assert len(overlaps(creator, at=timezone.now())) == 1


def test_with_the_rule_a_taken_position_is_refused_and_the_sponsors_named(creator):
    one_at_a_time(creator)
    place(creator, "Acme", starts=NOON, ends=NOON + days(7))
    place(creator, "Globex", starts=NOON + days(8), ends=NOON + days(9))
    with pytest.raises(PositionTaken) as refusal:
        place(creator, "Initech", starts=NOON + days(1), ends=NOON + days(30))
    assert str(refusal.value) == "The header is taken in that period by Acme, Globex"
    assert refusal.value.status == 409
    assert Sponsor.objects.count() == 2


def test_a_refusal_names_ten_at_most(creator):
    one_at_a_time(creator)
    for n in range(12):
        place(creator, f"Sponsor {n}", starts=NOON + days(n), ends=NOON + days(n + 1))
    with pytest.raises(PositionTaken) as refusal:
        place(creator, starts=NOON, ends=NOON + days(30))
    assert str(refusal.value).count("Sponsor") == 10


def test_with_the_rule_back_to_back_other_positions_and_other_creators_are_fine(creator, stranger):
    one_at_a_time(creator)
    place(creator, starts=NOON, ends=NOON + days(7))
    place(creator, starts=NOON + days(7), ends=NOON + days(8))
    place(creator, starts=NOON - days(1), ends=NOON)
    place(creator, starts=NOON, ends=NOON + days(7), position="footer")
    place(stranger, starts=NOON, ends=NOON + days(7))
    place(stranger, starts=NOON, ends=NOON + days(7))
    assert Sponsor.objects.count() == 6


def test_a_cancelled_placement_frees_the_position(creator):
    one_at_a_time(creator)
    first = place(creator)
    cancel(first)
    assert place(creator, "Globex").active_from >= first.active_from


def test_switched_off_the_rule_refuses_nothing(creator):
    one_at_a_time(creator)
    place(creator)
    one_at_a_time(creator, on=False)
    place(creator)
    assert Sponsor.objects.count() == 2


def test_the_rule_cannot_be_switched_on_over_overlaps_and_all_are_named(creator):
    with clock_at(NOON):
        place(creator, "Acme", starts=NOON, ends=NOON + days(7))
        place(creator, "Globex", starts=NOON + days(6), ends=NOON + days(9))
        place(creator, "Initech", starts=NOON + days(8), ends=NOON + days(9))
        place(creator, "Hooli", starts=NOON, ends=NOON + days(1), position="footer")
        place(creator, "Umbrella", starts=NOON, ends=NOON + days(1), position="footer")
        place(creator, "Alone", starts=NOON, ends=NOON + days(7), position="inline")
        with pytest.raises(PlacementsOverlap) as refusal:
            one_at_a_time(creator)
    assert str(refusal.value) == (
        "Placements overlap: Hooli and Umbrella in the footer;"
        " Acme and Globex in the header; Globex and Initech in the header"
    )
    assert refusal.value.status == 409
    assert not Earner.objects.get().one_sponsor_at_a_time


def test_overlaps_of_the_past_do_not_stand_in_the_way(creator):
    place(creator, starts=NOON, ends=NOON + days(2))
    second = place(creator, starts=NOON + days(1), ends=NOON + days(3))
    with clock_at(NOON + days(2)):
        one_at_a_time(creator)
    assert Earner.objects.get().one_sponsor_at_a_time
    assert second.cancelled_at is None


def test_switching_twice_changes_nothing(creator):
    for on in (True, True, False, False):
        one_at_a_time(creator, on)
        assert Earner.objects.get().one_sponsor_at_a_time is on


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round", range(3))
def test_of_12_at_once_for_one_slot_exactly_one_gets_it(creator, round):
    one_at_a_time(creator)
    names = [f"Sponsor {n}" for n in range(12)]
    outcomes = outcomes_at_once([partial(patiently, partial(place, creator, name)) for name in names])
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {type(None): 1, PositionTaken: 11}
    winner = Sponsor.objects.get().sponsor_name
    told = {str(outcome.exception()) for outcome in outcomes if outcome.exception()}
    assert told == {f"The header is taken in that period by {winner}"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round", range(3))
def test_the_rule_switched_on_amid_placements_never_leaves_an_overlap_behind(creator, round):
    """Either it came first, and one placement at most got through; or too late, and it is refused."""
    calls: list[Any] = [partial(place, creator, f"Sponsor {n}") for n in range(6)]
    calls.insert(3, lambda: one_at_a_time(creator))
    outcomes = outcomes_at_once([partial(patiently, call) for call in calls])
    switched = outcomes[3].exception()
    placed, overlapping = Sponsor.objects.count(), overlaps(creator, at=timezone.now())
    if Earner.objects.get().one_sponsor_at_a_time:
        assert switched is None
        assert (placed, overlapping) == (1, [])
    else:
        assert isinstance(switched, PlacementsOverlap)
        assert placed == 6


@pytest.mark.django_db(transaction=True)
def test_the_rule_waits_for_a_placement_under_way(creator):
    place(creator, "Acme")
    with transaction.atomic():
        place(creator, "Globex")
        switching = begin(lambda: one_at_a_time(creator))
        wait_until_another_waits()
    with pytest.raises(PlacementsOverlap, match="Acme and Globex"):
        switching.result(timeout=120)


@pytest.mark.django_db(transaction=True)
def test_different_creators_do_not_wait_for_each_other(creator, stranger):
    one_at_a_time(creator)
    with transaction.atomic():
        place(creator)
        assert begin(lambda: place(stranger)).result(timeout=120)
