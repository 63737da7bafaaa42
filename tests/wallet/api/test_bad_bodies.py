"""Whatever is sent to an endpoint that reads JSON, a body of another kind is refused and moves nothing."""

import json

import pytest

from tests.wallet.api.endpoints import (
    BALANCE,
    BUDGETS,
    CAPTURE,
    DEDUCT,
    EXTEND,
    FUNDS,
    GOOD,
    GRANT_VOID,
    GRANTS,
    HOLD,
    HOLDS,
    QUOTE,
    RATES,
    REFUND,
    TOPUP,
    TRANSACTIONS,
    WRITES,
    refused,
    write,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_moves")]


@pytest.fixture
def all_refuse(as_service, subtests):
    """Send a body to each endpoint, which refuses it with this status and this sentence."""

    def send(raw: bytes, status: int, sentence: str | None = None, code: str = "", **options) -> None:
        for path in WRITES:
            with subtests.test(path=path, body=raw[:30]):
                response = write(as_service, path, raw=raw, **options)
                refused(response, path, status, sentence)
                assert response.json().get("code", code) == code

    return send


# --- Not JSON ---------------------------------------------------------------------------------------

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
            refused(write(as_service, path, raw=body), path, 400, NOT_JSON)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_only_utf_8_is_read(as_service, subtests, encoding):
    for path in WRITES:
        with subtests.test(path=path):
            text = json.dumps(GOOD[path] | {"user_id": "usr_é"}, ensure_ascii=False)
            response = write(as_service, path, raw=text.encode(encoding))
            refused(response, path, 400)
            assert json.loads(response.content)["error"] in (NOT_JSON, "The body is not UTF-8")


@pytest.mark.parametrize("body", [b'{"user_id": "\xff"}', b'{"user_id": "\xed\xa0\x80"}', b"\xc0\xaf"])
def test_broken_utf_8_is_refused(all_refuse, body):
    all_refuse(body, 400, "The body is not UTF-8", "invalid")


@pytest.mark.parametrize(
    "body", [b"[]", b'[{"user_id": "usr_1"}]', b'"usr_1"', b"1", b"1.5", b"true", b"false", b"null"]
)
def test_a_body_is_an_object(all_refuse, body):
    all_refuse(body, 400, "The body must be a JSON object", "invalid")


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_empty_body_lacks_everything(all_refuse, body):
    # The test client leaves the option out where there is no body.
    all_refuse(body, 400, "user_id is required", "invalid", headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_javascripts_numbers_are_not_json(all_refuse, word):
    sentence = f"The body holds {word}, which is not JSON"
    all_refuse(b'{"unknown": %s}' % word.encode(), 400, sentence, "invalid")


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400 + ".0"])
def test_a_number_that_would_be_infinite_is_refused(all_refuse, number):
    sentence = "The body holds a number that is too large"
    all_refuse(b'{"unknown": %s}' % number.encode(), 400, sentence, "invalid")


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
def test_a_key_named_twice_is_refused(all_refuse, body):
    all_refuse(body, 400, "The body names a key twice", "invalid")


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
def test_nesting_bombs_are_refused_before_they_go_off(all_refuse, bomb):
    all_refuse(bomb, 400, "The body is nested deeper than 32 levels", "invalid")


def test_nesting_up_to_32_is_read_and_brackets_in_text_do_not_nest(all_refuse):
    deep = b'{"unknown": %s, "text": "%s"}' % (b"[" * 31 + b"]" * 31, b'[{\\"' * 1000)
    all_refuse(deep, 400, "user_id is required", "invalid")


def test_a_body_over_64_kib_is_too_large(all_refuse):
    all_refuse(b'{"unknown": "%s"}' % (b"x" * 65_536), 413, "The body is too large", "too_large")


@pytest.mark.parametrize("length", ["99999999999999999999", "65537"])
def test_a_body_is_refused_by_the_length_it_declares(all_refuse, length):
    all_refuse(b"{}", 413, "The body is too large", "too_large", CONTENT_LENGTH=length)


def test_a_body_of_64_kib_is_read(all_refuse):
    body = b'{"unknown": "%s"}' % (b"x" * (65_536 - 15))
    assert len(body) == 65_536
    all_refuse(body, 400, "user_id is required", "invalid")


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
    b"[]",
    b"{}",
    b'["usr_1"]',
    b"9" * 30,
)
# Every text that names something, and the longest it may be.
TEXTS = {
    DEDUCT: {"user_id": 255, "feature": 100, "idempotency_key": 255},
    TOPUP: {"user_id": 255, "product": 100},
    QUOTE: {"user_id": 255, "feature": 100},
    HOLDS: {"user_id": 255, "feature": 100, "idempotency_key": 255},
    REFUND: {
        "user_id": 255, "transaction_id": 40, "charge_key": 255, "hold_id": 40, "idempotency_key": 255,
    },
    CAPTURE: {"user_id": 255},
    EXTEND: {"user_id": 255},
    GRANTS: {"user_id": 255, "idempotency_key": 255},
    GRANT_VOID: {"user_id": 255},
    BUDGETS: {"user_id": 255},
}  # fmt: skip
OPTIONAL = {
    (DEDUCT, "idempotency_key"),
    *((REFUND, name) for name in ("transaction_id", "charge_key", "hold_id")),
}


