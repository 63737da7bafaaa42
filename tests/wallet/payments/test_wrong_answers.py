"""What Stripe answers when a checkout is opened has a wrong shape: as if Stripe were out of reach."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests import scripted_server
from tests.deployment import eventually
from tests.factories import UserFactory
from tests.scripted_server import CHUNKED, DRIPS, DRIPS_SECONDS, MEGABYTE, content, dripping, json_of, slow
from tests.wallet.conftest import forget_the_client, request_topup
from tests.wallet.stripe_answers import (
    NEW,
    NO_SESSION,
    PAGE,
    PAID,
    SESSIONS,
    WRONG_ERRORS,
    WRONG_IDS,
    WRONG_URLS,
    answers,
)
from wallet.errors import StripeOutOfReach
from wallet.models import Entry, TopUp
from wallet.payments import stripe_gateway, stripe_lists

pytestmark = pytest.mark.django_db

UNAVAILABLE = {"error": "Checkout is not available right now; please try again."}
KEY = "1f" * 16


def is_refused_for_now(answer):
    assert (answer.status_code, answer.json()) == (503, UNAVAILABLE)
    assert answer["Content-Type"] == "application/json"
    assert int(answer["Retry-After"]) >= 1
    assert answer["X-Request-ID"]
    assert set(TopUp.objects.values_list("state", "stripe_session_id")) == {("failed", None)}
    assert not Entry.objects.exists()
    return True


# --- Opening a checkout -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NO_SESSION, *WRONG_ERRORS])
def test_what_is_no_session_is_503(stripe_at, as_service, name):
    answers(stripe_at, (NO_SESSION | WRONG_ERRORS)[name])
    assert is_refused_for_now(request_topup(as_service))


@pytest.mark.parametrize("wrong", WRONG_IDS, ids=ascii)
def test_an_id_that_is_no_id_is_503(stripe_at, as_service, wrong):
    answers(stripe_at, json_of(NEW | {"id": wrong}))
    assert is_refused_for_now(request_topup(as_service))


@pytest.mark.parametrize("wrong", WRONG_URLS, ids=lambda url: ascii(url)[:60])
def test_a_url_that_is_no_payment_page_is_503(stripe_at, as_service, wrong):
    answers(stripe_at, json_of(NEW | {"url": wrong}))
    assert is_refused_for_now(request_topup(as_service))


@pytest.mark.parametrize("missing", ["id", "url"])
def test_an_answer_without_what_we_use_is_503(stripe_at, as_service, missing):
    answers(stripe_at, json_of({name: value for name, value in NEW.items() if name != missing}))
    assert is_refused_for_now(request_topup(as_service))


@pytest.mark.parametrize("wrong", ["charge", "list", "", None, [], {}, 7])
def test_an_object_of_another_type_is_503(stripe_at, as_service, wrong):
    answers(stripe_at, json_of(NEW | {"object": wrong}))
    assert is_refused_for_now(request_topup(as_service))


def test_an_answer_of_30_megabytes_is_not_read_whole(stripe_at, as_service):
    beginning = json.dumps(NEW).encode()
    answers(stripe_at, stripe_at.megabytes(30, beginning))
    assert is_refused_for_now(request_topup(as_service))
    assert stripe_at.taken_bytes < 15 * MEGABYTE  # The rest is in the buffers of the sockets.


def test_a_redirect_with_30_megabytes_is_not_read_whole(stripe_at, as_service):
    def redirect(handler):
        handler.send_response(302)
        handler.send_header("Location", "/elsewhere")
        stripe_at.megabytes(30)(handler)

    answers(stripe_at, redirect)
    assert is_refused_for_now(request_topup(as_service))
    assert stripe_at.taken_bytes < 15 * MEGABYTE


def test_a_redirect_is_not_followed(stripe_at, as_service):
    """It could carry the user's id, and the key of the API, to another place."""
    with scripted_server.running() as elsewhere:
        elsewhere.otherwise = json_of(NEW)
        answers(stripe_at, content(b"{}", 307, Location=f"{elsewhere.address}{SESSIONS}"))
        assert is_refused_for_now(request_topup(as_service))
        assert elsewhere.requests == []


