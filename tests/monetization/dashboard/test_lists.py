"""A creator's lists: the same rows on the page as in the file, each once, and totals of the whole filter."""

from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from foundation.errors import InvalidCursor
from foundation.http.cursors import cursor_at
from monetization import keyset, tips
from monetization.dashboard.sponsors.forms import SponsorFilterForm
from monetization.dashboard.subscriptions.forms import SubscriptionFilterForm
from monetization.dashboard.tips.forms import TipFilterForm
from monetization.days import closing
from monetization.models import Sponsor, Subscription, Tip
from monetization.privacy import erasure
from tests.factories import UserFactory
from tests.monetization.records import NOON, change, clock_at, days, place, refund, subscribe, tip

pytestmark = pytest.mark.django_db

PARTS = ("gross", "fee", "net", "refunded", "fee_returned", "net_after_refunds")
A_MOMENT = timedelta(microseconds=1)
DAY = NOON.date()
HOSTILE = [
    "%",
    "_",
    "\\",
    "'; DROP TABLE monetization_tip; --",
    '"',
    "\0",
    "a\0b",
    "🎉",
    "(?",
    "x" * 5000,
    "{{ 7 }}",
]


def tips_of(creator, **filters):
    return TipFilterForm(filters, creator)


def amounts(creator, **filters):
    return [row.gross_cents for row in tips_of(creator, **filters).records()]


def cents(creator, **filters):
    return [row.amount_cents for row in SubscriptionFilterForm(filters, creator).records()]


def sponsors_at(moment, creator, **filters):
    with clock_at(moment):
        return SponsorFilterForm(filters, creator)


def names(creator, at=NOON, **filters):
    return [row.sponsor_name for row in sponsors_at(at, creator, **filters).records()]


def page_of(form, limit, cursor=None):
    return keyset.page_of(form.records(), among=form.mine, limit=limit, cursor=cursor)


def tip_at(moment, creator, amount_cents, **facts):
    with clock_at(moment):
        return tip(creator, amount_cents, **facts)


# --- Tips -------------------------------------------------------------------------------------------


def test_tips_are_newest_first_and_the_creators_own(creator, stranger):
    for n in range(3):
        tip_at(NOON + days(n), creator, 100 + n)
    tip(stranger, 900)
    assert amounts(creator) == [102, 101, 100]


@pytest.mark.parametrize(
    ("first_day", "last_day", "expected"),
    [
        (None, None, [104, 103, 102, 101]),
        (DAY, None, [104, 103, 102]),
        (None, DAY, [103, 102, 101]),
        (DAY, DAY, [103, 102]),
        (DAY + days(1), DAY + days(1), [104]),
        ("2000-01-01", "2999-12-31", [104, 103, 102, 101]),
    ],
)
def test_days_are_whole_days_in_utc_both_included(creator, first_day, last_day, expected):
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    moments = [midnight - A_MOMENT, midnight, midnight + days(1) - A_MOMENT, midnight + days(1)]
    for n, moment in enumerate(moments, start=101):
        tip_at(moment, creator, n)
    days_of = {"from": str(first_day or ""), "to": str(last_day or "")}
    assert amounts(creator, **days_of) == expected


def test_tips_are_narrowed_by_currency_and_amount(creator):
    for amount, currency in ((100, "USD"), (200, "USD"), (300, "EUR"), (400, "JPY")):
        tip(creator, amount, currency=currency)
    assert amounts(creator, currency="USD") == [200, 100]
    assert amounts(creator, currency="USD", least="1.01") == [200]
    assert amounts(creator, currency="JPY", least="400") == [400]
    assert amounts(creator, currency="EUR", least="0") == [300]
    assert amounts(creator, currency="EUR", least="3.01") == []


def test_tips_are_narrowed_by_whether_they_have_a_message(creator):
    tip(creator, 100)
    hidden = tip(creator, 200, message="Love it")
    tips.hide_message(creator=creator, tip_id=hidden.pk, hidden=True)
    tip(creator, 300, message="Thanks")
    assert amounts(creator, message="with") == [300, 200]
    assert amounts(creator, message="without") == [100]


