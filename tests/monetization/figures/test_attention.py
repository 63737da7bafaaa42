"""What a creator should know first: only what applies, in plain sentences."""

from datetime import UTC, datetime, timedelta

import pytest

from monetization import sponsors
from monetization.figures.attention import Line, lines, summary
from tests.monetization.records import NOON, change, clock_at, days, place, subscribe, tip

pytestmark = pytest.mark.django_db

JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def lines_of(creator, kind=None, at=NOON):
    return [line for line in lines(creator, at=at) if kind in (None, line.kind)]


def sentences(creator, kind=None, at=NOON):
    return [line.sentence for line in lines_of(creator, kind, at)]


def named(name):
    """A name as a sentence has it: laid out by itself."""
    return f"\u2068{name}\u2069"


def late(creator, email, **facts):
    change(subscribe(creator, email, **facts), status="past_due")


def test_where_nothing_asks_for_it_there_is_no_line(creator):
    tip(creator)
    subscribe(creator)
    place(creator, starts=NOON - days(20), ends=NOON + days(20))
    assert lines(creator, at=NOON) == []


def test_past_due_says_how_many_and_what_is_at_risk_per_currency(creator, stranger):
    late(stranger, "a@example.com")
    late(creator, "a@example.com")
    assert lines_of(creator) == [
        Line("past_due", "1 subscription is past due: 7.99 USD a month at risk."),
    ]
    late(creator, "b@example.com", plan="annual", amount_cents=100)
    late(creator, "c@example.com", amount_cents=500, currency="JPY")
    assert lines_of(creator) == [
        Line("past_due", "3 subscriptions are past due: 500 JPY and 8.07 USD a month at risk.")
    ]


def test_past_due_without_a_known_worth_says_none(creator):
    late(creator, "a@example.com", plan="gold")
    assert sentences(creator) == [
        "1 subscription is past due.",
        "1 subscription has no known billing period and is not in MRR.",
    ]


def test_an_unknown_interval_counts_until_it_is_cancelled(creator):
    gold, _ = subscribe(creator, plan="gold"), subscribe(creator, "b@example.com", plan="silver")
    assert sentences(creator) == ["2 subscriptions have no known billing period and are not in MRR."]
    change(gold, status="cancelled")
    assert sentences(creator) == ["1 subscription has no known billing period and is not in MRR."]


# --- Placements -------------------------------------------------------------------------------------


def test_a_position_that_is_sold_twice_says_when_and_to_whom(creator):
    place(creator, "Acme", starts=JUNE + days(20), ends=JUNE + days(27))
    place(creator, "Globex", starts=JUNE + days(25), ends=JUNE + days(40))
    place(creator, "Initech", starts=JUNE + days(25), ends=JUNE + days(40), position="footer")
    assert lines_of(creator) == [
        Line(
            "double_booked",
            f"The header is double-booked from 26 to 27 June: {named('Acme')} and {named('Globex')}.",
            "header",
        )
    ]


def test_back_to_back_placements_are_not_double_booked(creator):
    place(creator, starts=JUNE + days(20), ends=JUNE + days(25))
    place(creator, starts=JUNE + days(25), ends=JUNE + days(30))
    assert lines_of(creator) == []


def test_a_double_booking_that_ended_or_was_cancelled_has_no_line(creator):
    place(creator, starts=JUNE - days(20), ends=JUNE)
    place(creator, starts=JUNE - days(20), ends=JUNE)
    kept = place(creator, starts=JUNE + days(30), ends=JUNE + days(40))
    place(creator, starts=JUNE + days(30), ends=JUNE + days(40))
    assert len(lines_of(creator)) == 1
    with clock_at(NOON):
        sponsors.cancel(creator=creator, sponsor_id=kept.pk)
    assert lines_of(creator) == []


def test_many_overlaps_of_a_position_are_one_line(creator):
    """Spans that touch are one; names come once, and the first three of them."""
    for name in ("A", "B", "B", "C", "D"):
        place(creator, name, starts=JUNE + days(30), ends=JUNE + days(31))
    place(creator, "E", starts=JUNE + days(35), ends=JUNE + days(250))
    place(creator, "F", starts=JUNE + days(60), ends=JUNE + days(61))
    place(creator, "G", starts=JUNE + days(61), ends=JUNE + days(62))
    place(creator, "H", starts=JUNE + days(240), ends=JUNE + days(260))
    assert lines_of(creator) == [
        Line(
            "double_booked",
            f"The header is double-booked on 1 July: {named('A')}, {named('B')}, {named('C')} and 1 more, "
            "and 2 more times.",
            "header",
        )
    ]


def test_a_span_over_the_turn_of_the_year_names_both_ends(creator):
    for name in ("Acme", "Globex"):
        place(creator, name, starts=datetime(2026, 12, 28, tzinfo=UTC), ends=datetime(2027, 1, 4, tzinfo=UTC))
    [sentence] = sentences(creator)
    assert sentence.startswith("The header is double-booked from 28 December to 3 January 2027:")


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        (NOON, None),
        (NOON + timedelta(seconds=1), "today"),
        (NOON + timedelta(hours=12), "tomorrow"),
        (NOON + days(2), "in 2 days"),
        (NOON + days(3), "in 3 days"),
        (NOON + days(3) + timedelta(seconds=1), None),
    ],
)
def test_what_starts_within_three_days_has_a_line(creator, starts, expected):
    place(creator, starts=starts, ends=NOON + days(30))
    assert sentences(creator) == ([f"{named('Acme')} starts {expected} in the header."] if expected else [])


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (NOON - days(3), None),
        (NOON - days(3) + timedelta(seconds=1), "3 days ago"),
        (NOON - timedelta(hours=12), "yesterday"),
        (NOON, "today"),
        (NOON + timedelta(seconds=1), None),
    ],
)
def test_what_ended_in_the_last_three_days_has_a_line(creator, ends, expected):
    place(creator, starts=NOON - days(30), ends=ends, position="inline")
    assert sentences(creator) == ([f"{named('Acme')} ended {expected} inline."] if expected else [])


