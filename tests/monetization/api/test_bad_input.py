"""Whatever is wrong is named, all of it at once, in the documented envelope; and nothing is recorded.

Here bodies, addresses and methods; single fields are in test_bad_fields.py.
"""

import json

import pytest
from django.test import Client

from tests.monetization.conftest import (
    BAD_KEY,
    CHANGE,
    GOOD,
    KEYS,
    SPONSOR_BODY,
    SPONSORS,
    STATS,
    SUBSCRIPTIONS,
    TIP,
    TIP_BODY,
    TIPS,
    details,
    field_errors,
    form_errors,
    refused,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_is_recorded")]

WRITES = list(GOOD)
READS = [SPONSORS, SUBSCRIPTIONS, TIPS, STATS]


# --- All at once ------------------------------------------------------------------------------------


def test_every_wrong_field_of_a_placement_is_named_at_once(api):
    wrong = {
        "sponsor_name": "",
        "logo_url": "http://example.com/logo.png",
        "target_url": "javascript:alert(1)",
        "position": "top",
        "active_from": "yesterday",
        "active_until": 1764547200,
        "price_cents": "29900",
        "currency": "XXX",
    }
    response = api.post(SPONSORS, wrong)
    assert field_errors(response) == {
        "sponsor_name": ["Must not be empty"],
        "logo_url": ["Must be an https address without credentials"],
        "target_url": ["Must be an http or https address without credentials"],
        "position": ["Must be one of header, footer, inline"],
        "active_from": ["Must be a time in ISO 8601"],
        "active_until": ["Must be a time in ISO 8601"],
        "price_cents": ["Must be an integer"],
        "currency": ["Must be an ISO 4217 currency code we know"],
    }
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-ID"].startswith("req_")


def test_every_wrong_field_of_a_subscription_is_named_at_once(api):
    wrong = {
        "subscriber_email": "nobody",
        "plan": 7,
        "amount_cents": -1,
        "currency": "dollars",
        "stripe_subscription_id": "",
    }
    assert field_errors(api.post(SUBSCRIPTIONS, wrong)) == {
        "subscriber_email": ["Must be an e-mail address"],
        "plan": ["Must be text"],
        "amount_cents": ["Must be at least 0"],
        "currency": ["Must be an ISO 4217 currency code we know"],
        "stripe_subscription_id": ["Must not be empty"],
    }


def test_every_wrong_field_of_a_tip_is_named_at_once(api):
    wrong = {
        "amount_cents": 49,
        "currency": "",
        "email": "a@",
        "name": " ",
        "message": "x" * 501,
        "stripe_payment_id": ["pi_1"],
    }
    assert field_errors(api.post(TIP, wrong)) == {
        "amount_cents": ["Must be at least 50"],
        "currency": ["Must not be empty"],
        "email": ["Must be an e-mail address"],
        "name": ["Must not be empty"],
        "message": ["Must be at most 500 characters"],
        "stripe_payment_id": ["Must be text"],
    }


def test_every_wrong_field_of_a_change_is_named_at_once(send):
    wrong = {"status": "canceled", "plan": "", "amount_cents": 1.5, "occurred_at": "now"}
    assert field_errors(send(CHANGE, wrong)) == {
        "status": ["Must be one of active, past_due, cancelled"],
        "plan": ["Must not be empty"],
        "amount_cents": ["Must be an integer"],
        "occurred_at": ["Must be a time in ISO 8601"],
    }


def test_what_is_wrong_with_fields_together_is_told_with_the_rest(api):
    wrong = SPONSOR_BODY | {
        "active_until": "2025-01-01",
        "price_cents": 150,
        "currency": "ISK",
        "position": "x",
    }
    assert field_errors(api.post(SPONSORS, wrong)) == {
        "active_until": ["Must be after active_from"],
        "price_cents": ["Must be a multiple of 100 in ISK"],
        "position": ["Must be one of header, footer, inline"],
    }


def test_the_envelope_is_the_documented_one_to_the_byte(api):
    assert api.post(TIP, {}).content == (
        b'{"success":false,"error":"Validation failed",'
        b'"details":{"fieldErrors":{"amount_cents":["Required"]},"formErrors":[]}}'
    )


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        (SPONSORS, {"sponsor_name", "logo_url", "target_url", "position", "active_from", "active_until"}),
        (SUBSCRIPTIONS, {"subscriber_email", "plan", "amount_cents", "currency"}),
        (TIP, {"amount_cents"}),
    ],
)
def test_what_is_needed_is_said_whether_absent_or_null(api, path, needed):
    wanted = {name: ["Required"] for name in needed}
    assert field_errors(api.post(path, {})) == wanted
    assert field_errors(api.post(path, dict.fromkeys(GOOD[path]))) == wanted
    # The test client would drop the type of a body of nothing.
    says_json = api.headers | {"Content-Type": "application/json"}
    assert field_errors(api.client.generic("POST", path, b"", headers=says_json)) == wanted


# --- Bodies that are no object ------------------------------------------------------------------------

