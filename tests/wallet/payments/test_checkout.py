"""Buying credits, from the wish to the balance, with the sandbox as Stripe; and what a broken Stripe does."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import requests
import stripe
from django.conf import settings as django_settings
from django.utils import timezone

from sandbox.environment import free_port
from tests.conftest import Caller, Sandbox
from tests.crowd import begin, wallet_locked_by_another
from tests.deployment import eventually
from tests.scripted_server import json_of
from tests.wallet.conftest import StandIn, forget_the_client, request_topup
from tests.wallet.stripe_answers import NEW, PAID, answers
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments import stripe_gateway

pytestmark = pytest.mark.django_db

UNAVAILABLE = {"error": "Checkout is not available right now; please try again."}
# Who asks for a checkout has an answer within ten seconds. On a busy machine it may be later; a Stripe that
# is waited for to its end is silent for two minutes.
LATE_SECONDS = 40
SILENT_SECONDS = 120


# --- What Stripe is asked for -----------------------------------------------------------------------


def test_a_checkout_is_opened_and_nothing_is_credited_yet(stand_in, as_service):
    before = timezone.now()
    answer = request_topup(as_service, user_id="usr_1", amountDollars=25, product="mail")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    topup = TopUp.objects.get()
    assert answer.json() == {"url": f"{stand_in.sandbox.address}/c/pay/{topup.stripe_session_id}"}
    assert (topup.user_id, topup.product, topup.state) == ("usr_1", "mail", "created")
    assert (topup.amount_cents, topup.paid_cents, topup.livemode) == (2500, None, False)
    assert (topup.entry, topup.remark, topup.payment_intent_id) == (None, "", "")
    assert topup.created_at >= before
    assert available_of("usr_1") == 0
    assert requests.get(answer.json()["url"], timeout=120).status_code == 200


def test_a_session_holds_what_the_webhook_will_need_and_nothing_else_can_change_its_price(
    stand_in, start_topup
):
    topup = start_topup("usr_1", 25, product="mail")
    session = stand_in.session(topup.stripe_session_id)
    assert session["metadata"] == {
        "type": "wallet_topup",
        "user_id": "usr_1",
        "product": "mail",
        "topup_id": topup.pk,
    }
    assert (session["mode"], session["currency"], session["livemode"]) == ("payment", "usd", False)
    assert (session["amount_total"], session["amount_subtotal"]) == (2500, 2500)
    assert session["adaptive_pricing"]["enabled"] is False
    assert session["automatic_tax"]["enabled"] is False
    assert session["payment_method_types"] == ["card"]
    assert session["client_reference_id"] == "usr_1"
    assert abs(session["expires_at"] - time.time() - 3600) < 30
    assert session["success_url"] == "http://testserver/wallet?wallet_topup=success"
    assert session["cancel_url"] == "http://testserver/wallet?wallet_topup=cancelled"


def test_refunds_and_disputes_will_see_the_same_metadata(stand_in, start_topup):
    """They name the payment intent, and Stripe copies nothing from the session to it."""
    topup = start_topup()
    stand_in.happens("pay", topup.stripe_session_id)
    session = stand_in.session(topup.stripe_session_id)
    intent = stand_in.client.v1.payment_intents.retrieve(session["payment_intent"]).to_dict()
    assert intent["metadata"] == session["metadata"]


def test_our_row_is_the_idempotency_key(stand_in, start_topup):
    topup = start_topup()
    with pytest.raises(stripe.IdempotencyError):
        stand_in.client.v1.checkout.sessions.create(
            params={"mode": "payment", "success_url": "https://misar.io/"},
            options={"idempotency_key": topup.pk},
        )


def test_each_wish_is_a_session_of_its_own(start_topup):
    assert start_topup().stripe_session_id != start_topup().stripe_session_id


@pytest.mark.parametrize("dollars", [10, 100_000])
def test_the_smallest_and_the_largest_top_up(stand_in, start_topup, deliver, dollars):
    topup = start_topup(dollars=dollars)
    stand_in.happens("pay", topup.stripe_session_id)
    for event in stand_in.events(topup.stripe_session_id):
        deliver(event)
    assert available_of("usr_1") == dollars


@pytest.mark.parametrize("user_id", ["u" * 255, "用户" * 100, "a b & c=d [x] 100%"])
def test_any_misar_id_survives_the_way_to_stripe_and_back(stand_in, start_topup, deliver, user_id):
    topup = start_topup(user_id, product="p" * 100)
    stand_in.happens("pay", topup.stripe_session_id)
    [event] = stand_in.events(topup.stripe_session_id)
    assert deliver(event).status_code == 200
    assert available_of(user_id) == 25
    assert Entry.objects.get().product == "p" * 100


@pytest.mark.parametrize("dollars", [9, 100_001, 0, -10, 10.0, "25", True, None])
def test_a_refused_amount_never_reaches_stripe(stand_in, as_service, dollars):
    assert request_topup(as_service, amountDollars=dollars).status_code == 400
    assert stand_in.look("sessions") == []
    assert not TopUp.objects.exists()


# --- What the buyer does ----------------------------------------------------------------------------


@pytest.fixture
def told(stand_in, deliver):
    """Let something happen to a session and deliver all that Stripe has told of it so far."""

    def tell(topup, *verbs):
        for verb in verbs:
            stand_in.happens(verb, topup.stripe_session_id)
        for event in stand_in.events(topup.stripe_session_id):
            assert deliver(event).status_code == 200
        topup.refresh_from_db()
        return topup

    return tell


def test_a_buyer_pays(stand_in, start_topup, told, as_service):
    topup = told(start_topup(), "pay")
    assert (topup.state, topup.paid_cents, topup.remark) == ("paid", 2500, "")
    assert topup.payment_intent_id == stand_in.session(topup.stripe_session_id)["payment_intent"]
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 25}
    [row] = as_service.get("/io/wallet/transactions", user_id="usr_1").json()["items"]
    assert (row["type"], row["credits"], row["balance_after"]) == ("topup", 25, 25)
    assert row["stripe_session_id"] == topup.stripe_session_id


def test_a_buyer_whose_card_is_declined_pays_with_another(start_topup, told):
    topup = told(start_topup(), "decline")
    assert topup.state == "created"
    assert available_of("usr_1") == 0
    assert told(topup, "pay").state == "paid"
    assert available_of("usr_1") == 25


def test_a_buyer_pays_by_a_slow_way(start_topup, told):
    topup = told(start_topup(), "pay_later")
    assert topup.state == "pending"
    assert available_of("usr_1") == 0
    assert told(topup, "settle").state == "paid"
    assert available_of("usr_1") == 25


def test_a_buyer_whose_slow_payment_fails(start_topup, told):
    assert told(start_topup(), "pay_later", "fail").state == "failed"
    assert available_of("usr_1") == 0


def test_a_buyer_who_leaves(start_topup, told):
    assert told(start_topup(), "expire").state == "expired"
    assert available_of("usr_1") == 0


# --- Webhooks by themselves -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_telling_sandbox(live_server, tmp_path_factory):
    """A sandbox of this module's own, whose webhooks go to the live server."""
    environment = os.environ | {
        "DATA_DIR": str(tmp_path_factory.mktemp("telling-sandbox")),
        "SANDBOX_PORT": str(free_port()),
        "SANDBOX_WEBHOOK_URL": f"{live_server.url}/io/wallet/webhook",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox"], env=environment, cwd=django_settings.BASE_DIR
    )
    sandbox = Sandbox(f"http://127.0.0.1:{environment['SANDBOX_PORT']}")
    try:
        sandbox.wait_until_ready()
        yield sandbox
    finally:
        process.terminate()
        process.wait(timeout=120)


