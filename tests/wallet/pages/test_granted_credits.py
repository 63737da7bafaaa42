"""What a user reads of granted credits: on the wallet page, in the history, the statement and the file."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ServiceKey
from tests.factories import UserFactory
from tests.html import browser_of, table, words
from tests.wallet import by_hand
from tests.wallet.clock import Clock
from tests.wallet.granted import grant, past_grants, void
from tests.wallet.held import capture, hold
from tests.wallet.reversed import take_back
from wallet.books.funds import available_of
from wallet.charges import deductions, lapsing
from wallet.models import Entry, Wallet
from wallet.pages import granted

pytestmark = pytest.mark.django_db

GRANTS, HISTORY = "grants_title", "history_title"
DAY = timedelta(days=1)


@pytest.fixture
def clock():
    """A clock that stands at noon."""
    clock = Clock()
    clock.set(datetime(2020, 1, 10, 12, tzinfo=UTC))
    return clock


@pytest.fixture
def dana(article_rate, give):
    """A user who bought 42 credits."""
    user = UserFactory.create(misar_id="usr_dana")
    give(user.pk, 42)
    return user


def charge(user, credits):
    service = ServiceKey(product="blog", prefix="test")
    deductions.deduct(service=service, user_id=user.pk, feature="blog.article.generate", count=credits)


def shown_to(user, query=""):
    return words(browser_of(user).get(f"/wallet{query}"))


def grants_of(user):
    return table(browser_of(user).get("/wallet"), GRANTS)


# --- What is granted ----------------------------------------------------------------------------------


def test_without_grants_the_page_says_nothing_of_them(dana):
    grant(dana.pk, 5)
    charge(dana, 5)
    shown = shown_to(dana)
    assert "Your balance 42 credits One balance for every Misar product." in shown
    assert "Granted credits" not in shown


def test_the_balance_splits_into_granted_and_paid_credits(dana):
    grant(dana.pk, 10)
    shown = shown_to(dana)
    assert "Your balance 52 credits Granted, spent first 10 Paid, no end 42 One balance" in shown


def test_with_holds_each_part_says_what_is_held_of_it(dana):
    grant(dana.pk, 10)
    hold(dana.pk, 12)
    shown = shown_to(dana)
    assert (
        "Available now 40 credits Balance Held Available Granted 10 10 0 Paid 42 2 40 Total 52 12 40 "
        "One balance"
    ) in shown


def test_each_grant_says_why_by_whom_until_when_and_what_is_left_of_it(clock, dana):
    grant(dana.pk, 20, lasts=60 * DAY, product="", reason="Sorry for the outage")
    grant(dana.pk, 10, lasts=6 * DAY, reason="Welcome <b>")
    charge(dana, 3)
    hold(dana.pk, 9)
    assert grants_of(dana) == [
        ["Welcome <b>", "MisarBlog", "16 Jan 2020 in 6 days", "7", "7 of 10"],
        ["Sorry for the outage", "Misar", "10 Mar 2020", "2", "20 of 20"],
    ]
    assert "Left in all 27" in shown_to(dana)


@pytest.mark.parametrize(
    ("lasts", "day", "at"),
    [
        (timedelta(hours=2), "10 Jan 2020 today, 14:00", "10 Jan 2020, 14:00"),
        (timedelta(hours=12), "10 Jan 2020 today", "11 Jan 2020, 00:00"),
        (timedelta(hours=13), "11 Jan 2020 tomorrow", "11 Jan 2020, 01:00"),
        (7.5 * DAY, "17 Jan 2020 in 7 days", "18 Jan 2020, 00:00"),
        (8.5 * DAY, "18 Jan 2020", "19 Jan 2020, 00:00"),
    ],
)
def test_the_last_day_of_a_grant(clock, dana, lasts, day, at):
    """A grant that ends at midnight has the day before as its last one."""
    grant(dana.pk, lasts=lasts)
    answer = browser_of(dana).get("/wallet")
    assert table(answer, GRANTS)[0][2] == day
    assert f'title="Ends at {at} UTC"' in answer.content.decode()


def test_only_some_grants_are_named_and_the_others_are_added_up(dana, monkeypatch):
    monkeypatch.setattr(granted, "SHOWN_MAX", 2)
    for number in (1, 2, 3, 4):
        grant(dana.pk, number, lasts=(9 - number) * DAY)
    rows = grants_of(dana)
    assert [(row[0], row[4]) for row in rows] == [
        ("Welcome", "4 of 4"),
        ("Welcome", "3 of 3"),
        ("2 more", "3"),
    ]
    assert "Left in all 10" in shown_to(dana)


def test_of_a_grant_that_has_ended_only_what_is_held_is_left(clock, dana):
    grant(dana.pk, 10, lasts=DAY)
    hold(dana.pk, 4, ttl_seconds=3 * 24 * 3600)
    clock.advance(days=1)
    shown = shown_to(dana)
    assert "Granted 4 4 0 Paid 42 0 42 Total 46 4 42" in shown
    [row] = grants_of(dana)
    assert row == ["Welcome", "MisarBlog", "Ended 11 Jan 2020", "4", "4 of 10"]


def test_a_grant_that_was_taken_back_is_gone_at_once(dana):
    void(grant(dana.pk, 10))
    assert "Granted credits" not in shown_to(dana)


def test_the_number_of_queries_does_not_grow_with_grants(dana):
    browser = browser_of(dana)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert browser.get("/wallet").status_code == 200
        return len(captured)

    grant(dana.pk, 1)
    few = queries()
    for number in range(granted.SHOWN_MAX):
        grant(dana.pk, 1, product=f"product-{number}")
    assert queries() == few


# --- Debts --------------------------------------------------------------------------------------------


def bought(user):
    return Entry.objects.of_user(user.pk).get(kind="topup")


def test_granted_credits_do_not_pay_a_debt(dana):
    charge(dana, 30)
    grant(dana.pk, 7)
    take_back(bought(dana))
    shown = shown_to(dana)
    assert "Your balance −23 credits Granted, spent first 7 Paid, no end −30" in shown
    assert (
        "You owe 30 credits. The first $30 of your next top-up will settle this. Granted credits don't pay "
        "this. You can spend only as many of them as exceed what you owe: none now."
    ) in shown
    assert "Your bank disputed" in shown
    assert "42 credits were taken back" in shown


def test_granted_credits_beyond_a_debt_can_be_spent(dana):
    charge(dana, 30)
    grant(dana.pk, 50)
    take_back(bought(dana))
    shown = shown_to(dana)
    assert "Your balance 20 credits Granted, spent first 50 Paid, no end −30" in shown
    assert "You owe 30 credits." in shown
    assert "You can spend only as many of them as exceed what you owe: 20 now." in shown
    charge(dana, 20)
    assert available_of(dana.pk) == 0
    assert "You owe 30 credits." in shown_to(dana)


def test_a_debt_beside_grants_names_only_the_payments_that_left_it(dana, give):
    first = bought(dana)
    grant(dana.pk, 5)
    take_back(first, 10)  # No debt: 32 paid credits are left.
    second = give(dana.pk, 8)
    charge(dana, 40)
    take_back(second)
    shown = shown_to(dana)
    assert "You owe 3 credits." in shown
    assert "8 credits were taken back" in shown
    assert "10 credits were taken back" not in shown


def test_an_amount_is_chosen_that_settles_the_whole_debt(dana):
    charge(dana, 30)
    grant(dana.pk, 50)
    take_back(bought(dana))
    html = browser_of(dana).get("/wallet").content.decode()
    assert 'value="50"' in html.partition("checked")[0].rpartition("<input")[2]


def test_more_paid_credits_are_held_than_there_are(dana):
    hold(dana.pk, 40)
    grant(dana.pk, 20)
    take_back(bought(dana), 10)
    shown = shown_to(dana)
    assert "Granted 20 0 20 Paid 32 40 −8 Total 52 40 12" in shown
    assert (
        "8 credits more are held than you have paid, because a payment was refunded or disputed: 12 credits "
        "of your grants can be spent until a hold ends or you top up."
    ) in shown


def test_a_top_up_says_what_it_settled_beside_grants(dana, stand_in, deliver):
    charge(dana, 30)
    grant(dana.pk, 7)
    take_back(bought(dana))
    session_id = stand_in.paid_session(user_id=dana.pk)
    for event in stand_in.events(session_id):
        assert deliver(event).status_code == 200
    shown = shown_to(dana, f"?wallet_topup=success&session={session_id}")
    assert "25 credits were added. Your balance is 2." in shown
    assert "All of them paid what you owed." in shown
    assert "Your debt is settled" not in shown
    assert "You owe 5 credits." in shown


# --- History, statement and file ----------------------------------------------------------------------


@pytest.fixture
def lived(clock, dana):
    """A grant that ended, one that was taken back, and one that paid a part of a charge."""
    grant(dana.pk, 10, lasts=DAY, reason="=Welcome")
    charge(dana, 3)
    clock.advance(days=1)
    lapsing.lapse_wallet(dana.pk)
    void(grant(dana.pk, 5, reason="A mistake"))
    grant(dana.pk, 2, product="", reason="Sorry")
    charge(dana, 6)
    return dana


def test_the_history_names_the_reasons_of_grants(lived):
    rows = table(browser_of(lived).get("/wallet"), HISTORY)
    assert [(row[0], row[1], row[3], row[4]) for row in rows] == [
        ("Generate an article × 6", "MisarBlog", "−6", "38"),
        ("Granted: Sorry", "", "+2", "44"),
        ("Taken back: A mistake", "MisarBlog", "−5", "42"),
        ("Granted: A mistake", "MisarBlog", "+5", "47"),
        ("Ended unspent: =Welcome", "MisarBlog", "−7", "42"),
        ("Generate an article × 3", "MisarBlog", "−3", "49"),
        ("Granted: =Welcome", "MisarBlog", "+10", "52"),
        ("Top-up", rows[-1][1], "+42", "42"),
    ]


def test_grants_and_their_ends_have_a_filter_of_their_own(lived):
    browser = browser_of(lived)
    rows = table(browser.get("/wallet?kind=grants"), HISTORY)
    assert [row[3] for row in rows] == ["+2", "−5", "+5", "−7", "+10"]
    answer: Any = browser.get("/wallet/history.csv?kind=grants")
    text = b"".join(answer.streaming_content).decode().removeprefix("\N{BYTE ORDER MARK}")
    found = [(row["type"], row["credits"], row["reason"]) for row in csv.DictReader(io.StringIO(text))]
    assert found == [
        ("grant", "2", "Sorry"),
        ("expiry", "-5", "A mistake"),
        ("grant", "5", "A mistake"),
        ("expiry", "-7", "\N{RIGHT SINGLE QUOTATION MARK}=Welcome"),
        ("grant", "10", "\N{RIGHT SINGLE QUOTATION MARK}=Welcome"),
    ]


def test_the_statement_has_the_same_words(lived):
    statement = browser_of(lived).get("/wallet/statements/2020-01")
    assert ["Granted", "3", "+17"] in table(statement, "by_kind")
    assert ["Ended unspent", "2", "−12"] in table(statement, "by_kind")
    lines = [row[0] for row in table(statement, "lines")]
    assert {"Granted: Sorry", "Taken back: A mistake", "Ended unspent: =Welcome"} <= set(lines)


def test_what_time_took_of_a_released_hold_is_named_too(clock, dana):
    grant(dana.pk, 10, lasts=DAY)
    held = hold(dana.pk, 10, ttl_seconds=3 * 24 * 3600)
    clock.advance(days=2)
    capture(held, 4)
    rows = table(browser_of(dana).get("/wallet"), HISTORY)
    assert [(row[0], row[3]) for row in rows][:2] == [
        ("Ended unspent: Welcome", "−6"),
        ("Charge of a hold: Generate an article × 4", "−4"),
    ]


def test_a_reason_of_staff_for_anything_else_stays_with_staff(dana):
    by_hand.adjust(user_id=dana.pk, credits=5, reason="A secret", actor="user:staff:1", key="k")
    browser = browser_of(dana)
    answer: Any = browser.get("/wallet/history.csv")
    assert b"A secret" not in b"".join(answer.streaming_content)
    assert "A secret" not in words(browser.get("/wallet"))


def test_the_chart_ends_with_what_is_there_now_also_if_nothing_wrote_the_end_of_a_grant(dana):
    past_grants(1, dana.pk, credits=9)
    assert "to 42 credits today" in shown_to(dana)
    assert Wallet.objects.get(pk=dana.pk).balance == 42 + 9
