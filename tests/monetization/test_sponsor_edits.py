"""A placement edited: all of it before it begins, then its end and its addresses, at last nothing."""

from collections import Counter
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from monetization import sponsors
from monetization.errors import EndsBeforeItBegins, NotFound, PositionTaken, TooLate
from monetization.models import Sponsor
from tests.crowd import begin, outcomes_at_once, patiently, wait_until_another_waits
from tests.monetization.records import NOON, clock_at, days, place
from tests.monetization.test_sponsors import A_MOMENT, cancel

pytestmark = pytest.mark.django_db


def edit(sponsor, *, creator=None, **changes):
    return sponsors.edit(creator=creator or sponsor.creator, sponsor_id=sponsor.pk, **changes)


ANEW: dict[str, Any] = {
    "sponsor_name": "Acme & Sons",
    "logo_url": "https://cdn.example.com/new.png",
    "target_url": "https://new.example.com",
    "position": "footer",
    "active_from": NOON + days(2),
    "active_until": NOON + days(5),
    "price_cents": 100,
    "currency": "EUR",
}
STILL_OPEN = {"active_until", "target_url", "logo_url"}
BEGUN = "This placement has begun"


@pytest.fixture
def running(creator):
    """A placement in its first moment."""
    with clock_at(NOON):
        yield place(creator, starts=NOON, price_cents=500)


def test_before_it_begins_everything_can_change(creator):
    coming = place(creator, starts=NOON, price_cents=500)
    with clock_at(NOON - A_MOMENT):
        edit(coming, **ANEW)
    coming.refresh_from_db()
    assert {name: getattr(coming, name) for name in ANEW} == ANEW


@pytest.mark.parametrize("name", sorted(STILL_OPEN))
def test_once_it_has_begun_its_end_and_its_addresses_can_change(running, name):
    edit(running, **{name: ANEW[name]})
    running.refresh_from_db()
    assert getattr(running, name) == ANEW[name]


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("sponsor_name", "sponsor's name"),
        ("position", "position"),
        ("active_from", "beginning"),
        ("price_cents", "price"),
        ("currency", "currency"),
    ],
)
def test_once_it_has_begun_what_was_sold_cannot_change(running, name, called):
    with pytest.raises(TooLate, match=f"{BEGUN}, so these can no longer change: {called}$"):
        edit(running, **{name: ANEW[name], "target_url": ANEW["target_url"]})
    running.refresh_from_db()
    assert running.target_url == "https://acme.example.com"


def test_a_refusal_names_all_that_cannot_change(running):
    named = "sponsor's name and position and beginning and price and currency"
    with pytest.raises(TooLate, match=named):
        edit(running, **ANEW)


def test_what_is_said_as_it_was_is_no_change(running):
    same = {name: getattr(running, name) for name in ANEW}
    assert edit(running, **same | {"active_until": ANEW["active_until"]}).active_until == ANEW["active_until"]


@pytest.mark.parametrize("at", [NOON + days(7), NOON + days(400)])
def test_what_has_ended_does_not_change(running, at):
    with clock_at(at), pytest.raises(TooLate, match="has ended"):
        edit(running, active_until=NOON + days(900))


def test_what_was_cancelled_does_not_change(creator):
    coming = cancel(place(creator, starts=timezone.now() + days(1)))
    with pytest.raises(TooLate, match="was cancelled"):
        edit(coming, sponsor_name="Globex")


def test_a_strangers_placement_and_one_that_is_none_are_not_found(running, stranger):
    with pytest.raises(NotFound):
        edit(running, creator=stranger, target_url=ANEW["target_url"])
    with pytest.raises(NotFound):
        edit(Sponsor(pk="spon_none", creator=running.creator), target_url=ANEW["target_url"])


@pytest.mark.parametrize("end", [NOON, NOON - A_MOMENT, NOON - days(9)])
def test_an_edited_placement_ends_after_it_begins(running, end):
    with pytest.raises(EndsBeforeItBegins):
        edit(running, active_until=end)
    running.refresh_from_db()
    assert running.active_until == NOON + days(7)


def test_an_edited_placement_keeps_to_one_at_a_time(creator):
    with clock_at(NOON):
        sponsors.set_one_at_a_time(creator=creator, on=True)
        place(creator, "Acme", starts=NOON + days(1), ends=NOON + days(2))
        other = place(creator, "Globex", starts=NOON + days(2), ends=NOON + days(4))
        for changes in (
            {"active_from": NOON + days(1)},
            {"active_from": NOON, "active_until": NOON + days(9)},
        ):
            with pytest.raises(PositionTaken, match=r"taken in that period by Acme$"):
                edit(other, **changes)
        # It is not in its own way, and elsewhere there is room.
        edit(other, active_until=NOON + days(3))
        edit(other, active_from=NOON, position="footer")


@pytest.mark.django_db(transaction=True)
def test_two_edits_at_once_do_not_come_to_share_a_period(creator):
    starts = timezone.now() + days(1)
    sponsors.set_one_at_a_time(creator=creator, on=True)
    placed = [place(creator, f"S{n}", starts=starts + days(7 * n)) for n in range(4)]
    outcomes = outcomes_at_once(
        [
            partial(
                patiently, partial(edit, each, active_from=starts + days(40), active_until=starts + days(41))
            )
            for each in placed
        ]
    )
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {type(None): 1, PositionTaken: 3}
    assert not list(sponsors.overlaps(creator, at=starts))


@pytest.mark.django_db(transaction=True)
def test_an_edit_waits_for_a_cancellation_and_then_comes_too_late(creator):
    placed = place(creator, starts=timezone.now() + days(1))
    with transaction.atomic():
        cancel(placed)
        second = begin(lambda: edit(placed, sponsor_name="Globex"))
        wait_until_another_waits()
    with pytest.raises(TooLate, match="was cancelled"):
        second.result(timeout=120)