@pytest.mark.parametrize("path", TEXTS)
def test_a_text_of_another_kind_is_refused(as_service, subtests, path):
    for name, longest in TEXTS[path].items():
        odd = [*ODD_TEXTS, b'"%b"' % (b"x" * (longest + 1))]
        for text in odd if (path, name) in OPTIONAL else [*odd, b"null"]:
            with subtests.test(name=name, text=text[:20]):
                body = json.dumps(GOOD[path] | {name: "HERE"}).encode().replace(b'"HERE"', text)
                response = write(as_service, path, raw=body)
                refused(response, path, 400)
                assert response.json()["error"].startswith(f"{name} ")


@pytest.mark.parametrize("path", TEXTS)
def test_a_missing_field_is_named(as_service, subtests, path):
    for name in GOOD[path].keys() & TEXTS[path].keys() - {"charge_key"}:
        with subtests.test(name=name):
            body = {other: value for other, value in GOOD[path].items() if other != name}
            refused(write(as_service, path, body), path, 400, f"{name} is required")


# Each integer with its name in errors, and its bounds.
NUMBERS = {
    DEDUCT: {"count": ("count", 1, 1_000_000)},
    TOPUP: {"amountDollars": ("amount_dollars", 10, 100_000)},
    QUOTE: {"count": ("count", 1, 1_000_000)},
    HOLDS: {"count": ("count", 1, 1_000_000), "ttl_seconds": ("ttl_seconds", 1, 604_800)},
    CAPTURE: {"count": ("count", 1, 1_000_000)},
    EXTEND: {"ttl_seconds": ("ttl_seconds", 1, 604_800)},
    REFUND: {"credits": ("credits", 1, 10**15)},
    GRANTS: {"credits": ("credits", 1, 1_000_000)},
    BUDGETS: {"credits": ("credits", 0, 10**9), "alert_percent": ("alert_percent", 1, 100)},
}
NO_INTEGERS = '10.0 1e1 1E1 10.5 1e-1 -0.0 true false [10] {} "10" "ten" "" "٣"'.split()


@pytest.mark.parametrize("path", NUMBERS)
def test_an_integer_is_exactly_a_json_integer(as_service, subtests, path):
    for field, (name, _, _) in NUMBERS[path].items():
        for number in NO_INTEGERS:
            with subtests.test(field=field, number=number):
                body = json.dumps(GOOD[path] | {field: "HERE"}).replace('"HERE"', number).encode()
                refused(write(as_service, path, raw=body), path, 400, f"{name} must be an integer")


@pytest.mark.parametrize("path", NUMBERS)
def test_an_integer_has_bounds(as_service, subtests, path):
    for field, (name, least, most) in NUMBERS[path].items():
        for number in (least - 1, most + 1, 10**30, -(10**30), 2**63, -(2**63), 10**4000, -1):
            with subtests.test(field=field, digits=len(str(number))):
                response = write(as_service, path, GOOD[path] | {field: number})
                if path == TOPUP:
                    refused(response, path, 400)
                else:
                    bound = f"at least {least}" if number < least else f"at most {most}"
                    refused(response, path, 400, f"{name} must be {bound}")


@pytest.mark.parametrize("path", [BALANCE, TRANSACTIONS, FUNDS, HOLDS, HOLD, GRANTS, BUDGETS])
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
def test_a_write_that_does_not_say_it_is_json_is_refused(as_service, subtests, path, empty):
    raw = b"" if empty else json.dumps(GOOD[path]).encode()
    for media_type in NOT_JSON_TYPES:
        with subtests.test(media_type=media_type):
            headers = {"Content-Type": media_type}
            response = write(as_service, path, raw=raw, content_type=media_type, headers=headers)
            refused(response, path, 415, "Content-Type must be application/json")


def test_a_write_without_a_media_type_is_refused(all_refuse):
    all_refuse(b"", 415, "Content-Type must be application/json", "not_json")


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
def test_json_may_be_said_in_several_ways(all_refuse, media_type):
    all_refuse(b"{}", 400, "user_id is required", "invalid", content_type=media_type)


@pytest.mark.parametrize("path", [BALANCE, TRANSACTIONS, RATES, FUNDS, HOLDS, GRANTS, BUDGETS])
def test_a_get_may_carry_any_media_type(as_service, path):
    """The published client sends a Content-Type with every call."""
    for media_type in ("application/json", "text/plain", "nonsense"):
        headers = as_service.headers | {"Content-Type": media_type}
        assert as_service.client.get(path, {"user_id": "usr_1"}, headers=headers).status_code == 200