def test_tips_are_narrowed_by_whether_they_were_refunded(creator):
    tip(creator, 100)
    refund(tip(creator, 200), 1)
    refund(tip(creator, 300))
    assert amounts(creator, refunded="yes") == [300, 200]
    assert amounts(creator, refunded="no") == [100]


def test_tips_are_narrowed_to_those_without_a_stripe_id(creator):
    tip(creator, 100)
    tip(creator, 200, stripe_payment_id="pi_1")
    assert amounts(creator, stripe="none") == [100]
    assert amounts(creator) == [200, 100]


@pytest.fixture
def searched(creator):
    """Tips that their amounts identify."""
    tip(creator, 101, email="Alex@Example.com", name="Åsa Lind")
    tip(creator, 102, email="alexandra@example.com", name="Bo_b", stripe_payment_id="pi_1")
    tip(creator, 103, name="alex of no address", stripe_payment_id="pi_10")
    tip(creator, 104, email="100%@example.com")
    return creator


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("alex@example.com", [101]),
        ("ALEX@EXAMPLE.COM", [101]),
        ("alex", [103, 102, 101]),
        ("aLeXa", [102]),
        ("example.com", []),
        ("åsa", [101]),
        ("Lind", []),
        ("pi_1", [102]),
        ("PI_1", []),
        ("pi_", []),
        ("100%", [104]),
        ("bo_", [102]),
        ("b__b", []),
    ],
)
def test_tips_are_searched_by_the_beginning_of_an_address_or_name_and_by_whole_ids(
    searched, search, expected
):
    assert amounts(searched, search=search) == expected


def test_a_tip_is_found_by_its_own_id(searched):
    one = Tip.objects.get(gross_cents=102)
    assert amounts(searched, search=one.pk) == [102]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_search_finds_nothing_and_breaks_nothing(searched, text):
    subscribe(searched)
    for form in (
        TipFilterForm({"search": text}, searched),
        SubscriptionFilterForm({"search": text}, searched),
    ):
        # What no record can hold is refused before the search.
        assert form.errors.keys() == {"search"} if "\0" in text or len(text) > 255 else not form.records()


def test_a_search_never_finds_records_of_another_creator(searched, stranger):
    for search in ("alex", "pi_1", Tip.objects.get(gross_cents=102).pk):
        assert amounts(stranger, search=search) == []


def test_an_erased_reader_is_no_longer_found(searched):
    erasure.erase("alex@example.com", actor="operator")
    assert amounts(searched, search="alex@example.com") == []
    assert amounts(searched, search="åsa") == []


# --- Subscriptions ----------------------------------------------------------------------------------


@pytest.fixture
def subscribed(creator, stranger):
    """Subscriptions that their amounts identify."""
    subscribe(creator, "Alex@Example.com", amount_cents=1)
    late = subscribe(creator, "alexandra@example.com", amount_cents=2, stripe_subscription_id="sub_1")
    gone = subscribe(creator, "bo@example.com", amount_cents=3, currency="EUR")
    subscribe(stranger, "alex@example.com", amount_cents=4, stripe_subscription_id="sub_1")
    change(late, status="past_due")
    change(gone, status="cancelled")
    return creator


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, [3, 2, 1]),
        ({"status": "active"}, [1]),
        ({"status": "past_due"}, [2]),
        ({"status": "cancelled"}, [3]),
        ({"currency": "USD"}, [2, 1]),
        ({"search": "ALEX"}, [2, 1]),
        ({"search": "alex@example.com"}, [1]),
        ({"search": "sub_1"}, [2]),
        ({"search": "sub_"}, []),
        ({"search": "alex", "status": "past_due", "currency": "USD"}, [2]),
        ({"search": "alex", "currency": "EUR"}, []),
    ],
)
def test_subscriptions_are_newest_first_and_narrowed(subscribed, filter, expected):
    assert cents(subscribed, **filter) == expected


def test_subscriptions_are_narrowed_to_those_that_pay_and_are_in_no_mrr(creator):
    subscribe(creator, "a@example.com", amount_cents=100)
    subscribe(creator, "b@example.com", "gold", amount_cents=200)
    change(subscribe(creator, "c@example.com", "gold", amount_cents=300), status="cancelled")
    change(subscribe(creator, "d@example.com", "gold", amount_cents=400), status="past_due")
    assert cents(creator, interval="unknown") == [400, 200]


