"""Six weeks of placements: where each lies, what is free, and what is sold twice."""

from datetime import UTC, date, datetime, timedelta

import pytest

from foundation.calendar import end_of, start_of
from monetization import sponsors
from monetization.figures.timeline import BLOCKS_MAX, six_weeks, weeks_away
from tests.monetization.records import NOON, clock_at, days, place

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 6, 8, tzinfo=UTC)
WEDNESDAY = datetime(2026, 6, 10, 12, tzinfo=UTC)


def row(creator, position="header", at=WEDNESDAY):
    return next(each for each in six_weeks(creator, at=at).rows if each.position == position)


def put(creator, name, first, last, **facts):
    """A placement from the beginning of one day of the timeline to the end of another, counted from 0."""
    return place(creator, name, starts=MONDAY + days(first), ends=MONDAY + days(last + 1), **facts)


def where(blocks):
    return [(each.sponsor.sponsor_name, each.offset_days, each.width_days) for each in blocks]


def test_it_begins_on_monday_and_has_a_row_for_each_position(creator):
    found = six_weeks(creator, at=WEDNESDAY)
    assert (found.first_day, found.last_day) == (date(2026, 6, 8), date(2026, 7, 19))
    assert found.weeks == [date(2026, 6, 8) + days(7 * week) for week in range(6)]
    assert found.today_offset_days == 2
    assert [each.position for each in found.rows] == ["header", "footer", "inline"]
    for each in found.rows:
        assert (each.blocks, each.left_out) == ([], 0)
        [gap] = each.gaps
        assert (gap.first_day, gap.last_day) == (date(2026, 6, 10), date(2026, 7, 19))
        assert (gap.offset_days, gap.width_days) == (2, 40)


@pytest.mark.parametrize(
    ("at", "monday"),
    [
        (MONDAY, date(2026, 6, 8)),
        (MONDAY - timedelta(microseconds=1), date(2026, 6, 1)),
        (MONDAY + days(7) - timedelta(microseconds=1), date(2026, 6, 8)),
    ],
)
def test_the_week_is_utcs(creator, at, monday):
    assert six_weeks(creator, at=at).first_day == monday


def test_a_block_covers_its_days_and_is_cut_to_what_is_shown(creator, stranger):
    put(creator, "Before", -20, 1)
    put(creator, "Acme", 7, 13)
    put(creator, "Beyond", 40, 60)
    put(creator, "Gone by", -20, -1)
    put(creator, "Later", 42, 50)
    put(stranger, "Not mine", 20, 22)
    with clock_at(WEDNESDAY):
        sponsors.cancel(creator=creator, sponsor_id=put(creator, "Cancelled", 20, 22).pk)
    found = row(creator)
    assert where(found.blocks) == [("Before", 0, 2), ("Acme", 7, 7), ("Beyond", 40, 2)]
    before, acme, beyond = found.blocks
    assert [(each.is_cut_before, each.is_cut_after) for each in found.blocks] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert (before.first_day, before.last_day) == (date(2026, 5, 19), date(2026, 6, 9))
    assert (acme.first_day, acme.last_day) == (date(2026, 6, 15), date(2026, 6, 21))
    assert (beyond.first_day, beyond.last_day) == (date(2026, 7, 18), date(2026, 8, 7))
    assert [each.days for each in found.blocks] == ["19 May – 9 Jun", "15–21 Jun", "18 Jul – 7 Aug"]
    assert [(gap.offset_days, gap.width_days) for gap in found.gaps] == [(2, 5), (14, 26)]
    assert (found.gaps[0].first_day, found.gaps[0].last_day) == (date(2026, 6, 10), date(2026, 6, 14))


@pytest.mark.parametrize(
    ("starts", "ends", "days_shown", "cut"),
    [
        # The last day of the six weeks is Sunday, 3 January 2027.
        (date(2026, 12, 26), date(2027, 1, 22), "26 Dec 2026 – 22 Jan 2027", (False, True)),
        (date(2026, 12, 26), date(2027, 1, 3), "26 Dec 2026 – 3 Jan 2027", (False, False)),
        (date(2026, 12, 26), date(2027, 1, 4), "26 Dec 2026 – 4 Jan 2027", (False, True)),
        (date(2026, 11, 23), date(2026, 12, 6), "23 Nov – 6 Dec", (False, False)),
        (date(2026, 11, 22), date(2026, 12, 6), "22 Nov – 6 Dec", (True, False)),
        (date(2025, 11, 1), date(2026, 12, 6), "1 Nov 2025 – 6 Dec 2026", (True, False)),
        (date(2025, 12, 31), date(2027, 12, 31), "31 Dec 2025 – 31 Dec 2027", (True, True)),
        (date(2027, 1, 2), date(2027, 1, 9), "2–9 Jan 2027", (False, True)),
        (date(2027, 1, 1), date(2027, 2, 1), "1 Jan – 1 Feb 2027", (False, True)),
        (date(2027, 1, 2), date(2027, 1, 2), "2 Jan 2027", (False, False)),
    ],
)
def test_a_block_says_its_own_days_and_where_it_is_cut(creator, starts, ends, days_shown, cut):
    place(creator, starts=start_of(starts), ends=end_of(ends))
    [block] = row(creator, at=datetime(2026, 11, 29, 12, tzinfo=UTC)).blocks
    assert block.days == days_shown
    assert (block.is_cut_before, block.is_cut_after) == cut
    assert block.offset_days + block.width_days <= 42


