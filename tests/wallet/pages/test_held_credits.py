"""What a user reads of credits that are held, and of a frozen wallet: on the wallet page and in mails."""

import csv
import io
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.dateformat import format as in_words

from accounts.models import OutgoingMail
from tests.factories import UserFactory
from tests.html import browser_of, table, words
from tests.wallet import by_hand
from tests.wallet.held import capture, charge_of, hold, void
from tests.wallet.holding import past_hold
from tests.wallet.reversed import take_back
from wallet.books import ledger
from wallet.books.funds import available_of
from wallet.models import Entry
from wallet.pages import chart, held
from wallet.prices import rates

pytestmark = pytest.mark.django_db

HELD = "held_title"


@pytest.fixture
def dana(article_rate, give):
    """A user who bought 42 credits."""
    user = UserFactory.create(misar_id="usr_dana", email="dana@example.com")
    give(user.pk, 42)
    return user


def shown_to(user, query=""):
    return words(browser_of(user).get(f"/wallet{query}"))


# --- What is held -------------------------------------------------------------------------------------


def test_without_holds_the_balance_is_what_can_be_spent(dana):
    shown = shown_to(dana)
    assert "Your balance 42 credits One balance for every Misar product." in shown
    assert "held" not in shown.lower()
    assert "Available" not in shown


def test_the_large_figure_is_what_can_be_spent_and_the_rest_is_explained(dana):
    hold(dana.pk, 5)
    assert (
        "Available now 37 credits Balance 42 Held for work in progress 5 One balance for every Misar product."
    ) in shown_to(dana)


def test_the_open_holds_say_for_what_how_many_credits_and_until_when(dana):
    rates.set_rate(feature="mail.send", label="Send an email", credits=2, unit="email", actor="test")
    first, second = hold(dana.pk, 1), hold(dana.pk, 6, product="mail", feature="mail.send")
    answer = browser_of(dana).get("/wallet")
    until = [in_words(each.expires_at, "j M Y, H:i") for each in (second, first)]
    assert table(answer, HELD) == [
        ["Send an email × 6", "MisarMail", until[0], "12"],
        ["Generate an article", "MisarBlog", until[1], "1"],
    ]
    assert "Total held 13" in words(answer)


def test_only_some_holds_are_named_and_the_others_are_added_up(dana, monkeypatch):
    monkeypatch.setattr(held, "SHOWN_MAX", 2)
    for count in (1, 2, 3, 4):
        hold(dana.pk, count)
    answer = browser_of(dana).get("/wallet")
    rows = table(answer, HELD)
    assert [(row[0], row[3]) for row in rows] == [
        ("Generate an article × 4", "4"),
        ("Generate an article × 3", "3"),
        ("2 more", "3"),
    ]
    assert "Total held 10" in words(answer)


def test_what_has_ended_is_not_held(dana):
    capture(hold(dana.pk, 5), 3)
    void(hold(dana.pk, 7))
    past_hold(dana.pk, credits=9)
    shown = shown_to(dana)
    assert "Your balance 39 credits" in shown
    assert "Total held" not in shown


def test_an_overdue_hold_is_not_listed_beside_an_open_one(dana):
    hold(dana.pk, 2)
    past_hold(dana.pk, credits=9)
    answer = browser_of(dana).get("/wallet")
    assert [row[3] for row in table(answer, HELD)] == ["2"]
    assert "Available now 40 credits Balance 42 Held for work in progress 2" in words(answer)


def test_the_number_of_queries_does_not_grow_with_holds(dana):
    browser = browser_of(dana)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert browser.get("/wallet").status_code == 200
        return len(captured)

    hold(dana.pk, 1)
    few = queries()
    for _ in range(held.SHOWN_MAX - 1):
        hold(dana.pk, 1)
    assert queries() == few
    hold(dana.pk, 1)
    assert queries() == few + 1  # It counts the holds that it does not show.


