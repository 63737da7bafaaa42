"""What the wallet page, the history and the statement say of refunds, disputes and a debt."""

import csv
import time

import pytest
from django.utils import timezone
from django.utils.dateformat import format as in_words

from tests.factories import UserFactory
from tests.html import browser_of, hidden, link, table, words
from tests.wallet.lives import Life
from wallet.books.funds import available_of
from wallet.pages import chart, tables

pytestmark = pytest.mark.django_db

FAN = "usr_fan"
WHERE_TO = "the card or account you paid with"
TAKEN = "Its credits are already taken back."


@pytest.fixture
def browser():
    return browser_of(UserFactory.create(misar_id=FAN))


@pytest.fixture
def pays(stand_in, deliver):
    """The user pays for credits."""

    def pay(dollars=25):
        return Life(stand_in, deliver, user_id=FAN, dollars=dollars)

    return pay


@pytest.fixture
def spends(article_rate, as_service):
    def spend(credits):
        assert as_service.deduct(FAN, count=credits).json()["allowed"] is True

    return spend


def today():
    return in_words(timezone.now(), "j F Y")


def payment(dollars=25):
    return f"our payment of ${dollars}.00 from {today()}"


# --- A debt -------------------------------------------------------------------------------------------


def test_a_debt_says_what_happened_what_it_means_and_how_to_pay_it(browser, pays, spends, as_service):
    life = pays()
    spends(20)
    life.is_disputed()
    shown = words(browser.get("/wallet"))
    assert (
        "−20 credits You owe 20 credits. The first $20 of your next top-up will settle this. "
        "Until then, Misar products can't charge you. "
        f"Your bank disputed y{payment()} and took the money back. "
        f"25 credits were taken back on {today()} . You had already spent some of these credits."
    ) in shown
    assert as_service.deduct(FAN).json()["allowed"] is False


def test_the_link_leads_to_the_refunds_and_disputes_of_the_history(browser, pays, spends):
    life = pays()
    spends(20)
    life.refunds(25)
    address = link(browser.get("/wallet?kind=charges"), "See what was taken back")
    assert address == "/wallet?kind=payments#history"
    rows = table(browser.get(address.partition("#")[0]), "history_title")
    assert [row[0] for row in rows] == ["Payment refunded"]


def test_each_payment_behind_a_debt_is_named_newest_first(browser, pays, spends):
    first, second = pays(25), pays(50)
    spends(75)
    first.refunds(10)
    second.is_disputed(20)
    shown = words(browser.get("/wallet"))
    disputed = f"Your bank disputed $20.00 of y{payment(50)} and took the money back. 20 credits were taken"
    refunded = f"$10.00 of y{payment()} was refunded to {WHERE_TO}. 10 credits were taken"
    assert shown.index(disputed) < shown.index(refunded)
    assert "more payment" not in shown


def test_only_a_few_payments_are_named(browser, pays, spends):
    lives = [pays(10) for _ in range(5)]
    spends(50)
    for life in lives:
        life.refunds(10)
    shown = words(browser.get("/wallet"))
    assert shown.count("was refunded") == 3
    assert "Credits of 2 more payments were taken back." in shown


def test_a_payment_whose_credits_came_back_is_not_named(browser, pays, spends):
    kept, lost = pays(10), pays(25)
    spends(35)
    refund = kept.refunds(10)
    lost.is_disputed()
    kept.happens(f"refunds/{refund}/fail")
    shown = words(browser.get("/wallet"))
    assert "You owe 25 credits." in shown
    assert f"y{payment(10)}" not in shown


def test_several_refunds_of_one_payment_are_added_up_without_those_that_failed(browser, pays, spends):
    life = pays()
    spends(25)
    life.refunds(10)
    life.refunds(5)
    life.happens(f"refunds/{life.refunds(3)}/fail")
    shown = words(browser.get("/wallet"))
    refunded = f"$15.00 of y{payment()} was refunded to {WHERE_TO}."
    assert f"{refunded} In total, 15 credits were taken back, last on" in shown


def test_what_was_taken_of_a_payment_before_the_debt_began_is_counted(browser, pays, spends):
    life = pays()
    life.refunds(10)
    spends(15)
    life.refunds(15)
    shown = words(browser.get("/wallet"))
    assert "You owe 15 credits." in shown
    assert f"Y{payment()} was refunded to {WHERE_TO}. In total, 25 credits were taken back, last on" in shown


