"""The form that buys credits: what it takes and refuses, and one checkout however often it is sent."""

from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from foundation.forms import new_key
from tests.accounts.test_throttling import with_time_left
from tests.factories import UserFactory
from tests.html import browser_of, hidden, words
from tests.patterns import matched
from wallet.models import TopUp
from wallet.pages.forms import SUGGESTED_DOLLARS

pytestmark = pytest.mark.django_db


@pytest.fixture
def fan():
    return UserFactory.create(misar_id="usr_fan")


@pytest.fixture
def browser(fan):
    return browser_of(fan)


def pay(browser, *, query="", **fields):
    """Send the form as a browser would, with the page's own key unless another is given."""
    key = fields.pop("key", None) or hidden(browser.get("/wallet"), "key")
    return browser.post(f"/wallet/top-up{query}", {"key": key} | fields)


# --- What leads to a checkout -----------------------------------------------------------------------


@pytest.mark.parametrize("dollars", SUGGESTED_DOLLARS)
def test_a_suggested_amount_leads_to_a_checkout_of_it(stand_in, browser, fan, dollars):
    answer = pay(browser, amount=str(dollars))
    topup = TopUp.objects.get()
    assert answer.status_code == 303
    assert answer["Location"].endswith(topup.stripe_session_id)
    assert (topup.user_id, topup.product, topup.amount_cents) == (fan.pk, "wallet", dollars * 100)
    assert stand_in.session(topup.stripe_session_id)["amount_total"] == dollars * 100


@pytest.mark.parametrize(
    ("typed", "cents"),
    [
        ("10", 1_000),
        ("40", 4_000),
        ("$40", 4_000),
        (" 40 ", 4_000),
        ("40.00", 4_000),
        ("40.", 4_000),
        ("1,000", 100_000),
        ("0040", 4_000),
        ("100000", 10_000_000),
        ("$100,000.00", 10_000_000),
    ],
)
def test_an_amount_of_ones_own_counts_where_other_is_chosen(stand_in, browser, typed, cents):
    assert pay(browser, amount="other", own_amount=typed).status_code == 303
    assert TopUp.objects.get().amount_cents == cents


def test_the_other_amount_counts_for_nothing_where_a_chip_is_chosen(stand_in, browser):
    assert pay(browser, amount="10", own_amount="99999").status_code == 303
    assert TopUp.objects.get().amount_cents == 1_000


def test_stripe_sends_the_user_back_to_the_wallet_page_and_names_the_session(stand_in, browser):
    answer = pay(browser, query="?returnTo=https%3A%2F%2Fwww.misar.io%2Fx%3Fa%3Db&range=90d", amount="25")
    session_id = answer["Location"].rpartition("/")[2]
    session = stand_in.session(session_id)
    back = urlsplit(session["success_url"])
    assert back.path == "/wallet"
    assert parse_qs(back.query) == {
        "returnTo": ["https://www.misar.io/x?a=b"],
        "session": ["{CHECKOUT_SESSION_ID}"],
        "wallet_topup": ["success"],
    }
    assert parse_qs(urlsplit(session["cancel_url"]).query)["wallet_topup"] == ["cancelled"]


def test_a_way_back_to_somewhere_else_is_not_taken_along(stand_in, browser):
    answer = pay(browser, query="?returnTo=https%3A%2F%2Fevil.example", amount="25")
    session = stand_in.session(answer["Location"].rpartition("/")[2])
    assert "evil" not in session["success_url"] + session["cancel_url"]


# --- What is refused, in words ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Choose an amount."),
        ({"amount": "26"}, "Choose one of these amounts."),
        ({"amount": "other"}, "Enter a whole number of dollars, such as 40."),
        ({"amount": "other", "own_amount": "ten"}, "Enter a whole number of dollars, such as 40."),
        ({"amount": "other", "own_amount": "25.50"}, "Enter a whole number of dollars, such as 40."),
        ({"amount": "other", "own_amount": "-25"}, "Enter a whole number of dollars, such as 40."),
        ({"amount": "other", "own_amount": "1e3"}, "Enter a whole number of dollars, such as 40."),
        ({"amount": "other", "own_amount": "1,00"}, "Enter a whole number of dollars, such as 40."),
        ({"amount": "other", "own_amount": "٤٠"}, "Enter a whole number of dollars, such as 40."),
        ({"amount": "other", "own_amount": "9"}, "The minimum is $10."),
        ({"amount": "other", "own_amount": "0"}, "The minimum is $10."),
        ({"amount": "other", "own_amount": "100001"}, "The maximum is $100,000 at once."),
        ({"amount": "other", "own_amount": "9" * 6000}, "The maximum is $100,000 at once."),
        ({"amount": "25", "key": "short"}, "This page was incomplete, so nothing was recorded."),
        ({"amount": "25", "key": "K" * 32}, "This page was incomplete, so nothing was recorded."),
    ],
)
def test_what_cannot_be_paid_is_named_beside_the_field_and_opens_nothing(stand_in, browser, fields, sentence):
    answer = pay(browser, **fields)
    assert answer.status_code == 400
    assert sentence in words(answer)
    assert not TopUp.objects.exists()