# --- Less than nothing ---------------------------------------------------------------------------------


def test_more_is_held_than_the_user_has(dana, give):
    hold(dana.pk, 40)
    take_back(Entry.objects.of_user(dana.pk).get(), 10)
    shown = shown_to(dana)
    assert (
        "Available now −8 credits Balance 32 Held for work in progress 40 8 credits more are held than you "
        "have, because a payment was refunded or disputed: new charges must wait until a hold ends or you "
        "top up."
    ) in shown
    assert "You owe" not in shown
    assert available_of(dana.pk) == -8


def test_a_debt_and_holds_are_both_explained(dana):
    captured = hold(dana.pk, 40)
    capture(captured)
    hold(dana.pk, 2)
    take_back(Entry.objects.of_user(dana.pk).get(kind="topup"), 42)
    shown = shown_to(dana)
    assert "Available now −42 credits Balance −40 Held for work in progress 2" in shown
    assert "You owe 40 credits. The first $40 of your next top-up will settle this." in shown
    assert "Until then, Misar products can't charge you for new work." in shown
    assert "It also waits until the 2 credits held for work in progress are covered or released." in shown
    assert "are held than you have" not in shown


@pytest.mark.parametrize(("taken", "amount"), [(10, "10"), (21, "25"), (41, "50")])
def test_the_chosen_amount_brings_what_is_missing(dana, taken, amount):
    hold(dana.pk, 42)
    take_back(Entry.objects.of_user(dana.pk).get(), taken)
    html = browser_of(dana).get("/wallet").content.decode()
    assert f'value="{amount}"' in html.partition("checked")[0].rpartition("<input")[2]


# --- Frozen -------------------------------------------------------------------------------------------


def test_a_frozen_wallet_says_so(dana):
    ledger.set_frozen(dana.pk, frozen=True)
    shown = shown_to(dana)
    assert (
        "Your wallet is frozen. Misar products can't start new charges until Misar lifts this. "
        "Please contact support. You can still top up."
    ) in shown
    assert "Your balance 42 credits" in shown
    ledger.set_frozen(dana.pk, frozen=False)
    assert "frozen" not in shown_to(dana)


def test_a_user_whose_wallet_was_frozen_before_the_first_credits_reads_it_too():
    user = UserFactory.create()
    ledger.set_frozen(user.pk, frozen=True)
    shown = shown_to(user)
    assert "Your wallet is frozen." in shown
    assert "No credits yet" in shown


# --- History, file and statement ------------------------------------------------------------------------


@pytest.fixture
def worked(dana):
    """Three of five units were charged after a hold, and one of them was given back."""
    done = capture(hold(dana.pk, 5), 3)
    by_hand.give_back(entry=charge_of(done), credits=1, reason="", key="undo", actor="user:staff:1")
    return dana


def test_a_capture_is_named_and_belongs_to_the_charges(worked):
    browser = browser_of(worked)
    rows = table(browser.get("/wallet"), "history_title")
    assert [(row[0], row[3], row[4]) for row in rows] == [
        ("Given back: Generate an article", "+1", "40"),
        ("Charge of a hold: Generate an article × 3", "−3", "39"),
        ("Top-up", "+42", "42"),
    ]
    charges = table(browser.get("/wallet?kind=charges"), "history_title")
    assert [row[0] for row in charges] == ["Charge of a hold: Generate an article × 3"]


def test_spending_counts_a_capture_less_what_was_given_back(worked):
    [row] = table(browser_of(worked).get("/wallet"), "spending")
    assert row == ["Generate an article", "MisarBlog", "3", "2", "100%"]


