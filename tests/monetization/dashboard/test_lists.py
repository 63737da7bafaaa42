"""A creator's lists: the same rows on the page as in the file, each once, and totals of the whole filter."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from foundation.http.cursors import cursor_at
from monetization import keyset, tips
from monetization.dashboard.sponsors.filters import SponsorFilter
from monetization.dashboard.subscriptions.filters import SubscriptionFilter
from monetization.dashboard.tips import filters
from monetization.dashboard.tips.filters import TipFilter
from monetization.errors import InvalidCursor
from monetization.models import Sponsor, Subscription, Tip
from monetization.privacy import erasure
from tests.factories import UserFactory
from tests.monetization.records import NOON, change, clock_at, days, place, refund, subscribe, tip

pytestmark = pytest.mark.django_db

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


def amounts(creator, **filter):
    return [row.gross_cents for row in TipFilter(**filter).apply(creator)]


def cents(creator, **filter):
    return [row.amount_cents for row in SubscriptionFilter(**filter).apply(creator)]


def names(creator, **filter):
    return [row.sponsor_name for row in SponsorFilter(**filter).apply(creator)]


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
    ("first_day", "last_day", "found"),
    [
        (None, None, [104, 103, 102, 101]),
        (DAY, None, [104, 103, 102]),
        (None, DAY, [103, 102, 101]),
        (DAY, DAY, [103, 102]),
        (DAY + days(1), DAY + days(1), [104]),
        (DAY + days(1), DAY, []),
        (date.min, date.max, [104, 103, 102, 101]),
    ],
)
def test_days_are_whole_days_in_utc_both_included(creator, first_day, last_day, found):
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    moments = [midnight - A_MOMENT, midnight, midnight + days(1) - A_MOMENT, midnight + days(1)]
    for n, moment in enumerate(moments, start=101):
        tip_at(moment, creator, n)
    assert amounts(creator, first_day=first_day, last_day=last_day) == found


def test_tips_are_narrowed_by_currency_and_amount(creator):
    for amount, currency in ((100, "USD"), (200, "USD"), (300, "EUR"), (400, "JPY")):
        tip(creator, amount, currency=currency)
    assert amounts(creator, currency="USD") == [200, 100]
    assert amounts(creator, currency="USD", min_cents=101) == [200]
    assert amounts(creator, min_cents=200) == [400, 300, 200]
    assert amounts(creator, min_cents=0, currency="GBP") == []


def test_tips_are_narrowed_by_whether_the_reader_wrote_something(creator):
    tip(creator, 100)
    hidden = tip(creator, 200, message="Love it")
    tips.hide_message(creator=creator, tip_id=hidden.pk, hidden=True)
    tip(creator, 300, message="Thanks")
    assert amounts(creator, with_message=True) == [300, 200]
    assert amounts(creator, with_message=False) == [100]


def test_tips_are_narrowed_by_whether_something_went_back(creator):
    tip(creator, 100)
    refund(tip(creator, 200), 1)
    refund(tip(creator, 300))
    assert amounts(creator, refunded=True) == [300, 200]
    assert amounts(creator, refunded=False) == [100]


def test_tips_are_narrowed_to_those_without_a_stripe_id(creator):
    tip(creator, 100)
    tip(creator, 200, stripe_payment_id="pi_1")
    assert amounts(creator, without_stripe_id=True) == [100]
    assert amounts(creator) == [200, 100]


@pytest.fixture
def searched(creator):
    """Tips whose amounts say which they are."""
    tip(creator, 101, email="Alex@Example.com", name="Åsa Lind")
    tip(creator, 102, email="alexandra@example.com", name="Bo_b", stripe_payment_id="pi_1")
    tip(creator, 103, name="alex of no address", stripe_payment_id="pi_10")
    tip(creator, 104, email="100%@example.com")
    return creator


@pytest.mark.parametrize(
    ("search", "found"),
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
def test_tips_are_searched_by_the_beginning_of_an_address_or_name_and_by_whole_ids(searched, search, found):
    assert amounts(searched, search=search) == found


def test_a_tip_is_found_by_its_own_id(searched):
    one = Tip.objects.get(gross_cents=102)
    assert amounts(searched, search=one.pk) == [102]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_search_finds_nothing_and_breaks_nothing(searched, text):
    subscribe(searched)
    assert amounts(searched, search=text) == []
    assert cents(searched, search=text) == []


def test_a_search_never_finds_what_is_somebody_elses(searched, stranger):
    for search in ("alex", "pi_1", Tip.objects.get(gross_cents=102).pk):
        assert amounts(stranger, search=search) == []


def test_an_erased_reader_is_found_no_more(searched):
    erasure.erase("alex@example.com", actor="operator")
    assert amounts(searched, search="alex@example.com") == []
    assert amounts(searched, search="åsa") == []


# --- Subscriptions ----------------------------------------------------------------------------------


@pytest.fixture
def subscribed(creator, stranger):
    """Subscriptions whose amounts say which they are."""
    subscribe(creator, "Alex@Example.com", amount_cents=1)
    late = subscribe(creator, "alexandra@example.com", amount_cents=2, stripe_subscription_id="sub_1")
    gone = subscribe(creator, "bo@example.com", amount_cents=3, currency="EUR")
    subscribe(stranger, "alex@example.com", amount_cents=4, stripe_subscription_id="sub_1")
    change(late, status="past_due")
    change(gone, status="cancelled")
    return creator


@pytest.mark.parametrize(
    ("filter", "found"),
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
def test_subscriptions_are_newest_first_and_narrowed(subscribed, filter, found):
    assert cents(subscribed, **filter) == found


def test_subscriptions_are_narrowed_to_those_that_pay_and_are_in_no_mrr(creator):
    subscribe(creator, "a@example.com", amount_cents=100)
    subscribe(creator, "b@example.com", "gold", amount_cents=200)
    change(subscribe(creator, "c@example.com", "gold", amount_cents=300), status="cancelled")
    change(subscribe(creator, "d@example.com", "gold", amount_cents=400), status="past_due")
    assert cents(creator, interval_unknown=True) == [400, 200]


def test_a_subscription_is_found_by_its_own_id(subscribed):
    assert cents(subscribed, search=Subscription.objects.get(amount_cents=2).pk) == [2]


# --- Sponsors ---------------------------------------------------------------------------------------


def test_placements_are_in_the_state_that_the_clock_says(creator):
    for n, starts in enumerate((-days(7), -days(7) + A_MOMENT, -A_MOMENT, days(0), A_MOMENT, days(2))):
        place(creator, f"S{n}", starts=NOON + starts)
    cancelled = place(creator, "C", starts=NOON)
    Sponsor.objects.filter(pk=cancelled.pk).update(cancelled_at=NOON)
    for state in Sponsor.State.values:
        found = set(SponsorFilter(state=state, at=NOON).apply(creator))
        assert found == {row for row in Sponsor.objects.all() if row.state_at(NOON) == state}
        assert found


def test_what_is_to_come_is_soonest_first_and_all_else_latest_first(creator, stranger):
    for name, starts in (("last year", -400), ("last month", -30), ("soon", 2), ("later", 40)):
        place(creator, name, starts=NOON + days(starts))
    place(stranger, "theirs", starts=NOON + days(2))
    assert names(creator, state="upcoming", at=NOON) == ["soon", "later"]
    assert names(creator, state="ended", at=NOON) == ["last month", "last year"]
    assert names(creator, at=NOON) == ["later", "soon", "last month", "last year"]


def test_placements_are_narrowed_by_position(creator):
    place(creator, "Acme", position="footer")
    place(creator, "Globex")
    assert names(creator, position="footer") == ["Acme"]
    assert names(creator, position="footer", state="ended") == []


def test_the_clock_of_a_filter_is_the_moment_it_was_made(creator):
    place(creator, "Acme", starts=NOON)
    with clock_at(NOON - days(1)):
        assert names(creator, state="upcoming") == ["Acme"]
    with clock_at(NOON):
        assert names(creator, state="active") == ["Acme"]


# --- Pages ------------------------------------------------------------------------------------------


def turned(queryset, limit):
    """Every page of a list."""
    pages, cursor = [], None
    while True:
        page = keyset.page_of(queryset, limit=limit, cursor=cursor)
        pages.append(page.rows)
        if page.next_cursor is None:
            return pages
        cursor = page.next_cursor


def test_there_is_a_next_page_only_where_there_is_more(creator):
    for _ in range(4):
        tip(creator)
    found = TipFilter().apply(creator)
    assert [len(page) for page in turned(found, 2)] == [2, 2]
    assert [len(page) for page in turned(found, 3)] == [3, 1]
    assert turned(TipFilter(currency="EUR").apply(creator), 3) == [[]]


@settings(derandomize=True, database=None, deadline=None, max_examples=30)
@given(
    hours=st.lists(st.integers(0, 3), max_size=12),
    limit=st.integers(1, 5),
    state=st.sampled_from(["", "upcoming", "active"]),
)
def test_the_pages_of_any_list_are_the_list(hours, limit, state):
    somebody: Any = UserFactory.create()
    for hour in hours:  # Many at the same moment.
        tip_at(NOON + timedelta(hours=hour), somebody, 500)
        place(somebody, starts=NOON + timedelta(hours=hour))
    for queryset in (TipFilter().apply(somebody), SponsorFilter(state=state, at=NOON).apply(somebody)):
        assert [row for page in turned(queryset, limit) for row in page] == list(queryset)


def test_a_row_that_leaves_the_list_does_not_end_it(creator):
    made = [tip_at(NOON + timedelta(hours=n), creator, 100 + n) for n in range(4)]
    unrefunded = TipFilter(refunded=False).apply(creator)
    page = keyset.page_of(unrefunded, limit=2)
    refund(made[2])
    refund(made[1])
    assert [row.gross_cents for row in keyset.page_of(unrefunded, limit=2, cursor=page.next_cursor).rows] == [
        100
    ]


def test_what_comes_in_meanwhile_moves_no_page(creator):
    for n in range(4):
        tip_at(NOON + timedelta(hours=n), creator, 100 + n)
    first = keyset.page_of(TipFilter().apply(creator), limit=2)
    tip_at(NOON + days(1), creator, 900)
    second = keyset.page_of(TipFilter().apply(creator), limit=2, cursor=first.next_cursor)
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
def test_what_is_no_cursor_is_refused(creator, cursor):
    with pytest.raises(InvalidCursor):
        keyset.page_of(TipFilter().apply(creator), limit=2, cursor=cursor)


def test_a_cursor_shows_nobody_elses_rows(creator, stranger):
    for _ in range(3):
        tip(creator)
    theirs = keyset.page_of(TipFilter().apply(creator), limit=1).next_cursor
    assert keyset.page_of(TipFilter().apply(stranger), limit=1, cursor=theirs).rows == []


def test_a_page_is_one_query_however_deep(creator, django_assert_num_queries):
    for n in range(6):
        tip_at(NOON + days(n), creator, 500)
    page = keyset.page_of(TipFilter().apply(creator), limit=2)
    with django_assert_num_queries(1):
        keyset.page_of(TipFilter().apply(creator), limit=2, cursor=page.next_cursor)


def test_a_file_reads_a_thousand_rows_at_a_time(creator, django_assert_num_queries):
    made = tip(creator)
    parts = ("fee_bps", "plan", "currency", "gross_cents", "fee_cents", "net_cents")
    worth = {name: getattr(made, name) for name in parts}
    Tip.objects.bulk_create([Tip(creator=creator, created_at=NOON, **worth) for _ in range(2000)])
    with django_assert_num_queries(3):
        assert len({row.pk for row in keyset.every_row(TipFilter().apply(creator))}) == 2001


# --- Totals -----------------------------------------------------------------------------------------


def test_totals_are_of_the_whole_filter_by_currency_the_commonest_first(creator, stranger):
    refund(tip(creator, 500), 200)
    tip(creator, 100)
    tip(creator, 1000, currency="EUR")
    tip(stranger, 700)
    dollars, euros = filters.tip_totals(creator, TipFilter())
    assert dollars == filters.Totals(
        currency="USD",
        count=2,
        gross_cents=600,
        fee_cents=30,
        net_cents=570,
        refunded_cents=200,
        fee_returned_cents=10,
    )
    assert dollars.net_after_refunds_cents == 570 - 190
    assert (euros.currency, euros.count, euros.gross_cents) == ("EUR", 1, 1000)
    assert filters.tip_totals(creator, TipFilter(currency="GBP")) == []


@pytest.mark.parametrize("filter", [TipFilter(), TipFilter(refunded=True), TipFilter(min_cents=300)])
def test_totals_are_what_the_rows_add_up_to(creator, filter, django_assert_num_queries):
    for n in range(9):
        given_tip = tip(creator, 100 + 97 * n, currency=("USD", "EUR", "JPY")[n % 3])
        if n % 2:
            refund(given_tip, 40 + n)
    with django_assert_num_queries(1):
        found = filters.tip_totals(creator, filter)
    assert all(type(total.gross_cents) is int for total in found)
    for total in found:
        rows = [row for row in filter.apply(creator) if row.currency == total.currency]
        assert total.count == len(rows)
        for name in ("gross_cents", "fee_cents", "net_cents", "refunded_cents", "fee_returned_cents"):
            assert getattr(total, name) == sum(getattr(row, name) for row in rows)
        assert total.net_after_refunds_cents == sum(row.net_after_refunds_cents for row in rows)