BROKEN = (
    (b"{", "The body is not valid JSON"),
    (b" ", "The body is not valid JSON"),
    (b'{"amount_cents": 500,}', "The body is not valid JSON"),
    (b"amount_cents=500", "The body is not valid JSON"),
    (b"{'amount_cents': 500}", "The body is not valid JSON"),
    (b'{"amount_cents": 500} {}', "The body is not valid JSON"),
    (b'{"amount_cents": 0500}', "The body is not valid JSON"),
    (b'{"amount_cents": ' + b"5" * 5000 + b"}", "The body is not valid JSON"),
    (b"\xef\xbb\xbf{}", "The body is not valid JSON"),
    (b'{"name": "\xff"}', "The body is not UTF-8"),
    (b'{"name": "\xed\xa0\x80"}', "The body is not UTF-8"),
    (b'{"amount_cents": 500, "amount_cents": 600}', "The body names a key twice"),
    (b'{"x": {"a": 1, "a": 1}}', "The body names a key twice"),
    (b'{"x": NaN}', "The body holds NaN, which is not JSON"),
    (b'{"x": -Infinity}', "The body holds -Infinity, which is not JSON"),
    (b'{"x": 1e999}', "The body holds a number that is too large"),
    (b"[" * 33 + b"]" * 33, "The body is nested deeper than 32 levels"),
    (b'{"x": ' + b"[" * 100_000, "The body is too large"),
    (b"[]", "The body must be a JSON object"),
    (b'[{"amount_cents": 500}]', "The body must be a JSON object"),
    (b"null", "The body must be a JSON object"),
    (b"true", "The body must be a JSON object"),
    (b"500", "The body must be a JSON object"),
    (b'"amount_cents"', "The body must be a JSON object"),
)


@pytest.mark.parametrize("path", [*WRITES, CHANGE])
def test_a_body_that_is_no_json_object_is_a_form_error(send, subtests, path):
    for body, sentence in BROKEN:
        with subtests.test(body=body[:40]):
            response = send(path, raw=body)
            if len(body) > 64 * 1024:
                refused(response, 413, sentence)
            else:
                assert form_errors(response) == [sentence]


@pytest.mark.parametrize("path", [*WRITES, CHANGE])
def test_64_kib_are_read_and_no_more(send, path):
    padded = json.dumps({"x": ""}).encode()
    longest = padded[:-2] + b"x" * (64 * 1024 - len(padded)) + padded[-2:]
    assert len(longest) == 64 * 1024
    assert details(send(path, raw=longest))
    refused(send(path, raw=longest[:-2] + b"xx" + longest[-1:]), 413, "The body is too large")


@pytest.mark.parametrize("path", [*WRITES, CHANGE])
@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/json; charset=latin-1",
        "application/merge-patch+json",
        "",
        "*/*",
    ],
)
def test_a_body_says_that_it_is_json(send, path, media_type):
    response = send(path, TIP_BODY, content_type=media_type)
    refused(response, 415, "Content-Type must be application/json")


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"']
)
def test_json_may_be_said_in_several_ways(api, media_type):
    assert "amount_cents" in field_errors(api.post(TIP, {}, content_type=media_type))


def test_a_request_without_a_body_may_say_json_all_the_same(api, creator):
    """As the published client does, on GET and DELETE alike."""
    headers = api.headers | {"Content-Type": "application/json"}
    client = Client(raise_request_exception=False)
    for path in READS:
        response = client.generic("GET", path, b"", "application/json", headers=headers)
        assert response.status_code == 200
    response = client.generic("DELETE", f"{SPONSORS}/spon_1", b"", "application/json", headers=headers)
    refused(response, 404, "Not found")


# --- Addresses and methods ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/mail/v1",
        "/mail/v1/",
        "/v1/",
        "/mail/v1/monetization",
        "/mail/v1/monetization/",
        "/mail/v1/monetization/sponsors/",
        "/mail/v1/monetization/tip/",
        "/mail/v1/monetization/nothing",
        "/mail/v1/monetization/sponsors/1/2",
        "/mail/v1/keys/",
        "/mail/v1/keys/not-a-uuid",
        "/v1/monetization/stats/",
        "/mail/v1/monetization//tips",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_address_is_404_in_the_envelope_never_a_redirect(api, path, method):
    refused(api.ask(method, path), 404, "There is nothing at this address.")


@pytest.mark.parametrize("path", ["/mail/v1/%00", f"{SPONSORS}/spon_%00"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_address_holds_a_nul(api, path, method):
    refused(api.ask(method, path), 404, "There is nothing at this address.")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (SPONSORS, "GET, POST, HEAD"),
        (f"{SPONSORS}/spon_1", "DELETE"),
        (SUBSCRIPTIONS, "GET, POST, HEAD"),
        (f"{SUBSCRIPTIONS}/sub_1", "PATCH"),
        (TIPS, "GET, HEAD"),
        (TIP, "POST"),
        (STATS, "GET, HEAD"),
        (KEYS, "GET, POST, DELETE, HEAD"),
    ],
)
def test_another_method_is_405_and_told_which_there_are(api, path, allowed):
    allowed_methods = set(allowed.split(", "))
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - allowed_methods:
        response = api.ask(method, path)
        refused(response, 405, "Method not allowed")
        assert set(response["Allow"].split(", ")) == allowed_methods


def test_head_is_get_without_a_body(api):
    for path in READS:
        response = api.client.head(path, headers=api.headers)
        assert (response.status_code, response.content) == (200, b"")


def test_a_wrong_host_is_answered_in_the_envelope(api):
    response = api.client.get(STATS, headers=api.headers | {"Host": "evil.example"})
    refused(response, 400, "The request cannot be read.")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "image/*;q=0"])
def test_json_is_answered_whatever_is_asked_for(api, accept):
    for credentials in (api.headers, dict[str, str]()):
        response = api.client.get(TIPS, headers=credentials | {"Accept": accept})
        assert response["Content-Type"] == "application/json"
    refused(response, 401, BAD_KEY)