def test_a_subscription_is_found_by_its_own_id(subscribed):
    assert cents(subscribed, search=Subscription.objects.get(amount_cents=2).pk) == [2]


# --- Sponsors ---------------------------------------------------------------------------------------


def test_the_state_of_a_placement_depends_on_the_clock(creator):
    for n, starts in enumerate((-days(7), -days(7) + A_MOMENT, -A_MOMENT, days(0), A_MOMENT, days(2))):
        place(creator, f"S{n}", starts=NOON + starts)
    cancelled = place(creator, "C", starts=NOON)
    Sponsor.objects.filter(pk=cancelled.pk).update(cancelled_at=NOON)
    for state in Sponsor.State.values:
        rows = set(sponsors_at(NOON, creator, state=state).records())
        assert rows == {row for row in Sponsor.objects.all() if row.state_at(NOON) == state}
        assert rows


def test_upcoming_placements_are_soonest_first_and_all_others_latest_first(creator, stranger):
    for name, starts in (("last year", -400), ("last month", -30), ("soon", 2), ("later", 40)):
        place(creator, name, starts=NOON + days(starts))
    place(stranger, "theirs", starts=NOON + days(2))
    assert names(creator, state="upcoming") == ["soon", "later"]
    assert names(creator, state="ended") == ["last month", "last year"]
    assert names(creator) == ["later", "soon", "last month", "last year"]


def test_placements_are_narrowed_by_position(creator):
    place(creator, "Acme", position="footer")
    place(creator, "Globex")
    assert names(creator, position="footer") == ["Acme"]
    assert names(creator, position="footer", state="ended") == []


def test_a_filter_uses_the_moment_when_it_was_made(creator):
    place(creator, "Acme", starts=NOON)
    assert names(creator, at=NOON - days(1), state="upcoming") == ["Acme"]
    assert names(creator, at=NOON, state="active") == ["Acme"]


# --- Pages ------------------------------------------------------------------------------------------


def turned(form, limit):
    """Every page of a list."""
    pages, cursor = [], None
    while True:
        page = page_of(form, limit, cursor)
        pages.append(page.rows)
        if page.next_cursor is None:
            return pages
        cursor = page.next_cursor


def test_there_is_a_next_page_only_where_there_is_more(creator):
    for _ in range(4):
        tip(creator)
    form = tips_of(creator)
    assert [len(page) for page in turned(form, 2)] == [2, 2]
    assert [len(page) for page in turned(form, 3)] == [3, 1]
    assert turned(tips_of(creator, refunded="yes"), 3) == [[]]


@settings(derandomize=True, database=None, deadline=None, max_examples=30)
@given(
    hours=st.lists(st.integers(0, 3), max_size=12),
    limit=st.integers(1, 5),
    state=st.sampled_from(["", "upcoming", "active"]),
)
def test_the_pages_together_are_the_list(hours, limit, state):
    creator: Any = UserFactory.create()
    for hour in hours:  # Many at the same moment.
        tip_at(NOON + timedelta(hours=hour), creator, 500)
        place(creator, starts=NOON + timedelta(hours=hour))
    for form in (tips_of(creator), sponsors_at(NOON, creator, state=state)):
        assert [row for page in turned(form, limit) for row in page] == list(form.records())


def test_a_row_can_leave_the_list_between_two_pages(creator):
    made = [tip_at(NOON + timedelta(hours=n), creator, 100 + n) for n in range(4)]
    unrefunded = tips_of(creator, refunded="no")
    page = page_of(unrefunded, 2)
    refund(made[2])
    refund(made[1])
    assert [row.gross_cents for row in page_of(unrefunded, 2, page.next_cursor).rows] == [100]