@pytest.fixture
def soon_given_up(stripe_at, monkeypatch):
    """Each call in a block `with soon_given_up():` ends after a second."""

    @contextmanager
    def limited():
        with monkeypatch.context() as patch:
            patch.setattr(stripe_gateway, "CALL_SECONDS_MAX", 1)
            stripe_gateway._client.cache_clear()
            yield
        stripe_gateway._client.cache_clear()

    return limited


@pytest.mark.parametrize("name", DRIPS)
def test_an_answer_that_drips_is_given_up_and_its_place_is_free(
    stripe_at, as_service, settings, soon_given_up, name
):
    settings.STRIPE_CALLS_AT_ONCE = 1
    given_up = threading.Event()
    answers(stripe_at, dripping(name, given_up, json.dumps(NEW).encode()))
    with soon_given_up():
        assert is_refused_for_now(request_topup(as_service))
        assert given_up.wait(DRIPS_SECONDS)
        eventually(lambda: stripe_gateway._places()._value == 1)
    answers(stripe_at, json_of(NEW))
    assert request_topup(as_service).json() == {"url": PAGE}


@pytest.mark.parametrize("name", DRIPS)
def test_a_session_that_drips_is_given_up(stripe_at, soon_given_up, name):
    """No user waits for this call, so only the limit of the answer ends it."""
    given_up = threading.Event()
    answers(stripe_at, dripping(name, given_up, json.dumps(PAID).encode()))
    with soon_given_up(), pytest.raises(StripeOutOfReach):
        stripe_gateway.retrieve_session("cs_test_1")
    assert given_up.wait(DRIPS_SECONDS)
    answers(stripe_at, json_of(PAID))
    assert stripe_gateway.retrieve_session("cs_test_1") == PAID


def sessions_listed():
    ever = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    pages = stripe_lists.pages(stripe_lists.SESSIONS, first=ever[0], end=ever[1])
    return [session for page in pages for session in page]


@pytest.mark.parametrize("name", DRIPS)
def test_a_list_that_drips_is_given_up(stripe_at, soon_given_up, name):
    given_up = threading.Event()
    page = {"object": "list", "data": [PAID], "has_more": False}
    answers(stripe_at, dripping(name, given_up, json.dumps(page).encode()))
    with soon_given_up(), pytest.raises(StripeOutOfReach):
        sessions_listed()
    assert given_up.wait(DRIPS_SECONDS)
    answers(stripe_at, json_of(page))
    assert sessions_listed() == [PAID]


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("trailers", [b"", b"X-Trailer: y\r\n"])
def test_a_slow_answer_that_ends_in_time_passes(stripe_at, as_service, before, close, trailers):
    body = json.dumps(NEW).encode()
    chunks = b"1;extension\r\n%b\r\n%x\r\n%b\r\n0\r\n" % (body[:1], len(body) - 1, body[1:])
    answers(stripe_at, slow(before + CHUNKED + close + b"\r\n" + chunks + trailers + b"\r\n"))
    assert request_topup(as_service).json() == {"url": PAGE}
    eventually(lambda: not any(thread.name == "stripe" for thread in threading.enumerate()))


def test_a_session_that_another_top_up_has_is_503(stripe_at, as_service):
    answers(stripe_at, json_of(NEW))
    assert request_topup(as_service).json() == {"url": PAGE}
    answer = request_topup(as_service, user_id="usr_2")
    assert (answer.status_code, answer.json()) == (503, UNAVAILABLE)
    first, second = TopUp.objects.order_by("created_at")
    assert (first.state, first.stripe_session_id) == ("created", "cs_test_1")
    assert (second.state, second.stripe_session_id) == ("failed", None)


