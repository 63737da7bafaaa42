"""POST and GET /v1/checkout/sessions, with Stripe's own client."""

import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import KEY, StandIn, line, session_params, wait_until


def refusal_of(stand_in: StandIn, **changes: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stand_in.new_session(**changes)
    return refused.value


def test_a_new_session_waits_for_its_buyer(stand_in: StandIn):
    session = stand_in.new_session().to_dict()
    assert session["id"].startswith("cs_test_")
    assert session["url"] == f"{stand_in.url}/c/pay/{session['id']}"
    assert session["metadata"] == {"type": "wallet_topup", "user_id": "usr_1", "product": "blog"}
    expected = {
        "object": "checkout.session",
        "status": "open",
        "payment_status": "unpaid",
        "payment_intent": None,
        "amount_subtotal": 2500,
        "amount_total": 2500,
        "currency": "usd",
        "mode": "payment",
        "livemode": False,
        "client_reference_id": "usr_1",
        "payment_method_types": ["card"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    }
    assert {name: session[name] for name in expected} == expected


def test_lines_are_added_up(stand_in: StandIn):
    session = stand_in.new_session(line_items=[line(1000, quantity=3), line(50)])
    assert session.amount_total == 3050


def test_a_wrong_key_is_401_in_stripes_form(stand_in: StandIn):
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key provided: sk_test_"):
        stand_in.client("sk_test_another").v1.checkout.sessions.list()
    answer = stand_in.raw("GET", "/v1/events", headers={"Authorization": ""})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_parameter_that_stripe_removed_is_unknown(stand_in: StandIn):
    refusal = refusal_of(stand_in, payment_method_types=["card"])
    assert refusal.http_status == 400
    assert (refusal.code, refusal.param) == ("parameter_unknown", "payment_method_types")
    body: Any = refusal.json_body
    assert body["error"]["type"] == "invalid_request_error"


def test_an_unknown_parameter_is_refused_at_any_depth(stand_in: StandIn):
    refusal = refusal_of(stand_in, line_items=[line(price_data={"currency": "usd"} | {"color": "red"})])
    assert refusal.param in {"line_items[0][price_data][color]", "line_items[0][price_data][unit_amount]"}
    refusal = refusal_of(stand_in, payment_intent_data={"colour": "red"})
    assert refusal.param == "payment_intent_data[colour]"


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": None},
        {"mode": "gift"},
        {"line_items": None},
        {"line_items": [{"quantity": 1}]},
        {"line_items": [line(-1)]},
        {"line_items": [line("12.5")]},
        {"line_items": [line(100_000_000)]},
        {"line_items": [line(quantity=0)]},
        {"line_items": [line(50_000_000, quantity=2)]},
        {"line_items": [line(price_data={"currency": "xxx", "unit_amount": 1})]},
        {"success_url": None},
        {"client_reference_id": "x" * 201},
        {"metadata": {f"key{number}": "x" for number in range(51)}},
        {"metadata": {"k" * 41: "x"}},
        {"metadata": {"key": "x" * 501}},
        {"ui_mode": "hosted"},
        {"automatic_tax": {"enabled": "perhaps"}},
    ],
    ids=str,
)
def test_a_value_that_stripe_refuses_is_refused(stand_in: StandIn, changes: dict[str, Any]):
    assert refusal_of(stand_in, **changes).http_status == 400
    assert stand_in.look("sessions") == {"data": []}


@pytest.mark.parametrize("seconds", [60, 25 * 3600])
def test_a_session_lasts_from_half_an_hour_to_a_day(stand_in: StandIn, seconds: int):
    refusal = refusal_of(stand_in, expires_at=int(time.time()) + seconds)
    assert refusal.param == "expires_at"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)//http://",
        "data:text/html,x",
        "//evil.example/",
        "/relative",
        "http://",
        "http://user:secret@evil.example/",
        "https://evil.example; script-src *",
        "https://evil.example\\@misar.io/",
        "http://[::1",
        "https://misar.io/\nSet-Cookie: a=b",
    ],
)
@pytest.mark.parametrize("name", ["success_url", "cancel_url"])
def test_a_session_leads_to_http_and_https_only(stand_in: StandIn, name: str, url: str):
    refusal = refusal_of(stand_in, **{name: url})
    assert (refusal.code, refusal.param) == ("url_invalid", name)


