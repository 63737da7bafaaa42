"""POST /io/wallet/topup-session"""

import re
import time

import pytest
import requests
from django.conf import settings

from wallet.books.funds import available_of
from wallet.models import Entry, TopUp
from wallet.payments import stripe_gateway

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/topup-session"
GOOD = {"user_id": "usr_1", "amountDollars": 25, "product": "blog", "returnUrl": "/settings?tab=billing"}


def session_of(topup: TopUp) -> dict:
    assert topup.stripe_session_id
    session = stripe_gateway.retrieve_session(topup.stripe_session_id)
    assert session is not None
    return session


# --- A checkout -------------------------------------------------------------------------------------


def test_a_product_opens_a_checkout(as_service, sandbox):
    response = as_service.post(PATH, GOOD)
    assert response.status_code == 200
    assert set(response.json()) == {"url"}
    assert response.json()["url"].startswith(f"{sandbox.address}/c/pay/cs_test_")
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"


def test_the_address_opens_a_page(as_service, sandbox):
    page = requests.get(as_service.post(PATH, GOOD).json()["url"], timeout=120)
    assert page.status_code == 200
    assert "$25.00" in page.text


def test_nothing_is_credited_before_the_money_is_there(as_service, sandbox):
    as_service.post(PATH, GOOD)
    assert available_of("usr_1") == 0
    assert not Entry.objects.exists()


def test_our_record_waits_for_the_payment(as_service, sandbox):
    url = as_service.post(PATH, GOOD).json()["url"]
    topup = TopUp.objects.get()
    assert (topup.user_id, topup.product, topup.amount_cents) == ("usr_1", "blog", 2500)
    assert (topup.state, topup.livemode, topup.entry) == (TopUp.State.CREATED, False, None)
    assert topup.stripe_session_id in url


def test_stripe_is_told_who_buys_what_for_how_much(as_service, sandbox):
    as_service.post(PATH, GOOD)
    topup = TopUp.objects.get()
    session = session_of(topup)
    assert (session["mode"], session["amount_total"], session["currency"]) == ("payment", 2500, "usd")
    assert session["client_reference_id"] == "usr_1"
    assert session["metadata"] == {
        "type": "wallet_topup",
        "user_id": "usr_1",
        "product": "blog",
        "topup_id": topup.pk,
    }
    assert session["adaptive_pricing"] == {"enabled": False}
    assert session["automatic_tax"]["enabled"] is False
    assert 1800 < session["expires_at"] - time.time() <= 3600


def test_the_payment_tells_the_same_once_it_is_made(as_service, sandbox, stand_in):
    """Its webhook is dropped (`stand_in`): later it could reach the live server of another test."""
    as_service.post(PATH, GOOD)
    topup = TopUp.objects.get()
    session = sandbox.control(f"sessions/{topup.stripe_session_id}/pay")
    intent = requests.get(
        f"{sandbox.address}/v1/payment_intents/{session['payment_intent']}",
        headers={"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"},
        timeout=300,
    ).json()
    assert intent["metadata"] == session["metadata"]


def test_two_wishes_are_two_checkouts(as_service, sandbox):
    first = as_service.post(PATH, GOOD).json()["url"]
    second = as_service.post(PATH, GOOD).json()["url"]
    assert first != second
    assert TopUp.objects.count() == 2


@pytest.mark.parametrize(("dollars", "cents"), [(10, 1000), (100_000, 10_000_000)])
def test_the_smallest_and_the_largest_amount_are_open_to_everybody(as_service, sandbox, dollars, cents):
    assert as_service.post(PATH, GOOD | {"amountDollars": dollars}).status_code == 200
    assert session_of(TopUp.objects.get())["amount_total"] == cents


def test_the_product_is_recorded_as_given_not_the_keys(as_service, sandbox):
    as_service.post(PATH, GOOD | {"product": "reach, the new one"})
    topup = TopUp.objects.get()
    assert topup.product == "reach, the new one"
    assert session_of(topup)["metadata"]["product"] == "reach, the new one"


def test_a_long_odd_user_id_reaches_stripe_whole(as_service, sandbox):
    user_id = "ü☃ " + "x" * 252
    assert as_service.post(PATH, GOOD | {"user_id": user_id}).status_code == 200
    assert session_of(TopUp.objects.get())["metadata"]["user_id"] == user_id


# --- Where the user comes back to --------------------------------------------------------------------


def returned(as_service, return_url: str) -> tuple[str, str]:
    """Where Stripe sends a user who paid, and one who left."""
    response = as_service.post(PATH, GOOD | {"returnUrl": return_url})
    assert response.status_code == 200
    session = session_of(TopUp.objects.latest("created_at"))
    return session["success_url"], session["cancel_url"]


def test_a_path_leads_back_to_our_own_site(as_service, sandbox):
    assert returned(as_service, "/settings?tab=billing#credits") == (
        "http://testserver/settings?tab=billing&wallet_topup=success#credits",
        "http://testserver/settings?tab=billing&wallet_topup=cancelled#credits",
    )


