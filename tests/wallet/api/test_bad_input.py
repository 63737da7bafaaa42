"""Whatever reaches an API path gets JSON in the wallet's envelope, a true status, and moves nothing."""

import json
from typing import Any

import pytest
from django.db import connection, transaction

from wallet.books import ledger
from wallet.models import Entry, TopUp, Wallet

pytestmark = pytest.mark.django_db

DEDUCT, TOPUP, WEBHOOK = "/io/wallet/deduct", "/io/wallet/topup-session", "/io/wallet/webhook"
BALANCE, TRANSACTIONS, RATES = "/io/wallet/balance", "/io/wallet/transactions", "/io/wallet/rates"
WRITES = [DEDUCT, TOPUP]
READS = [BALANCE, TRANSACTIONS, RATES]
ALL = [*WRITES, WEBHOOK, *READS]

GOOD: dict[str, dict[str, Any]] = {
    DEDUCT: {"user_id": "usr_1", "feature": "blog.article.generate"},
    TOPUP: {"user_id": "usr_1", "amountDollars": 10, "product": "blog", "returnUrl": "/"},
}


@pytest.fixture(autouse=True)
def nothing_moves(request, give, article_rate):
    """A user has 10 credits, and still has them when the test is over."""
    give("usr_1", 10)
    yield
    if not request.node.get_closest_marker("breaks_the_books"):
        assert ledger.available_of("usr_1") == 10
        assert Entry.objects.count() == 1
        assert TopUp.objects.count() == 1