def test_a_refund_and_a_dispute_of_one_payment_are_both_named(browser, pays, spends):
    life = pays()
    spends(25)
    life.refunds(10)
    life.is_disputed(15)
    assert (
        f"$10.00 of y{payment()} was refunded to {WHERE_TO}. "
        f"Your bank disputed $15.00 of y{payment()} and took the money back. "
        "In total, 25 credits were taken back, last on"
    ) in words(browser.get("/wallet"))


def test_of_a_dispute_won_in_part_the_rest_is_named(browser, pays, spends):
    life = pays()
    spends(25)
    life.happens(f"disputes/{life.is_disputed()}/win_part", amount=900)
    assert (
        f"Your bank disputed y{payment()} and took $16.00 of it back. 16 credits were taken back"
    ) in words(browser.get("/wallet"))


def test_a_debt_above_the_largest_top_up_needs_several(browser, pays, spends):
    lives = [pays(100_000), pays(100_000)]
    spends(200_000)
    for life in lives:
        life.is_disputed()
    answer = browser.get("/wallet")
    assert "You owe 200,000 credits. Your next top-ups will settle this first." in words(answer)
    assert 'value="100000"' in answer.content.decode()


def test_an_older_debt_that_was_paid_is_not_told_again(browser, pays, spends):
    old = pays(10)
    spends(10)
    old.refunds(10)
    new = pays(25)
    assert available_of(FAN) == 15
    spends(15)
    new.is_disputed()
    shown = words(browser.get("/wallet"))
    assert f"Your bank disputed y{payment()}" in shown
    assert f"y{payment(10)} was refunded" not in shown


def test_without_a_debt_the_page_says_nothing_of_one(browser, pays, spends):
    life = pays()
    life.refunds(10)
    shown = words(browser.get("/wallet"))
    assert "You owe" not in shown
    assert "One balance for every Misar product." in shown


# --- A refund on its way ------------------------------------------------------------------------------


def test_a_refund_on_its_way_has_taken_its_credits(browser, pays):
    life = pays()
    refund = life.refunds(10, status="pending")
    told = f"A refund of $10.00 of y{payment()} is on its way to {WHERE_TO}. {TAKEN}"
    answer = browser.get("/wallet")
    assert "Your balance 15 credits" in words(answer)
    assert told in words(answer)
    assert [row[0] for row in table(answer, "history_title")] == ["Refund on its way", "Top-up"]
    life.happens(f"refunds/{refund}/succeed")
    answer = browser.get("/wallet")
    assert told not in words(answer)
    assert [row[0] for row in table(answer, "history_title")] == ["Payment refunded", "Top-up"]


def test_a_refund_that_waits_for_the_user_says_so(browser, pays):
    pays().refunds(10, status="requires_action")
    assert (
        f"A refund of $10.00 of y{payment()} is waiting for you: "
        f"Stripe has asked you by mail where to send it. {TAKEN}"
    ) in words(browser.get("/wallet"))


def test_a_refund_on_its_way_that_left_a_debt_is_told_once(browser, pays, spends):
    life = pays()
    spends(25)
    life.refunds(10, status="pending")
    shown = words(browser.get("/wallet"))
    assert f"{WHERE_TO}. 10 credits were taken back on" in shown
    assert TAKEN not in shown
    assert shown.count("is on its way") == 1


def test_a_refund_of_a_payment_that_two_sessions_name_is_told_once(browser, deliver, checkout_event):
    for session_id in ("cs_test_1", "cs_test_2"):
        deliver(checkout_event(session_id=session_id, user_id=FAN, payment_intent="pi_1"))
    refund = {"id": "re_1", "object": "refund", "amount": 1000, "currency": "usd", "status": "pending"}
    now = int(time.time())
    event = {"id": "evt_1", "object": "event", "type": "refund.created", "created": now}
    assert deliver(event | {"data": {"object": refund | {"payment_intent": "pi_1"}}}).status_code == 200
    answer = browser.get("/wallet")
    assert words(answer).count("A refund of $10.00") == 1
    assert table(answer, "history_title")[0][0] == "Refund on its way"


def test_a_strangers_refund_is_not_told(pays):
    pays().refunds(10, status="pending")
    assert "refund" not in words(browser_of().get("/wallet")).lower()