def test_a_placement_that_ends_within_a_day_is_not_cut_there(creator):
    last = MONDAY + days(41)
    place(creator, "Ends at noon", starts=MONDAY + days(30), ends=last + timedelta(hours=12))
    place(creator, "Ends a second later", starts=MONDAY + days(30), ends=last + timedelta(days=1, seconds=1))
    assert [each.is_cut_after for each in row(creator).blocks] == [False, True]


def test_a_block_has_the_state_of_that_moment(creator):
    put(creator, "Ended", 0, 1)
    put(creator, "Active", 2, 3)
    put(creator, "Upcoming", 4, 5)
    assert [each.state for each in row(creator).blocks] == ["ended", "active", "upcoming"]


def test_it_turns_to_other_weeks(creator):
    put(creator, "Now", 7, 13)
    put(creator, "Beyond", 40, 60)
    later = six_weeks(creator, at=WEDNESDAY, weeks_away=6)
    assert (later.first_day, later.last_day, later.days) == (
        date(2026, 7, 20),
        date(2026, 8, 30),
        "20 Jul – 30 Aug",
    )
    assert (later.today_offset_days, later.earlier, later.later) == (None, 0, 12)
    header, footer, _ = later.rows
    assert where(header.blocks) == [("Beyond", 0, 19)]
    assert header.blocks[0].is_cut_before
    assert [(gap.offset_days, gap.width_days) for gap in header.gaps] == [(19, 23)]
    assert [(gap.offset_days, gap.width_days) for gap in footer.gaps] == [(0, 42)]
    before = six_weeks(creator, at=WEDNESDAY, weeks_away=-6)
    assert before.last_day == date(2026, 6, 7)
    assert [row.gaps for row in before.rows] == [[], [], []]  # What is past can no longer be sold.
    assert six_weeks(creator, at=WEDNESDAY, weeks_away=54).later is None
    assert six_weeks(creator, at=WEDNESDAY, weeks_away=-54).earlier is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("6", 6), ("-12", -12), ("54", 54), ("60", 0), ("7", 0), ("", 0), ("06", 0), ("\u0666", 0), ("x", 0)],
)
def test_an_address_turns_by_six_weeks_only(text, number):
    assert weeks_away(text) == number


def test_overlaps_are_flagged(creator):
    put(creator, "Long", 3, 20)
    put(creator, "First", 5, 8)
    put(creator, "Second", 9, 10)
    put(creator, "Free", 21, 25)
    put(creator, "Elsewhere", 5, 8, position="footer")
    found = row(creator)
    assert where(found.blocks) == [
        ("Long", 3, 18),
        ("First", 5, 4),
        ("Second", 9, 2),
        ("Free", 21, 5),
    ]
    assert [each.conflict for each in found.blocks] == [True, True, True, False]
    assert [each.conflict for each in row(creator, "footer").blocks] == [False]


def test_two_that_share_a_day_and_no_moment_are_no_conflict(creator):
    noon = MONDAY + days(5) + timedelta(hours=12)
    place(creator, "Morning", starts=MONDAY + days(4), ends=noon)
    place(creator, "Evening", starts=noon, ends=MONDAY + days(7))
    found = row(creator)
    assert where(found.blocks) == [("Morning", 4, 2), ("Evening", 5, 2)]
    assert [each.conflict for each in found.blocks] == [False, False]


def test_what_overlapped_before_now_is_no_conflict_any_more(creator):
    put(creator, "Ended", 0, 0)
    put(creator, "Runs", 0, 9)
    assert [each.conflict for each in row(creator).blocks] == [False, False]


def test_a_placement_until_a_second_before_midnight_covers_the_day(creator):
    place(creator, starts=MONDAY + days(3), ends=MONDAY + days(4) - timedelta(seconds=1))
    assert where(row(creator).blocks) == [("Acme", 3, 1)]


def test_the_conflicts_are_those_of_the_list(creator):
    chance_days = [(3, 5), (4, 4), (6, 9), (9, 9), (11, 14), (15, 20), (15, 15), (21, 21)]
    placed = [put(creator, f"Sponsor {n}", first, last) for n, (first, last) in enumerate(chance_days)]
    flagged = {each.sponsor.pk for each in row(creator).blocks if each.conflict}
    assert flagged == set(sponsors.conflicts(creator, at=WEDNESDAY, among=placed))
    assert len(flagged) == sponsors.double_booked(creator, at=WEDNESDAY) == 6


def test_more_than_can_be_drawn_are_counted_and_still_not_free(creator):
    for n in range(BLOCKS_MAX + 2):
        put(creator, f"Sponsor {n:02}", 3, 4)
    put(creator, "Last", 10, 11)
    found = row(creator)
    assert (len(found.blocks), found.left_out) == (BLOCKS_MAX, 3)
    assert [(gap.offset_days, gap.width_days) for gap in found.gaps] == [(2, 1), (5, 5), (12, 30)]


def test_it_is_one_query(creator, django_assert_num_queries):
    put(creator, "Acme", 3, 4)
    with django_assert_num_queries(1):
        six_weeks(creator, at=NOON)