@pytest.fixture
def telling(one_telling_sandbox, settings, new_gateway):
    """Stripe, and its webhooks reach the live server."""
    settings.STRIPE_API_BASE = one_telling_sandbox.address
    settings.CHECKOUT_ORIGINS = [one_telling_sandbox.address]
    forget_the_client()
    one_telling_sandbox.control("reset")
    yield StandIn(one_telling_sandbox)
    # What is under way arrives before the books are cleared.
    eventually(
        lambda: all(one["state"] != "waiting" for one in StandIn(one_telling_sandbox).look("deliveries"))
    )
    one_telling_sandbox.control("reset")


@pytest.mark.django_db(transaction=True)
def test_a_payment_becomes_credits_over_real_http(telling, live_server, service_key):
    headers = {"x-wallet-service-key": service_key}
    asked = {
        "user_id": "usr_1",
        "amountDollars": 25,
        "product": "blog",
        "returnUrl": "https://blog.misar.io/",
    }
    answer = requests.post(
        f"{live_server.url}/io/wallet/topup-session", json=asked, headers=headers, timeout=120
    )
    session_id = answer.json()["url"].rpartition("/")[2]
    telling.happens("pay", session_id)

    def balance():
        return requests.get(
            f"{live_server.url}/io/wallet/balance", {"user_id": "usr_1"}, headers=headers, timeout=120
        ).json()["credits"]

    eventually(lambda: balance() == 25)
    [event] = telling.events(session_id)
    # Again and again, and twenty times at once: once is once.
    telling.sandbox.control(f"events/{event['id']}/resend", times=3)
    telling.sandbox.control(f"events/{event['id']}/resend", times=20, at_once=True)
    eventually(lambda: len(telling.look("deliveries")) == 24)
    eventually(lambda: {one["state"] for one in telling.look("deliveries")} == {"delivered"})
    assert balance() == 25
    assert Entry.objects.count() == 1
    assert StripeEvent.objects.get().state == "handled"