def refused(response, path: str, status: int, sentence: str | None = None) -> None:
    """The answer is an error of that status in the path's envelope, and nothing else."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response["X-Request-ID"].startswith("req_")
    body = json.loads(response.content)
    assert set(body) == ({"error", "allowed"} if path == DEDUCT else {"error"})
    assert body.get("allowed", False) is False
    assert body["error"]
    if sentence is not None:
        assert body["error"] == sentence


# --- Bodies -----------------------------------------------------------------------------------------

NOT_JSON = "The body is not valid JSON"


BROKEN = (
    b" ",
    b"{",
    b"}",
    b"{]",
    b'{"user_id": "usr_1"',
    b'{"user_id": "usr_1",}',
    b"{'user_id': 'usr_1'}",
    b'{user_id: "usr_1"}',
    b'{"user_id" "usr_1"}',
    b"user_id=usr_1",
    b"<user_id>usr_1</user_id>",
    b'"unfinished',
    b'"a\nb"',
    b'{"user_id": "a\x00b"}',
    b"\x00",
    b'{"user_id": "\\x41"}',
    b'{"user_id": "\\ud8"}',
    b"{} {}",
    b"{}x",
    b"01",
    b"+1",
    b".5",
    b"0x10",
    b"tru",
    b"undefined",
    b'{"a": 1} // comment',
    b"\xef\xbb\xbf{}",
    b'{"count": ' + b"9" * 5000 + b"}",
    b'{"a": -' + b"9" * 5000 + b"}",
)


@pytest.mark.parametrize("path", WRITES)
def test_broken_json_is_refused(as_service, subtests, path):
    for body in BROKEN:
        with subtests.test(body=body[:30]):
            refused(as_service.post(path, raw=body), path, 400, NOT_JSON)


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_only_utf_8_is_read(as_service, path, encoding):
    body = json.dumps(GOOD[path] | {"user_id": "usr_é"}, ensure_ascii=False).encode(encoding)
    response = as_service.post(path, raw=body)
    refused(response, path, 400)
    assert json.loads(response.content)["error"] in (NOT_JSON, "The body is not UTF-8")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("body", [b'{"user_id": "\xff"}', b'{"user_id": "\xed\xa0\x80"}', b"\xc0\xaf"])
def test_broken_utf_8_is_refused(as_service, path, body):
    refused(as_service.post(path, raw=body), path, 400, "The body is not UTF-8")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    "body", [b"[]", b'[{"user_id": "usr_1"}]', b'"usr_1"', b"1", b"1.5", b"true", b"false"]
)
def test_a_body_is_an_object(as_service, path, body):
    refused(as_service.post(path, raw=body), path, 400, "The body must be a JSON object")


@pytest.mark.parametrize("path", WRITES)
def test_null_is_no_object(as_service, path):
    refused(as_service.post(path, raw=b"null"), path, 400, "The body must be a JSON object")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_empty_body_lacks_everything(as_service, path, body):
    # The test client leaves the option out where there is no body.
    response = as_service.post(path, raw=body, headers={"Content-Type": "application/json"})
    refused(response, path, 400, "user_id is required")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_javascripts_numbers_are_not_json(as_service, path, word):
    sentence = f"The body holds {word}, which is not JSON"
    refused(as_service.post(path, raw=b'{"unknown": %s}' % word.encode()), path, 400, sentence)


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400 + ".0"])
def test_a_number_that_would_be_infinite_is_refused(as_service, path, number):
    sentence = "The body holds a number that is too large"
    refused(as_service.post(path, raw=b'{"unknown": %s}' % number.encode()), path, 400, sentence)


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    "body",
    [
        b'{"user_id": "usr_1", "user_id": "usr_1"}',
        b'{"user_id": "usr_2", "user_id": "usr_1"}',
        b'{"user_id": "usr_1", "user\\u005fid": "usr_2"}',
        b'{"unknown": {"a": 1, "a": 2}}',
        b'{"unknown": [[{"": 1, "": 2}]]}',
    ],
)
def test_a_key_named_twice_is_refused(as_service, path, body):
    refused(as_service.post(path, raw=body), path, 400, "The body names a key twice")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 33 + b"]" * 33,
        b"[" * 32_000,
        b"[" * 32_000 + b"]" * 32_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"a":[' * 8_000,
        b'{"a": "[", "b": ' + b"[" * 40 + b"]" * 40 + b"}",
    ],
    ids=["just too deep", "open", "closed", "objects", "mixed", "behind a bracket in text"],
)
def test_nesting_bombs_are_refused_before_they_go_off(as_service, path, bomb):
    sentence = "The body is nested deeper than 32 levels"
    refused(as_service.post(path, raw=bomb), path, 400, sentence)


def test_nesting_up_to_32_is_read_and_brackets_in_text_do_not_nest(as_service):
    deep = b'{"unknown": %s, "text": "%s"}' % (b"[" * 31 + b"]" * 31, b'[{\\"' * 1000)
    refused(as_service.post(DEDUCT, raw=deep), DEDUCT, 400, "user_id is required")


@pytest.mark.parametrize("path", WRITES)
def test_a_body_over_64_kib_is_too_large(as_service, path):
    body = json.dumps(GOOD[path] | {"unknown": "x" * 65_536}).encode()
    refused(as_service.post(path, raw=body), path, 413, "The body is too large")


@pytest.mark.parametrize("length", ["99999999999999999999", "65537"])
def test_a_body_is_refused_by_the_length_it_declares(as_service, length):
    response = as_service.post(DEDUCT, raw=b"{}", CONTENT_LENGTH=length)
    refused(response, DEDUCT, 413, "The body is too large")


def test_a_body_of_64_kib_is_read(as_service):
    body = b'{"unknown": "%s"}' % (b"x" * (65_536 - 15))
    assert len(body) == 65_536
    refused(as_service.post(DEDUCT, raw=body), DEDUCT, 400, "user_id is required")


# --- Values -----------------------------------------------------------------------------------------


ODD_TEXTS = (
    b'"a\\u0000b"',
    b'"\\ud800"',
    b'"\\udfff\\ud800"',
    b'"a\\nb"',
    b'"\\u200b"',
    b'"\\u202eabc"',
    *(b'"a%bb"' % odd for odd in (b"\\u00a0", b"\\ufeff", b"\\u00ad", b"\\u200c", b"\\ue000")),
    *(b'"%b"' % blank for blank in (b"\\u3164", b"\\u2800 ", b" ")),
    b'"' + b"x" * 256 + b'"',
    b'""',
    b"1",
    b"1.0",
    b"1e0",
    b"true",
    b"null",
    b"[]",
    b"{}",
    b'["usr_1"]',
    b"9" * 30,
)


@pytest.mark.parametrize("path", WRITES)
def test_a_user_id_of_another_kind_is_refused(as_service, subtests, path):
    for text in ODD_TEXTS:
        with subtests.test(text=text[:20]):
            body = json.dumps(GOOD[path]).encode().replace(b'"usr_1"', text)
            refused(as_service.post(path, raw=body), path, 400)


NUMBERS = {DEDUCT: ("count", "count"), TOPUP: ("amountDollars", "amount_dollars")}
NO_INTEGERS = '10.0 1e1 1E1 10.5 1e-1 -0.0 true false [10] {} "10" "ten" "" "٣"'.split()


@pytest.mark.parametrize("path", WRITES)
def test_an_integer_is_exactly_a_json_integer(as_service, subtests, path):
    field, name = NUMBERS[path]
    for number in NO_INTEGERS:
        with subtests.test(number=number):
            body = json.dumps(GOOD[path] | {field: "HERE"}).replace('"HERE"', number).encode()
            refused(as_service.post(path, raw=body), path, 400, f"{name} must be an integer")


@pytest.mark.parametrize("path", WRITES)
def test_an_integer_has_bounds(as_service, subtests, path):
    field, _ = NUMBERS[path]
    for number in (10**30, -(10**30), 2**63, -(2**63), 10**4000, 0, -1):
        with subtests.test(digits=len(str(number))):
            refused(as_service.post(path, GOOD[path] | {field: number}), path, 400)


@pytest.mark.parametrize("path", [BALANCE, TRANSACTIONS])
def test_an_odd_user_id_in_the_address_is_refused(as_service, subtests, path):
    for odd in (
        "",
        "%00",
        "a%0ab",
        "%ed%a0%80",
        "%ff",
        "%e2%80%8b",
        "%e3%85%a4",
        "%20",
        "a%c2%a0b",
        "x" * 256,
    ):
        with subtests.test(odd=odd):
            response = as_service.client.get(f"{path}?user_id={odd}", headers=as_service.headers)
            refused(response, path, 400)


@pytest.mark.parametrize("path", READS)
def test_too_many_parameters_are_refused_or_ignored(as_service, path):
    query = "&".join(["a"] * 1001)
    response = as_service.client.get(f"{path}?user_id=usr_1&{query}", headers=as_service.headers)
    if path == RATES:
        assert response.status_code == 200
    else:
        refused(response, path, 400)


# --- Media types ------------------------------------------------------------------------------------


NOT_JSON_TYPES = (
    "",
    "text/plain",
    "text/html",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/jsonp",
    "application/json2",
    "application/problem+json",
    "application",
    "*/*",
    "json",
    "application/json; charset=utf-16",
    "application/json; charset=latin-1",
    "application/json, text/plain",
    "text/plain; application/json",
)


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("empty", [True, False], ids=["empty body", "good body"])
def test_a_post_that_does_not_say_it_is_json_is_refused(as_service, subtests, path, empty):
    raw = b"" if empty else json.dumps(GOOD[path]).encode()
    for media_type in NOT_JSON_TYPES:
        with subtests.test(media_type=media_type):
            headers = {"Content-Type": media_type}
            response = as_service.post(path, raw=raw, content_type=media_type, headers=headers)
            refused(response, path, 415, "Content-Type must be application/json")


@pytest.mark.parametrize("path", WRITES)
def test_a_post_without_a_media_type_is_refused(as_service, path):
    refused(as_service.post(path, raw=b""), path, 415)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json ; charset=utf8",
    ],
)
def test_json_may_be_said_in_several_ways(as_service, media_type):
    response = as_service.post(DEDUCT, raw=b"{}", content_type=media_type)
    refused(response, DEDUCT, 400, "user_id is required")


@pytest.mark.parametrize("path", [BALANCE, TRANSACTIONS, RATES])
def test_a_get_may_carry_any_media_type(as_service, path):
    """The published client sends a Content-Type with every call."""
    for media_type in ("application/json", "text/plain", "nonsense"):
        headers = as_service.headers | {"Content-Type": media_type}
        assert as_service.client.get(path, {"user_id": "usr_1"}, headers=headers).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png", "*/*;q=0", "", "nonsense"])
def test_whatever_is_accepted_the_answer_is_json(as_service, accept):
    headers = as_service.headers | {"Accept": accept}
    for path, status in {
        BALANCE: 200,
        TRANSACTIONS: 200,
        RATES: 200,
        DEDUCT: 405,
        "/io/wallet/x": 404,
    }.items():
        response = as_service.client.get(path, {"user_id": "usr_1"}, headers=headers)
        assert response.status_code == status
        assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", READS)
def test_no_format_is_chosen_by_the_address(as_service, path):
    response = as_service.get(path, user_id="usr_1", format="api")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"


# --- Addresses and methods --------------------------------------------------------------------------


UNKNOWN = (
    "/io/wallet/",
    "/io/wallet",
    "/io/wallet/nothing",
    "/io/wallet/Balance",
    "/io/wallet/balance.json",
    "/io/wallet/balance%20",
    "/io/wallet/balance/usr_1",
    "/io/wallet//balance",
    "/io/wallet/../wallet/balance/x",
    "/io/wallet/%ff",
    "/io/wallet/%00",
    "/io/wallet/topup_session",
    "/io/wallet/\N{SNOWMAN}",
)


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_unknown_address_is_404_in_json(as_service, subtests, method):
    for path in UNKNOWN:
        with subtests.test(path=path):
            refused(getattr(as_service.client, method)(path, headers=as_service.headers), path, 404)


@pytest.mark.parametrize("method", ["get", "post", "put"])
def test_a_trailing_slash_is_404_never_a_redirect(as_service, subtests, method):
    for path in ALL:
        with subtests.test(path=path):
            response = getattr(as_service.client, method)(f"{path}/", headers=as_service.headers)
            refused(response, path, 404)


@pytest.mark.parametrize("path", ["/mail/v1/nothing", "/v1/nothing", "/mail/v1/", "/v1/", "/mail/v1", "/v1"])
def test_below_the_mail_api_an_unknown_address_has_the_mail_envelope(as_anonymous, path):
    response = as_anonymous.get(path)
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    assert set(response.json()) == {"success", "error"}
    assert response.json()["success"] is False


METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize("who", ["as_service", "as_anonymous"])
def test_a_wrong_method_is_405_and_says_which_is_right(request, subtests, path, who):
    caller = request.getfixturevalue(who)
    right = {"GET", "HEAD"} if path in READS else {"POST"}
    for method in sorted(METHODS - right - {"HEAD"}):
        with subtests.test(method=method):
            response = caller.client.generic(method, path, headers=caller.headers)
            refused(response, path, 405, "Method not allowed")
            assert set(response["Allow"].split(", ")) == right


@pytest.mark.parametrize("path", [*WRITES, WEBHOOK])
def test_head_is_405_where_nothing_is_read(as_service, path):
    response = as_service.client.head(path, headers=as_service.headers)
    assert response.status_code == 405
    assert response["Allow"] == "POST"


# --- Hosts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*ALL, "/io/wallet/nothing"])
def test_a_host_that_is_not_ours_is_400_in_json(as_service, settings, subtests, path):
    settings.ALLOWED_HOSTS = ["testserver"]
    method = "get" if path in READS else "post"
    for host in ("evil.com", "testserver.evil.com", "testserver@evil.com", "a b", "", "%00", "::1", "é"):
        with subtests.test(host=host):
            response = getattr(as_service.client, method)(path, headers=as_service.headers | {"Host": host})
            refused(response, path, 400)


def test_a_host_that_is_not_ours_gets_a_page_elsewhere(client, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    response = client.get("/docs", headers={"Host": "evil.com"})
    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/html")
    assert b"evil.com" not in response.content


# --- Crashes ----------------------------------------------------------------------------------------


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("path", "table"),
    [
        (BALANCE, "wallet_wallet"),
        (TRANSACTIONS, "wallet_entry"),
        (RATES, "wallet_rate"),
        (DEDUCT, "wallet_rate"),
        (DEDUCT, "wallet_entry"),
        (DEDUCT, "accounts_servicekey"),
        (TOPUP, "wallet_topup"),
        (BALANCE, "accounts_ratecounter"),
    ],
)
def test_a_crash_is_500_in_json_and_tells_nothing(as_service, path, table):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO gone")
    if path in READS:
        response = as_service.get(path, user_id="usr_1")
    else:
        response = as_service.post(path, GOOD[path])
    refused(response, path, 500, "Something went wrong on our side.")
    transaction.set_rollback(True)


@pytest.mark.breaks_the_books
def test_a_crash_between_the_halves_of_a_charge_undoes_the_first(as_service):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_entry RENAME TO gone")
    refused(as_service.post(DEDUCT, GOOD[DEDUCT]), DEDUCT, 500)
    assert Wallet.objects.get(pk="usr_1").balance == 10
    transaction.set_rollback(True)


@pytest.mark.breaks_the_books
def test_a_crash_of_the_webhook_is_5xx_in_json(deliver, checkout_event):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_stripeevent RENAME TO gone")
    refused(deliver(checkout_event()), WEBHOOK, 500, "Something went wrong on our side.")