def test_a_new_row_does_not_move_the_next_page(creator):
    for n in range(4):
        tip_at(NOON + timedelta(hours=n), creator, 100 + n)
    first = page_of(tips_of(creator), 2)
    tip_at(NOON + days(1), creator, 900)
    second = page_of(tips_of(creator), 2, first.next_cursor)
    assert [row.gross_cents for row in second.rows] == [101, 100]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "W10",
        "\0",
        cursor_at(""),
        cursor_at("tip_none"),
        cursor_at("2026-06-15/tip_none/"),
        cursor_at("9999-12-31T23:59:59-23:59/tip_none"),
        cursor_at("0001-01-01T00:00:00+23:59/tip_none"),
        cursor_at("2026-06-15T12:00:00+00:00"),
        cursor_at("2026-06-15T12:00:00+00:00/"),
        cursor_at("2026-06-15T12:00:00/tip_none"),
    ],
)
def test_a_malformed_cursor_is_refused(creator, cursor):
    with pytest.raises(InvalidCursor):
        page_of(tips_of(creator), 2, cursor)


def test_a_cursor_of_another_creator_is_refused(creator, stranger):
    for _ in range(3):
        tip(creator)
    theirs = page_of(tips_of(creator), 1).next_cursor
    with pytest.raises(InvalidCursor):
        page_of(tips_of(stranger), 1, theirs)


def test_a_page_takes_two_queries_however_deep(creator, django_assert_num_queries):
    for n in range(6):
        tip_at(NOON + days(n), creator, 500)
    form, cursor = tips_of(creator), None
    for queries in (1, 2, 2):  # The row of the cursor, and the rows after it.
        with django_assert_num_queries(queries):
            cursor = page_of(form, 2, cursor).next_cursor


def test_a_file_reads_a_thousand_rows_at_a_time(creator, django_assert_num_queries):
    made = tip(creator)
    parts = ("fee_bps", "plan", "currency", "gross_cents", "fee_cents", "net_cents")
    worth = {name: getattr(made, name) for name in parts}
    Tip.objects.bulk_create([Tip(creator=creator, created_at=NOON, **worth) for _ in range(2000)])
    form = tips_of(creator)
    with django_assert_num_queries(3):
        assert len({row.pk for row in keyset.every_row(form.records())}) == 2001


# --- Totals -----------------------------------------------------------------------------------------


def test_totals_are_per_currency_with_the_most_used_first(creator, stranger):
    refund(tip(creator, 500), 200)
    tip(creator, 100)
    tip(creator, 1000, currency="EUR")
    tip(stranger, 700)
    dollars, euros = tips_of(creator).totals()
    assert dollars == {
        "currency": "USD",
        "count": 2,
        "gross_cents": 600,
        "fee_cents": 30,
        "net_cents": 570,
        "refunded_cents": 200,
        "fee_returned_cents": 10,
        "net_after_refunds_cents": 570 - 190,
    }
    assert (euros["currency"], euros["count"], euros["gross_cents"]) == ("EUR", 1, 1000)
    assert tips_of(creator, message="with").totals() == []


@pytest.mark.parametrize(
    "filters",
    [
        *({}, {"currency": "EUR"}, {"currency": "none"}, {"sort": "-amount"}),
        *({"from": "2026-06-17", "to": "2026-06-20"}, {"from": "2026-06-22"}, {"to": "2026-06-18"}),
        {"from": "2026-06-18", "currency": "JPY", "sort": "date"},
        *({"from": "2026-06-20", "to": "2026-06-16"}, {"refunded": "yes"}, {"currency": "EUR", "least": "3"}),
    ],
)
@pytest.mark.parametrize("closed", [False, True])
def test_totals_are_what_the_rows_add_up_to(creator, filters, closed, django_assert_num_queries):
    for n in range(9):
        with clock_at(NOON + days(n)):
            given_tip = tip(creator, 100 + 97 * n, currency=("USD", "EUR", "JPY")[n % 3])
        if n % 2:
            with clock_at(NOON + days(n + n % 4)):
                refund(given_tip, 40 + n)
    subscribe(creator, currency="GBP")
    if closed:
        closing.close_days(now=NOON + days(6))
    form = tips_of(creator, **filters)
    with django_assert_num_queries(2 if {"from", "to"} & form.data.keys() else 1):
        totals = form.totals()
    assert {total["currency"] for total in totals} == {row.currency for row in form.records()} != set()
    for total in totals:
        currency = total.pop("currency")
        rows = [row for row in form.records() if row.currency == currency]
        assert total.keys() == {f"{part}_cents" for part in PARTS} | {"count"}
        assert total.pop("count") == len(rows)
        for name, value in total.items():
            assert type(value) is int
            assert value == sum(getattr(row, name) for row in rows)