def test_an_address_of_misar_is_honoured(as_service, sandbox):
    assert returned(as_service, "https://www.misar.blog/write") == (
        "https://www.misar.blog/write?wallet_topup=success",
        "https://www.misar.blog/write?wallet_topup=cancelled",
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "https://evil.com/phish",
        "https://misar.io@evil.com/",
        "https://misar.io.evil.com/",
        "https://evilmisar.io/",
        "//evil.com",
        "/\\evil.com",
        "http://misar.io/",
        "javascript:alert(1)",
        "https://misar.io:8443/",
        "https://evil.com%2f.misar.io/",
        "/" + "x" * 2048,
        "/ü",
    ],
)
def test_a_hostile_address_is_ignored_and_the_checkout_opened_all_the_same(as_service, sandbox, hostile):
    assert returned(as_service, hostile) == (
        "http://testserver/wallet?wallet_topup=success",
        "http://testserver/wallet?wallet_topup=cancelled",
    )


# --- What is refused, before Stripe is asked ---------------------------------------------------------


def refused(response, sentence: str) -> None:
    assert response.status_code == 400
    assert response.json() == {"error": sentence}
    assert not TopUp.objects.exists()


INTEGER, MINIMUM = "amount_dollars must be an integer", "Minimum top-up is $10"
MAXIMUM = "Maximum top-up per transaction is $100,000"


@pytest.mark.parametrize(
    ("amount", "sentence"),
    [
        (9, MINIMUM),
        (0, MINIMUM),
        (-1, MINIMUM),
        (-(10**30), MINIMUM),
        (100_001, MAXIMUM),
        (10**30, MAXIMUM),
        (2**63, MAXIMUM),
        (25.0, INTEGER),
        (25.5, INTEGER),
        (9.5, INTEGER),
        (1e6, INTEGER),
        ("25", INTEGER),
        ("", INTEGER),
        (True, INTEGER),
        (False, INTEGER),
        ([25], INTEGER),
        ({"dollars": 25}, INTEGER),
    ],
)
def test_an_amount_is_whole_dollars_from_10_to_100_000(as_service, amount, sentence):
    refused(as_service.post(PATH, GOOD | {"amountDollars": amount}), sentence)


@pytest.mark.parametrize("missing", [{}, {"amountDollars": None}, {"amount_dollars": 25}])
def test_an_amount_is_required_under_its_documented_name(as_service, missing):
    body = {name: value for name, value in GOOD.items() if name != "amountDollars"}
    refused(as_service.post(PATH, body | missing), "amount_dollars is required")


NAMES = {"user_id": "user_id", "product": "product", "returnUrl": "return_url"}
NOT_PRINTABLE_TEXT = (
    (None, "is required"),
    ("", "must not be empty"),
    (7, "must be text"),
    (True, "must be text"),
    (["/"], "must be text"),
    ("a\x00b", "must hold printable characters only"),
    ("/a\r\nb", "must hold printable characters only"),
    ("\udc80", "must hold printable characters only"),
)


@pytest.mark.parametrize("field", NAMES)
def test_every_field_is_printable_text(as_service, subtests, field):
    for value, sentence in NOT_PRINTABLE_TEXT:
        with subtests.test(value=value):
            refused(as_service.post(PATH, GOOD | {field: value}), f"{NAMES[field]} {sentence}")


@pytest.mark.parametrize("field", NAMES)
def test_every_field_is_required(as_service, field):
    body = {name: value for name, value in GOOD.items() if name != field}
    refused(as_service.post(PATH, body), f"{NAMES[field]} is required")


@pytest.mark.parametrize(("field", "longest"), [("user_id", 255), ("product", 100)])
def test_a_field_has_a_length(as_service, field, longest):
    body = GOOD | {field: "x" * (longest + 1)}
    refused(as_service.post(PATH, body), f"{field} must be at most {longest} characters")


# --- Who may open one -------------------------------------------------------------------------------


def test_a_user_cannot_open_a_checkout_by_themselves(as_user):
    response = as_user("usr_1").post(PATH, GOOD)
    assert response.status_code == 403
    assert response.json() == {"error": "This endpoint needs a valid x-wallet-service-key"}
    assert not TopUp.objects.exists()


def test_an_anonymous_caller_cannot_open_a_checkout(as_anonymous):
    response = as_anonymous.post(PATH, GOOD)
    assert response.status_code == 403
    assert response.json() == {"error": "This endpoint needs a valid x-wallet-service-key"}


# --- Stripe in trouble ------------------------------------------------------------------------------


@pytest.fixture
def stripe_fails(sandbox):
    def fail(status: int | None) -> None:
        sandbox.control("settings", api_failure=status)

    yield fail
    fail(None)


@pytest.mark.parametrize("status", [400, 402, 429, 500, 503])
def test_when_stripe_fails_it_is_503_and_no_row_looks_payable(as_service, stripe_fails, status):
    stripe_fails(status)
    response = as_service.post(PATH, GOOD)
    assert response.status_code == 503
    assert response.json() == {"error": "Checkout is not available right now; please try again."}
    assert re.fullmatch("[1-9][0-9]*", response["Retry-After"])
    topup = TopUp.objects.get()
    assert topup.state == TopUp.State.FAILED
    assert topup.stripe_session_id is None
    assert available_of("usr_1") == 0


def test_once_stripe_is_back_a_checkout_opens_again(as_service, stripe_fails):
    stripe_fails(500)
    assert as_service.post(PATH, GOOD).status_code == 503
    stripe_fails(None)
    assert as_service.post(PATH, GOOD).status_code == 200