def test_the_file_and_the_statement_agree_with_the_history(worked):
    browser = browser_of(worked)
    answer: Any = browser.get("/wallet/history.csv?kind=charges")
    text = b"".join(answer.streaming_content).decode().removeprefix("\N{BYTE ORDER MARK}")
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["type"], row["credits"], row["balance_after"], row["count"]) == ("capture", "-3", "39", "3")
    statement = browser.get(f"/wallet/statements/{chart.today():%Y-%m}")
    assert ["Charge of a hold", "1", "−3"] in table(statement, "by_kind")
    assert "Charge of a hold: Generate an article × 3" in [row[0] for row in table(statement, "lines")]


# --- News and mails -------------------------------------------------------------------------------------


@pytest.fixture
def paid(settings, stand_in, deliver):
    """The user pays 25 dollars, and the mails about it are written."""
    settings.MAIL_ENABLED = True

    def pay(user):
        session_id = stand_in.paid_session(user_id=user.pk)
        for event in stand_in.events(session_id):
            assert deliver(event).status_code == 200
        return session_id

    return pay


def newest_mail():
    return OutgoingMail.objects.latest("created_at")


def lines_of(mail):
    return dict(re.findall(r"(?m)^([A-Z][a-z ]+): (.+)$", mail.text))


def test_the_news_of_a_top_up_says_what_can_be_spent(dana, paid):
    hold(dana.pk, 5)
    session_id = paid(dana)
    shown = shown_to(dana, f"?wallet_topup=success&session={session_id}")
    assert "25 credits were added. Your balance is 67, and 5 are held: you can spend 62 now." in shown


def test_the_receipt_says_what_can_be_spent(dana, paid):
    hold(dana.pk, 5)
    paid(dana)
    told = lines_of(newest_mail())
    assert told["Balance after"] == "67 credits"
    assert told["Held for work in progress"] == "5 credits"
    assert told["Available"] == "62 credits"
    assert "62 credits" in newest_mail().html


def test_a_receipt_without_holds_says_nothing_of_them(dana, paid):
    past_hold(dana.pk, credits=5)
    paid(dana)
    assert lines_of(newest_mail()).keys().isdisjoint({"Held for work in progress", "Available"})


def test_paying_a_debt_is_not_enough_while_more_is_held(dana, paid):
    capture(hold(dana.pk, 30))
    hold(dana.pk, 12)
    take_back(Entry.objects.of_user(dana.pk).get(kind="topup"), 32)
    session_id = paid(dana)
    shown = shown_to(dana, f"?wallet_topup=success&session={session_id}")
    assert "Your balance is 5, and 12 are held." in shown
    assert "Your debt is settled." in shown
    assert "can charge you again" not in shown
    assert "20 of 25 credits paid what you owed; 0 credits can be spent now." in newest_mail().text


def test_a_frozen_wallet_is_not_told_that_it_can_be_charged(dana, paid):
    capture(hold(dana.pk, 42))
    take_back(Entry.objects.of_user(dana.pk).get(kind="topup"), 10)
    ledger.set_frozen(dana.pk, frozen=True)
    session_id = paid(dana)
    assert "Your debt is settled." in shown_to(dana, f"?wallet_topup=success&session={session_id}")
    assert "can charge you again" not in shown_to(dana, f"?wallet_topup=success&session={session_id}")


def test_the_mail_about_a_refund_says_that_more_is_held_than_there_is(dana, settings):
    settings.MAIL_ENABLED = True
    hold(dana.pk, 40)
    take_back(Entry.objects.of_user(dana.pk).get(), 10)
    for part in (newest_mail().text, newest_mail().html):
        assert "More credits are held than you have: new charges must wait until a hold ends" in part
        assert "You owe" not in part
    assert lines_of(newest_mail())["Available"] == "−8 credits"


def test_the_mail_about_a_debt_says_that_new_work_waits(dana, settings):
    settings.MAIL_ENABLED = True
    capture(hold(dana.pk, 40))
    hold(dana.pk, 2)
    take_back(Entry.objects.of_user(dana.pk).get(kind="topup"), 42)
    sentence = "Until this is paid and what is held is covered or released, Misar products can't charge you"
    assert f"{sentence} for new work." in newest_mail().text