def test_good_answers_still_pass(stripe_at, as_service, settings):
    settings.CHECKOUT_ORIGINS = [settings.STRIPE_CHECKOUT_ORIGIN, "https://pay.misar.io"]
    good: list[dict[str, Any]] = [
        {"url": PAGE},
        {"url": "https://pay.misar.io/c/pay/cs_live_2?x=1#y", "id": "cs_live_2"},
        {"url": PAGE + "x" * 3000, "id": "x" * 255},
        # A later version of Stripe's API may say more, and say other things where we don't look.
        {"id": "cs_3", "new": {"field": [1, None]}, "status": "new", "created": None, "amount_total": "x"},
        {"id": "cs_4", "metadata": None, "payment_intent": {"id": "pi_4"}},
    ]
    for change in good:
        answers(stripe_at, json_of(NEW | change))
        answer = request_topup(as_service)
        assert (answer.status_code, answer.json()) == (200, {"url": (NEW | change)["url"]})
    assert set(TopUp.objects.values_list("state", flat=True)) == {"created"}


def test_once_stripe_answers_well_a_top_up_opens(stripe_at, as_service):
    answers(stripe_at, json_of(NEW | {"url": "javascript:alert(1)"}))
    assert request_topup(as_service).status_code == 503
    answers(stripe_at, json_of(NEW))
    assert request_topup(as_service).json() == {"url": PAGE}


def test_the_log_says_what_is_wrong_and_no_secret(stripe_at, as_service, settings, caplog):
    settings.STRIPE_SECRET_KEY = "sk_test_our_secret"
    forget_the_client()
    for answer in (
        json_of(NEW | {"url": "https://evil.example/sk_test_our_secret"}),
        json_of({"error": "sk_test_our_secret"}, 400),
        json_of({"error": {"code": "sk_test\nour_secret", "param": ["sk_test_our_secret"]}}, 400),
        json_of({"error": {"code": "sk_test_our_secret", "param": "metadata[sk_test_our_secret]"}}, 400),
        content(b"sk_test_our_secret"),
    ):
        caplog.clear()
        answers(stripe_at, answer)
        assert request_topup(as_service, user_id="usr_private").status_code == 503
        assert [record.name for record in caplog.records] == ["wallet.payments.stripe_gateway"]
        assert "our_secret" not in caplog.text
        assert "usr_private" not in caplog.text
        assert "Traceback" not in caplog.text


# --- On the wallet page -----------------------------------------------------------------------------


@pytest.fixture
def at_the_wallet(client):
    """A signed-in user who sends the form of a top-up."""
    client.force_login(UserFactory.create(misar_id="usr_1"))
    return lambda key=KEY: client.post("/wallet/top-up", {"amount": "25", "key": key})


@pytest.mark.parametrize(
    "wrong", [json_of(NEW | {"url": "javascript:alert(1)"}), json_of([]), json_of({"error": "no"}, 400)]
)
def test_the_wallet_page_says_so_and_the_next_form_works(stripe_at, at_the_wallet, wrong):
    answers(stripe_at, wrong)
    page = at_the_wallet()
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert UNAVAILABLE["error"] in page.text
    assert "javascript:" not in page.text
    answers(stripe_at, json_of(NEW))
    answer = at_the_wallet(page.context["form"]["key"].value())
    assert (answer.status_code, answer["Location"]) == (303, PAGE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "javascript:alert(1)"},
        {"url": None},
        {"url": "https://evil.example/"},
        {"id": "cs_test_2"},
        {"status": []},
        {"status": 7},
        {"object": "charge"},
        {"metadata": []},
        {"created": "yesterday"},
    ],
)
def test_the_same_form_again_gets_no_wrong_address_and_later_the_same_checkout(
    stripe_at, at_the_wallet, wrong
):
    answers(stripe_at, json_of(NEW))
    assert at_the_wallet()["Location"] == PAGE
    open_session = PAID | {"status": "open", "payment_status": "unpaid", "url": PAGE}
    answers(stripe_at, json_of(open_session | wrong))
    assert at_the_wallet().status_code == 503
    topup = TopUp.objects.get()
    assert (topup.state, topup.stripe_session_id) == ("created", "cs_test_1")
    answers(stripe_at, json_of(open_session))
    assert at_the_wallet()["Location"] == PAGE
    assert TopUp.objects.count() == 1