# --- Paying it off ------------------------------------------------------------------------------------


@pytest.fixture
def tops_up(browser, stand_in, deliver):
    """The user tops up on the page, pays, and comes back; the page that is shown then."""

    def top_up(amount):
        key = hidden(browser.get("/wallet"), "key")
        answer = browser.post("/wallet/top-up", {"amount": amount, "key": key})
        session_id = answer["Location"].rpartition("/")[2]
        stand_in.happens("pay", session_id)
        for event in stand_in.events(session_id):
            deliver(event)
        return browser.get(f"/wallet?wallet_topup=success&session={session_id}")

    return top_up


def test_after_paying_the_page_says_that_the_debt_is_settled(browser, pays, spends, tops_up):
    life = pays()
    spends(15)
    life.is_disputed()
    shown = words(tops_up("25"))
    assert (
        "25 credits were added. Your balance is 10. "
        "15 of them paid what you owed. Your debt is settled, and Misar products can charge you again."
    ) in shown
    assert "You owe" not in shown


def test_a_top_up_of_less_than_the_debt_leaves_the_rest(browser, pays, spends, tops_up):
    life = pays()
    spends(15)
    life.is_disputed()
    shown = words(tops_up("10"))
    assert "10 credits were added. Your balance is −5. All of them paid what you owed." in shown
    assert "settled" not in shown
    assert "You owe 5 credits. The first $5 of your next top-up will settle this." in shown


def test_a_top_up_of_exactly_the_debt_leaves_nothing_to_charge(browser, pays, spends, tops_up):
    life = pays()
    spends(25)
    life.is_disputed()
    shown = words(tops_up("25"))
    assert "Your balance is 0. All of them paid what you owed. Your debt is settled." in shown
    assert "charge you again" not in shown


def test_a_top_up_without_a_debt_says_nothing_of_one(browser, pays, tops_up):
    pays()
    shown = words(tops_up("25"))
    assert "25 credits were added. Your balance is 50." in shown
    assert "paid what you owed" not in shown


# --- The history, the statement and the file ----------------------------------------------------------


def test_history_and_statement_say_what_happened_in_the_same_words(browser, pays):
    life = pays()
    life.happens(f"refunds/{life.refunds(5)}/fail")
    life.happens(f"refunds/{life.refunds(5, status='pending')}/cancel")
    life.happens(f"disputes/{life.is_disputed()}/win")
    told = [
        "Dispute resolved, credits returned",
        "Payment disputed",
        "Refund cancelled, credits returned",
        "Payment refunded",
        "Refund failed, credits returned",
        "Payment refunded",
        "Top-up",
    ]
    assert [row[0] for row in table(browser.get("/wallet"), "history_title")] == told
    statement = browser.get(f"/wallet/statements/{chart.today():%Y-%m}")
    assert [row[0] for row in table(statement, "lines")] == told[::-1]
    assert table(statement, "by_kind") == [
        ["Top-up", "1", "+25"],
        ["Payment refunded or disputed", "3", "−35"],
        ["Credits of a payment returned", "3", "+35"],
    ]


def test_the_file_keeps_the_documented_types_and_the_balance(browser, pays):
    life = pays()
    life.happens(f"disputes/{life.is_disputed()}/win")
    answer = browser.get("/wallet/history.csv?kind=payments")
    rows = list(csv.DictReader(b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()))
    assert [(row["type"], row["credits"], row["balance_after"]) for row in rows] == [
        ("reinstatement", "25", "25"),
        ("clawback", "-25", "0"),
    ]
    assert {row["stripe_session_id"] for row in rows} == {life.session_id}


def test_the_number_of_queries_does_not_grow_with_refunds(
    browser, pays, spends, django_assert_max_num_queries
):
    lives = [pays(10) for _ in range(6)]
    spends(60)
    for life in lives:
        life.refunds(4)
        life.refunds(6, status="pending")
    with django_assert_max_num_queries(35):
        browser.get("/wallet?range=12m")


def test_a_page_of_other_entries_asks_nothing_about_payments(give, article_rate, django_assert_num_queries):
    entry = give(FAN, 25)
    with django_assert_num_queries(0):
        assert tables.described([entry], {}) == [(entry, "Top-up", "MisarBlog")]