def test_an_error_is_also_at_the_top_and_leads_to_its_field(browser):
    html = pay(browser, amount="other", own_amount="9").content.decode()
    assert '<a href="#id_own_amount">Other amount</a>: The minimum is $10.' in html
    field = matched(r'<input type="text" name="own_amount"[^>]*>', html)[0]
    assert 'aria-invalid="true"' in field
    assert 'aria-describedby="id_own_amount_helptext id_own_amount_error"' in field
    assert html.count('id="id_own_amount_helptext"') == html.count('id="id_own_amount_error"') == 1
    assert '<a href="#id_amount">' in pay(browser).content.decode()


def test_what_was_typed_is_kept(browser):
    html = pay(browser, query="?returnTo=/docs", amount="other", own_amount='7"<b>').content.decode()
    assert 'value="7&quot;&lt;b&gt;"' in html
    assert 'value="other"' in html.partition("checked")[0].rpartition("<input")[2]
    assert unescape(html).count("Back to Misar") == 1


def test_an_incomplete_page_gets_a_key_that_works(stand_in, browser):
    answer = pay(browser, amount="25", key="wrong")
    assert pay(browser, amount="25", key=hidden(answer, "key")).status_code == 303


def test_a_refused_page_opened_again_is_the_wallet_page(browser):
    answer = browser.get("/wallet/top-up?returnTo=/docs")
    assert (answer.status_code, answer["Location"]) == (302, "/wallet?returnTo=%2Fdocs")


def test_an_unreachable_stripe_is_named_and_the_choice_is_kept(stand_in, browser):
    stand_in.misbehaves(api_failure=500)
    answer = pay(browser, amount="50")
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert "Checkout is not available right now; please try again." in words(answer)
    assert 'value="50"' in answer.content.decode().partition("checked")[0].rpartition("<input")[2]
    stand_in.misbehaves(api_failure=None)
    assert pay(browser, amount="50", key=hidden(answer, "key")).status_code == 303


def test_a_form_without_the_csrf_token_is_refused(fan):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(fan)
    assert strict.post("/wallet/top-up", {"amount": "25", "key": new_key()}).status_code == 403
    assert not TopUp.objects.exists()


def test_signed_in_users_alone_can_pay(client):
    answer = client.post("/wallet/top-up", {"amount": "25", "key": new_key()})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in")
    assert not TopUp.objects.exists()


# --- Twice is once ----------------------------------------------------------------------------------


def test_every_page_has_a_key_of_its_own(browser):
    keys = {hidden(browser.get("/wallet"), "key") for _ in range(5)}
    assert len(keys) == 5


def test_the_same_form_sent_twice_comes_to_one_checkout(stand_in, browser):
    key = hidden(browser.get("/wallet"), "key")
    first, again = (pay(browser, amount="25", key=key) for _ in range(2))
    assert first["Location"] == again["Location"]
    assert TopUp.objects.count() == 1


def test_the_same_form_with_another_amount_is_another_checkout(stand_in, browser):
    key = hidden(browser.get("/wallet"), "key")
    first, other = (pay(browser, amount=amount, key=key) for amount in ("25", "50"))
    assert first["Location"] != other["Location"]
    assert TopUp.objects.count() == 2


def test_a_form_whose_payment_was_made_is_refused_and_can_be_sent_anew(stand_in, browser, deliver):
    key = hidden(browser.get("/wallet"), "key")
    session_id = pay(browser, amount="25", key=key)["Location"].rpartition("/")[2]
    stand_in.happens("pay", session_id)
    for event in stand_in.events(session_id):
        assert deliver(event).status_code == 200
    answer = pay(browser, amount="25", key=key)
    assert answer.status_code == 409
    assert "This top-up was paid already. Nothing was charged again." in words(answer)
    assert TopUp.objects.count() == 1
    assert pay(browser, amount="25", key=hidden(answer, "key")).status_code == 303


def test_a_form_whose_checkout_has_ended_is_refused_and_can_be_sent_anew(stand_in, browser, deliver):
    key = hidden(browser.get("/wallet"), "key")
    session_id = pay(browser, amount="25", key=key)["Location"].rpartition("/")[2]
    stand_in.happens("expire", session_id)
    for event in stand_in.events(session_id):
        assert deliver(event).status_code == 200
    answer = pay(browser, amount="25", key=key)
    assert answer.status_code == 409
    assert "This checkout has ended. Nothing was charged; start again." in words(answer)
    assert pay(browser, amount="25", key=hidden(answer, "key")).status_code == 303


def test_one_user_cannot_begin_payments_without_end(stand_in, browser, settings):
    settings.TOP_UPS_PER_MINUTE = 2
    with_time_left(10)
    answers = [pay(browser, amount="25") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 429]
    assert 1 <= int(answers[2]["Retry-After"]) <= 60
    assert "please wait a minute" in words(answers[2])
    assert TopUp.objects.count() == 2


def test_a_way_back_that_would_not_fit_the_address_is_not_kept(stand_in, browser):
    long = "/" + "%20" * 500
    assert "Back to" not in words(browser.get("/wallet", {"returnTo": long}))
    answer = pay(browser, amount="25", query=f"?returnTo={long}")
    assert answer.status_code == 303
    success = stand_in.session(TopUp.objects.get().stripe_session_id)["success_url"]
    assert "session=" in success