def test_metadata_within_the_limits_is_kept_as_sent(stand_in: StandIn):
    metadata = {f"{'k' * 37}{number:03}": "ü<>&" * 125 for number in range(50)}
    session = stand_in.new_session(metadata=metadata)
    assert stand_in.stripe.v1.checkout.sessions.retrieve(session.id).to_dict()["metadata"] == metadata


def test_an_unknown_id_is_404(stand_in: StandIn):
    with pytest.raises(stripe.InvalidRequestError) as missing:
        stand_in.stripe.v1.checkout.sessions.retrieve("cs_test_nothing")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")


def test_an_unknown_address_is_404_in_stripes_form(stand_in: StandIn):
    answer = stand_in.raw("GET", "/v1/customers")
    assert answer.status_code == 404
    assert "Unrecognized request URL (GET: /v1/customers)" in answer.json()["error"]["message"]


def test_every_answer_has_a_request_id(stand_in: StandIn):
    for path in ("/v1/events", "/v1/nothing"):
        assert stand_in.raw("GET", path).headers["Request-Id"].startswith("req_")


def test_expiring_by_request_happens_once(stand_in: StandIn):
    session = stand_in.new_session()
    expired = stand_in.stripe.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url, expired.payment_status) == ("expired", None, "unpaid")
    with pytest.raises(stripe.InvalidRequestError, match="status of `expired`"):
        stand_in.stripe.v1.checkout.sessions.expire(session.id)
    assert [event["type"] for event in stand_in.look("events")["data"]] == ["checkout.session.expired"]


# --- Lists ------------------------------------------------------------------------------------------


def test_pages_hold_every_session_once_newest_first(stand_in: StandIn):
    made = [stand_in.new_session().id for _ in range(7)]
    first = stand_in.stripe.v1.checkout.sessions.list(params={"limit": 3})
    assert first.has_more
    assert [session.id for session in first.auto_paging_iter()] == made[::-1]


def test_a_page_before_another(stand_in: StandIn):
    oldest, *_, newest = made = [stand_in.new_session().id for _ in range(5)]
    before = stand_in.stripe.v1.checkout.sessions.list(params={"limit": 2, "ending_before": oldest})
    assert [session.id for session in before.data] == [made[2], made[1]]
    assert before.has_more
    before = stand_in.stripe.v1.checkout.sessions.list(params={"limit": 4, "ending_before": newest})
    assert (before.data, before.has_more) == ([], False)


def test_lists_are_filtered_by_status_payment_and_time(stand_in: StandIn):
    paid = stand_in.paid_session()
    waiting = stand_in.new_session()
    now = int(time.time())

    def ids(**params: Any) -> list[str]:
        sessions = stand_in.stripe.v1.checkout.sessions.list(params=params)  # type: ignore[arg-type]
        return [session.id for session in sessions.data]

    assert ids(status="complete") == [paid["id"]]
    assert ids(status="open") == [waiting.id]
    assert ids(payment_intent=paid["payment_intent"]) == [paid["id"]]
    assert ids(created={"gte": now - 60}) == [waiting.id, paid["id"]]
    assert ids(created={"gt": now + 60}) == []
    assert ids(created={"lt": now - 60}) == []
    assert ids(created={"lte": now}, limit=1) == [waiting.id]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"status": "paid"},
        {"payment_status": "paid"},
        {"starting_after": "cs_test_nothing"},
        {"created": {"since": 1}},
    ],
    ids=str,
)
def test_a_list_refuses_unknown_parameters(stand_in: StandIn, params: Any):
    with pytest.raises(stripe.InvalidRequestError):
        stand_in.stripe.v1.checkout.sessions.list(params=params)


# --- Idempotency ------------------------------------------------------------------------------------


def create(stand_in: StandIn, key: str, **changes: Any) -> stripe.checkout.Session:
    return stand_in.stripe.v1.checkout.sessions.create(
        params=session_params(**changes), options={"idempotency_key": key}
    )


def is_replayed(session: stripe.checkout.Session) -> bool:
    assert session.last_response
    return session.last_response.headers.get("Idempotent-Replayed") == "true"