@pytest.mark.django_db(transaction=True)
def test_stripe_comes_again_after_a_webhook_that_could_not_be_handled(telling, give):
    give("usr_1", 5)
    session_id = telling.new_session()
    with wallet_locked_by_another("usr_1"):
        telling.happens("pay", session_id)
        eventually(lambda: StripeEvent.objects.exclude(traceback="").exists())
        assert available_of("usr_1") == 5
    eventually(lambda: available_of("usr_1") == 30)
    eventually(lambda: StripeEvent.objects.get().state == "handled")
    eventually(lambda: telling.look("deliveries")[0]["state"] == "delivered")
    [delivery] = telling.look("deliveries")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [503, 200]


# --- Stripe in trouble ------------------------------------------------------------------------------


def refused_for_now(answer):
    """503 in the wallet's envelope, and no row that looks payable."""
    assert (answer.status_code, answer.json()) == (503, UNAVAILABLE)
    assert answer["Content-Type"] == "application/json"
    assert int(answer["Retry-After"]) >= 1
    return True


def test_a_stripe_that_refuses_the_connection(as_service, settings, new_gateway):
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_port()}"
    assert refused_for_now(request_topup(as_service))
    topup = TopUp.objects.get()
    assert (topup.state, topup.stripe_session_id, topup.remark) == ("failed", None, UNAVAILABLE["error"])


@pytest.mark.parametrize("status", [400, 401, 402, 403, 409, 429, 500, 503])
def test_a_stripe_that_fails(stand_in, as_service, status):
    stand_in.misbehaves(api_failure=status)
    assert refused_for_now(request_topup(as_service))
    assert TopUp.objects.get().state == "failed"
    stand_in.misbehaves(api_failure=None)
    assert request_topup(as_service).status_code == 200
    assert sorted(TopUp.objects.values_list("state", flat=True)) == ["created", "failed"]


def test_a_key_that_stripe_does_not_know(stand_in, as_service, settings):
    settings.STRIPE_SECRET_KEY = "sk_test_revoked"
    forget_the_client()
    assert refused_for_now(request_topup(as_service))
    assert TopUp.objects.get().state == "failed"


def test_what_stripe_says_of_us_stays_out_of_the_answer_and_the_log(stand_in, as_service, settings, caplog):
    settings.STRIPE_SECRET_KEY = "sk_test_secret_that_was_revoked"
    forget_the_client()
    answer = request_topup(as_service, user_id="usr_private")
    assert b"sk_test" not in answer.content
    assert "sk_test" not in caplog.text
    assert "usr_private" not in caplog.text