def test_many_that_start_are_one_line_with_their_count(creator):
    for n, position in enumerate(("header", "footer", "inline")):
        place(creator, f"S{n}", starts=NOON + days(1), ends=NOON + days(2), position=position)
    for n in range(2):
        place(creator, "Late", starts=NOON + days(2 + n / 2), ends=NOON + days(2.4 + n / 2))
    [line] = lines_of(creator, "starting")
    assert line.sentence == (
        f"{named('S0')} starts tomorrow in the header; {named('S1')} starts tomorrow in the footer; "
        f"{named('S2')} starts tomorrow inline; 2 more placements within 3 days."
    )


# --- Tips without a Stripe ID -----------------------------------------------------------------------


def test_tips_without_a_stripe_id_have_a_line_where_others_have_one(creator, stranger):
    tip(stranger, stripe_payment_id="pi_1")
    for ago in (1, 2):
        with clock_at(NOON - days(ago)):
            tip(creator)
    assert lines_of(creator) == []
    tip(creator, stripe_payment_id="pi_1")
    sentence = "2 tips have no Stripe ID."
    assert lines_of(creator) == [Line("no_stripe_id", sentence, number=2, newest=NOON - days(1))]


def test_very_many_are_not_counted_out(creator, monkeypatch):
    monkeypatch.setattr("monetization.figures.attention.TIPS_COUNTED", 2)
    tip(creator, stripe_payment_id="pi_1")
    for ago in (4, 3, 1, 2):
        with clock_at(NOON - days(ago)):
            tip(creator)
    sentence = "More than 2 tips have no Stripe ID."
    assert lines_of(creator) == [Line("no_stripe_id", sentence, number=3, newest=NOON - days(1))]


# --- The sentence -----------------------------------------------------------------------------------


def test_a_month_in_which_nothing_was_recorded_says_so(creator):
    assert summary(creator, at=NOON) == "This month: nothing yet."


def test_the_month_so_far_is_one_sentence(creator, stranger):
    with clock_at(JUNE - timedelta(microseconds=1)):
        tip(creator)
        subscribe(creator, "old@example.com")
    with clock_at(JUNE):
        tip(creator, currency="JPY")
        tip(stranger)
        subscribe(creator, "New@example.com")
        subscribe(creator, "new@example.com", currency="EUR")
        subscribe(creator, "OLD@example.com", plan="annual")
        change(subscribe(creator, "gone@example.com"), status="cancelled")
    place(creator, starts=JUNE, ends=datetime(2027, 1, 1, tzinfo=UTC))
    place(creator, "Past", starts=JUNE - days(9), ends=JUNE)
    with clock_at(NOON):
        assert summary(creator, at=NOON) == (
            f"This month: 1 tip, 1 new subscriber, {named('Acme')} in the header through 31 December."
        )
        tip(creator)
        subscribe(creator, "third@example.com")
        for _ in range(3):
            place(creator, "Soon", starts=NOON, ends=JUNE + days(20), position="inline")
        assert summary(creator, at=NOON) == (
            "This month: 2 tips, 2 new subscribers, "
            + f"{named('Soon')} inline through 20 June, " * 3
            + "1 more sponsor."
        )


def test_a_hostile_name_is_quoted_as_it_was_recorded(creator):
    """The page escapes it."""
    name = "<script>alert(1)</script>, and more"
    place(creator, name, starts=NOON - days(1), ends=NOON + days(1))
    assert f"{named(name)} in the header" in summary(creator, at=NOON)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Acme\u2069 gone\u2067", "Acme gone"),  # Marks that would end the isolation, or never.
        ("\u202eemca", "emca"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("Two\nlines", "Two lines"),
    ],
)
def test_a_name_is_short_and_moves_no_word_beside_it(creator, name, expected):
    place(creator, name, starts=NOON - days(1), ends=NOON + days(1))
    place(creator, name, starts=NOON + days(1), ends=NOON + days(9))
    place(creator, name, starts=NOON - days(9), ends=NOON - days(1))
    place(creator, name, starts=NOON + days(5), ends=NOON + days(9))
    assert summary(creator, at=NOON).startswith(f"This month: {named(expected)} in the header")
    double, starting, ended = sentences(creator)
    assert double.endswith(f": {named(expected)}.")
    assert starting.startswith(f"{named(expected)} starts tomorrow")
    assert ended.startswith(f"{named(expected)} ended yesterday")


def test_the_queries_are_as_many_for_many_rows(creator, stranger, django_assert_num_queries):
    for n in range(6):
        place(stranger, starts=NOON + days(n), ends=NOON + days(n + 3))
        late(stranger, f"reader{n}@example.com", plan=("monthly", "gold")[n % 2])
        tip(stranger, stripe_payment_id="pi_1" if n == 0 else None)
    for who in (creator, stranger):
        with django_assert_num_queries(3):
            lines(who, at=NOON)
        with django_assert_num_queries(3):
            summary(who, at=NOON)


def test_inline_is_a_place_of_its_own(creator):
    for name in ("Acme", "Globex"):
        place(creator, name, starts=NOON + days(1), ends=NOON + days(2), position="inline")
    assert sentences(creator) == [
        f"The inline position is double-booked from 16 to 17 June: {named('Acme')} and {named('Globex')}.",
        f"{named('Acme')} starts tomorrow inline; {named('Globex')} starts tomorrow inline.",
    ]