def test_the_same_key_gives_the_first_answer_again(stand_in: StandIn):
    expires_at = int(time.time()) + 3600
    first = create(stand_in, "key_1", expires_at=expires_at)
    stand_in.control(f"sessions/{first.id}/pay")
    again = create(stand_in, "key_1", expires_at=expires_at)
    # As it was at the first call.
    assert (again.id, again.status, again.url) == (first.id, "open", first.url)
    assert is_replayed(again)
    assert not is_replayed(first)


def test_the_same_key_with_other_parameters_is_an_error(stand_in: StandIn):
    create(stand_in, "key_1")
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        create(stand_in, "key_1", client_reference_id="usr_2")
    assert len(stand_in.look("sessions")["data"]) == 1


def test_refused_parameters_leave_the_key_free(stand_in: StandIn):
    with pytest.raises(stripe.InvalidRequestError):
        create(stand_in, "key_1", mode="gift")
    assert create(stand_in, "key_1").status == "open"


def test_an_error_of_a_call_that_ran_is_replayed(stand_in: StandIn):
    paid = stand_in.paid_session()
    options: Any = {"idempotency_key": "key_1"}
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError, match="status of `complete`") as refused:
            stand_in.stripe.v1.checkout.sessions.expire(paid["id"], options=options)
    assert (refused.value.headers or {})["Idempotent-Replayed"] == "true"


def test_a_failure_of_stripe_is_replayed_even_after_it_ended(stand_in: StandIn):
    expires_at = int(time.time()) + 3600
    stand_in.control("settings", api_failure=500)
    with pytest.raises(stripe.APIError):
        create(stand_in, "key_1", expires_at=expires_at)
    stand_in.control("settings", api_failure=None)
    with pytest.raises(stripe.APIError):
        create(stand_in, "key_1", expires_at=expires_at)
    assert create(stand_in, "key_2").status == "open"


def test_a_refused_call_leaves_its_key_free(stand_in: StandIn):
    stand_in.control("settings", api_failure=429)
    with pytest.raises(stripe.RateLimitError):
        create(stand_in, "key_1")
    stand_in.control("settings", api_failure=None)
    assert create(stand_in, "key_1").status == "open"


def test_a_key_in_use_is_409(stand_in: StandIn):
    stand_in.control("settings", api_delay_seconds=600)
    impatient = stand_in.client(KEY, http_client=stripe.RequestsClient(timeout=0.3))
    params = session_params()
    with pytest.raises(stripe.APIConnectionError):
        impatient.v1.checkout.sessions.create(params=params, options={"idempotency_key": "key_1"})
    wait_until(lambda: "key_1" in keys_taken(stand_in))
    with pytest.raises(stripe.StripeError) as in_use:
        stand_in.stripe.v1.checkout.sessions.create(params=params, options={"idempotency_key": "key_1"})
    assert in_use.value.http_status == 409
    body: Any = in_use.value.json_body
    assert body["error"]["code"] == "idempotency_key_in_use"
    # The first call went on after its caller had given up, and its answer was stored under the key.
    stand_in.control("settings", api_delay_seconds=0)
    wait_until(lambda: len(stand_in.look("sessions")["data"]) == 1)
    stand_in.stripe.v1.checkout.sessions.create(params=params, options={"idempotency_key": "key_1"})
    assert len(stand_in.look("sessions")["data"]) == 1


def keys_taken(stand_in: StandIn) -> set[str]:
    """The idempotency keys of calls that have started."""
    with closing(sqlite3.connect(stand_in.data_dir / "sandbox" / "stripe.sqlite3")) as kept:
        return {key for (key,) in kept.execute("SELECT key FROM idempotency_keys")}


def test_reads_ignore_keys(stand_in: StandIn):
    session = stand_in.new_session()
    path = f"/v1/checkout/sessions/{session.id}"
    headers = {"Idempotency-Key": "key_1"}
    assert stand_in.raw("GET", path, headers=headers).json()["status"] == "open"
    stand_in.control(f"sessions/{session.id}/expire")
    assert stand_in.raw("GET", path, headers=headers).json()["status"] == "expired"