def test_stripe_learns_nothing_of_the_machine(stripe_at, as_service, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("stripe._telemetry_id._loaded", False)  # As in a new process.
    requests = []

    def answer(handler):
        requests.append(handler.headers)
        json_of(PAID | NEW, Request_Id="req_1")(handler)

    answers(stripe_at, answer)
    assert request_topup(as_service).status_code == 200
    stripe_gateway.retrieve_session("cs_test_1")  # It would report how long the first request took.

    assert len(requests) == 2
    for headers in requests:
        client = json.loads(headers["X-Stripe-Client-User-Agent"])
        assert client.keys().isdisjoint({"telemetry_id", "platform"})
        assert "X-Stripe-Client-Telemetry" not in headers
    assert list(tmp_path.iterdir()) == []


def test_a_stripe_that_answers_nonsense(as_service, settings, new_gateway):
    with a_server_that_answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") as address:
        settings.STRIPE_API_BASE = address
        assert refused_for_now(request_topup(as_service))
    assert TopUp.objects.get().state == "failed"


def test_a_stripe_that_hangs_up(as_service, settings, new_gateway):
    with a_server_that_answers(b"") as address:
        settings.STRIPE_API_BASE = address
        assert refused_for_now(request_topup(as_service))
    assert TopUp.objects.get().state == "failed"


@pytest.mark.django_db(transaction=True)
def test_while_stripe_is_silent_charges_stay_quick_and_the_next_top_up_is_refused_at_once(
    stand_in, service_key, give, article_rate, settings, limits_of_calls
):
    give("usr_1", 1000)
    service = Caller({"x-wallet-service-key": service_key})
    forget_the_client()
    places = settings.STRIPE_CALLS_AT_ONCE
    with a_server_that_answers(b"too late", pause_seconds=SILENT_SECONDS) as settings.STRIPE_API_BASE:
        began = time.monotonic()
        hanging = [
            begin(lambda: request_topup(Caller({"x-wallet-service-key": service_key}))) for _ in range(places)
        ]
        eventually(lambda: stripe_gateway._places()._value == 0)

        assert refused_for_now(request_topup(service))
        for _ in range(5):
            assert service.deduct().json()["allowed"] is True
        # None of it waited for Stripe.
        assert not any(call.done() for call in hanging), "they were to hang meanwhile"

        for call in hanging:
            assert refused_for_now(call.result(timeout=SILENT_SECONDS))
        assert time.monotonic() - began < LATE_SECONDS
    assert set(TopUp.objects.exclude(state="paid").values_list("state", flat=True)) == {"failed"}

    settings.STRIPE_API_BASE = stand_in.sandbox.address
    stripe_gateway._client.cache_clear()
    assert request_topup(service).status_code == 200  # The places are free again.


def test_a_call_of_stripe_ends_within_ten_seconds(limits_of_calls):
    once = stripe_gateway.CONNECT_TIMEOUT_SECONDS + stripe_gateway.READ_TIMEOUT_SECONDS
    assert once < stripe_gateway.CALL_SECONDS_MAX < 10
    assert stripe_gateway.BUSY_SECONDS_MAX < stripe_gateway.CALL_SECONDS_MAX


@pytest.mark.django_db(transaction=True)
def test_a_stripe_that_drips_is_given_up_within_ten_seconds(service_key, settings, new_gateway, monkeypatch):
    """Each byte comes in time, the answer never ends: only a limit on the whole call helps."""
    monkeypatch.setattr(stripe_gateway, "CALL_SECONDS_MAX", 2)
    drips = b"." * SILENT_SECONDS * 2
    with a_server_that_answers(b"HTTP/1.1 200 OK\r\nX-Drip: " + drips, pause_seconds=0.5) as address:
        settings.STRIPE_API_BASE = address
        began = time.monotonic()
        assert refused_for_now(request_topup(Caller({"x-wallet-service-key": service_key})))
        assert time.monotonic() - began < LATE_SECONDS
    assert TopUp.objects.get().state == "failed"


@contextmanager
def a_server_that_answers(said, *, pause_seconds=0.0):
    """The address of a server that says these bytes to everybody; with a pause, one at a time."""
    closed = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with suppress(OSError):  # The listener was closed.
            while True:
                caller, _ = listener.accept()
                threading.Thread(target=answer, args=(caller,), daemon=True).start()

    def answer(caller):
        pieces = [said[n : n + 1] for n in range(len(said))] if pause_seconds else [said]
        with caller, suppress(OSError):  # The caller had enough.
            caller.recv(65536)
            for piece in pieces:
                if closed.wait(pause_seconds):
                    return
                caller.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        closed.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


# --- A payment whose answer was lost ----------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_session_that_stripe_made_although_we_gave_up_is_credited_to_its_record(
    stand_in, service_key, deliver, monkeypatch
):
    """The call outlasted our patience; the row is failed, yet the buyer could pay: the webhook finds it."""
    # Longer than one try; the second one meets its own key, whose first call still runs.
    monkeypatch.setattr(stripe_gateway, "READ_TIMEOUT_SECONDS", 1)
    forget_the_client()
    stand_in.misbehaves(api_delay_seconds=600)
    answer = request_topup(Caller({"x-wallet-service-key": service_key}))
    assert refused_for_now(answer)
    topup = TopUp.objects.get()
    assert (topup.state, topup.stripe_session_id) == ("failed", None)
    stand_in.misbehaves(api_delay_seconds=0)
    eventually(lambda: stand_in.look("sessions"))
    [session] = stand_in.look("sessions")
    stand_in.happens("pay", session["id"])
    for event in stand_in.events(session["id"]):
        assert deliver(event).status_code == 200
    topup.refresh_from_db()
    assert (topup.state, topup.stripe_session_id) == ("paid", session["id"])
    assert TopUp.objects.count() == 1
    assert available_of("usr_1") == 25
