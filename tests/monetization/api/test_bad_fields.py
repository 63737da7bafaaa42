"""Field by field, what may not stand in it; and nothing is recorded."""

import pytest

from foundation import money
from tests.monetization.conftest import (
    CHANGE,
    GOOD,
    SPONSOR_BODY,
    SPONSORS,
    SUBSCRIPTIONS,
    TIP,
    field_errors,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_is_recorded")]

WRITES = list(GOOD)


# --- Integers ---------------------------------------------------------------------------------------

NO_INTEGERS = ("500", "", 500.0, 500.5, True, False, [500], {"cents": 500}, "5e2")


@pytest.mark.parametrize(
    ("path", "field", "lowest", "highest"),
    [
        (TIP, "amount_cents", 50, 100_000),
        (SUBSCRIPTIONS, "amount_cents", 0, 99_999_999),
        (SPONSORS, "price_cents", 0, 99_999_999),
        (CHANGE, "amount_cents", 0, 99_999_999),
    ],
)
def test_an_amount_is_a_json_integer_within_its_bounds(send, subtests, path, field, lowest, highest):
    body = GOOD.get(path, {})
    for value in NO_INTEGERS:
        with subtests.test(value=value):
            assert field_errors(send(path, body | {field: value})) == {field: ["Must be an integer"]}
    for value in (lowest - 1, -(10**30)):
        errors = field_errors(send(path, body | {field: value}))
        assert errors == {field: [f"Must be at least {lowest}"]}
    for value in (highest + 1, 2**63, 10**300):
        errors = field_errors(send(path, body | {field: value}))
        assert errors == {field: [f"Must be at most {highest}"]}


@pytest.mark.parametrize("raw", [b"5e2", b"500.0", b"5E2", b"-0.0"])
def test_a_number_written_otherwise_is_no_integer(api, raw):
    errors = field_errors(api.post(TIP, raw=b'{"amount_cents": ' + raw + b"}"))
    assert errors == {"amount_cents": ["Must be an integer"]}


@pytest.mark.parametrize("currency", ["ISK", "UGX"])
def test_some_currencies_are_counted_in_hundredths_and_charged_whole(api, currency):
    for path, field in ((TIP, "amount_cents"), (SUBSCRIPTIONS, "amount_cents"), (SPONSORS, "price_cents")):
        errors = field_errors(api.post(path, GOOD[path] | {field: 550, "currency": currency.lower()}))
        assert errors == {field: [f"Must be a multiple of 100 in {currency}"]}


@pytest.mark.parametrize("currency", ["BHD", "JOD", "KWD", "OMR", "TND"])
def test_the_last_of_three_decimals_is_nought(api, currency):
    for path, field in ((TIP, "amount_cents"), (SUBSCRIPTIONS, "amount_cents"), (SPONSORS, "price_cents")):
        errors = field_errors(api.post(path, GOOD[path] | {field: 505, "currency": currency}))
        assert errors == {field: [f"Must be a multiple of 10 in {currency}"]}


# --- Text -------------------------------------------------------------------------------------------

TEXTS = [
    (TIP, "name", 200),
    (TIP, "message", 500),
    (TIP, "stripe_payment_id", 255),
    (SUBSCRIPTIONS, "plan", 100),
    (SUBSCRIPTIONS, "stripe_subscription_id", 255),
    (SPONSORS, "sponsor_name", 200),
    (CHANGE, "plan", 100),
]
PEOPLES_TEXTS = [row for row in TEXTS if not row[1].startswith("stripe")]
STRIPE_IDS = [row for row in TEXTS if row not in PEOPLES_TEXTS]
PRINTABLE_NOWHERE = (
    "\x00",
    "\x07",
    "\t",
    "\r",
    "\x0b",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\x9b",
    "\u2028",
    "\u2029",
    "\ufffe",
    "\ufdd0",
    "\u202e",  # right-to-left override
    "\u202d",
    "\u2066",
    "\u2069",
    "\ud800",  # a lone surrogate
    "\udfff",
    "\ue000",  # private use
    "\U000f0000",
)
PRINTABLE_IN_TEXT_ALONE = (
    "\u200c",
    "\u200d",
    "\u200e",
    "\u061c",
    "\u200b",  # zero-width space
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u00a0",
    "\u3000",
    "\U000e0041",  # a tag
)


@pytest.mark.parametrize(("path", "field", "longest"), TEXTS)
def test_a_text_has_a_length(send, path, field, longest):
    for filler in ("x", "é", "漢"):
        errors = field_errors(send(path, GOOD.get(path, {}) | {field: filler * (longest + 1)}))
        assert errors == {field: [f"Must be at most {longest} characters"]}


@pytest.mark.parametrize(("path", "field", "longest"), TEXTS)
def test_a_text_is_a_json_string(send, subtests, path, field, longest):
    for value in (7, 7.5, True, ["a"], {"a": "b"}):
        with subtests.test(value=value):
            errors = field_errors(send(path, GOOD.get(path, {}) | {field: value}))
            assert errors == {field: ["Must be text"]}
    assert field_errors(send(path, GOOD.get(path, {}) | {field: ""})) == {field: ["Must not be empty"]}


@pytest.mark.parametrize(
    ("path", "field", "refused"),
    [
        *((path, field, PRINTABLE_NOWHERE) for path, field, _ in TEXTS),
        *((path, field, PRINTABLE_IN_TEXT_ALONE) for path, field, _ in STRIPE_IDS),
    ],
)
def test_an_unprintable_character_is_refused(send, subtests, path, field, refused):
    for character in refused:
        with subtests.test(character=ascii(character)):
            errors = field_errors(send(path, GOOD.get(path, {}) | {field: f"a{character}b"}))
            assert errors == {field: ["Must hold printable characters only"]}


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, field, _ in TEXTS if field != "message"])
def test_only_a_message_has_several_lines(send, path, field):
    errors = field_errors(send(path, GOOD.get(path, {}) | {field: "a\nb"}))
    assert errors == {field: ["Must hold printable characters only"]}


SHOWS_NOTHING = (
    " ",
    "   ",
    "\u3164",
    "\u2800",
    "\u115f\u1160",
    "\N{COMBINING ACUTE ACCENT}",
    " \ufe0f\U000e0100",
)
SHOWS_NOTHING_IN_TEXT = (
    "\N{NO-BREAK SPACE}",
    "\N{IDEOGRAPHIC SPACE} ",
    "\N{ZERO WIDTH JOINER}",
    " \u200c ",
    "\u200b\u3164",
    "\U000e0041",
)


@pytest.mark.parametrize(
    ("path", "field", "refused"),
    [
        *((path, field, SHOWS_NOTHING) for path, field, _ in TEXTS),
        *((path, field, SHOWS_NOTHING_IN_TEXT) for path, field, _ in PEOPLES_TEXTS),
    ],
)
def test_a_text_that_shows_nothing_is_refused(send, subtests, path, field, refused):
    for value in refused:
        with subtests.test(value=ascii(value)):
            errors = field_errors(send(path, GOOD.get(path, {}) | {field: value}))
            assert errors == {field: ["Must not be empty"]}


# --- E-mail addresses -------------------------------------------------------------------------------

NO_ADDRESSES = (
    "nobody",
    "@example.com",
    "a@",
    "a@b@example.com",
    "a b@example.com",
    " a@example.com",
    "a@example.com ",
    "a@example.com,b@example.com",
    "a@example.com;b@example.com",
    "a,b@example.com",
    "<a@example.com>",
    "Alex <a@example.com>",
    '"Alex" <a@example.com>',
    "a@example.com>",
    "a<b@example.com",
    '"a b"@example.com',
    '"a,b"@example.com',
    '"a<b>"@example.com',
    '"a"@example.com',
    "a@example.com%0aBcc:b@example.com",
    "a%0abcc@example.com",
    "a%0D%0Abcc@example.com",
    "a@example.com?subject=x",
    "mailto:a@example.com",
    "a@exa mple.com",
    "a@example..com",
    "a@-example.com",
    ".a@example.com",
    "a..b@example.com",
    "a@example.com.",
    "é@example.com",
    "a@example",
    "reader-0f@erased.invalid",
    "a@ERASED.invalid",
)
UNPRINTABLE_ADDRESSES = (
    "a@example.com\n",
    "a@example.com\r\nBcc: b@example.com",
    "a\n@example.com",
    "a@example.com\x00",
    "a\t@example.com",
    "a\u202e@example.com",
    "a\u200b@example.com",
)


@pytest.mark.parametrize(("path", "field"), [(TIP, "email"), (SUBSCRIPTIONS, "subscriber_email")])
def test_an_address_is_one_plain_address(api, subtests, path, field):
    for value in NO_ADDRESSES:
        with subtests.test(value=value):
            errors = field_errors(api.post(path, GOOD[path] | {field: value}))
            assert errors == {field: ["Must be an e-mail address"]}
    for value in UNPRINTABLE_ADDRESSES:
        with subtests.test(value=ascii(value)):
            errors = field_errors(api.post(path, GOOD[path] | {field: value}))
            assert errors == {field: ["Must hold printable characters only"]}
    for other in (7, ["a@example.com"], {"email": "a@example.com"}):
        assert field_errors(api.post(path, GOOD[path] | {field: other})) == {field: ["Must be text"]}


@pytest.mark.parametrize(("path", "field"), [(TIP, "email"), (SUBSCRIPTIONS, "subscriber_email")])
def test_an_address_has_up_to_254_characters(api, path, field):
    too_long = "a" * 60 + "@" + "b" * 60 + "." + "c" * 60 + "." + "d" * 60 + ".example.com"
    assert len(too_long) == 255
    errors = field_errors(api.post(path, GOOD[path] | {field: too_long}))
    assert errors == {field: ["Must be at most 254 characters"]}


# --- Web addresses ----------------------------------------------------------------------------------

NO_WEB_ADDRESSES = (
    "example.com",
    "//example.com",
    "/logo.png",
    "https:",
    "https://",
    "https:example.com",
    "https:/example.com",
    "https:///example.com",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript://example.com/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:image/png;base64,AAAA",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://example.com/logo.png",
    "blob:https://example.com/1",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://@example.com/",
    "https://example.com@evil.example/",
    "https://example.com\\@evil.example/",
    "https:\\\\example.com",
    "https://example.com/a b",
    " https://example.com/",
    "https://example.com/ ",
    "https://exam ple.com/",
    'https://example.com/"onload=',
    "https://example.com/<script>",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:port/",
    "https://[::1/",
    "https://exämple.com/",
    "https://example.com/é",
    "https://example.com%2f@evil.example/",
    "https://.",
    "https://..",
    "https://-",
    "https://?",
    "https://#",
    "https://:443/",
)
UNPRINTABLE_WEB_ADDRESSES = (
    "java\nscript:alert(1)",
    "https://example.com/\n",
    "https://exam\tple.com/",
    "\x00https://example.com/",
    "https://example.com/\u202egnp.exe",
    "https://example\u200b.com/",
)


@pytest.mark.parametrize(("field", "kind"), [("logo_url", "an https"), ("target_url", "an http or https")])
def test_an_address_to_click_or_show_is_a_plain_web_address(api, subtests, field, kind):
    for value in NO_WEB_ADDRESSES:
        with subtests.test(value=value):
            errors = field_errors(api.post(SPONSORS, SPONSOR_BODY | {field: value}))
            assert errors == {field: [f"Must be {kind} address without credentials"]}
    for value in UNPRINTABLE_WEB_ADDRESSES:
        with subtests.test(value=ascii(value)):
            errors = field_errors(api.post(SPONSORS, SPONSOR_BODY | {field: value}))
            assert errors == {field: ["Must hold printable characters only"]}
    for other in (7, ["https://example.com"], True):
        assert field_errors(api.post(SPONSORS, SPONSOR_BODY | {field: other})) == {field: ["Must be text"]}
    too_long = "https://example.com/".ljust(2049, "x")
    errors = field_errors(api.post(SPONSORS, SPONSOR_BODY | {field: too_long}))
    assert errors == {field: ["Must be at most 2048 characters"]}


def test_a_logo_is_https_alone(api):
    errors = field_errors(api.post(SPONSORS, SPONSOR_BODY | {"logo_url": "http://example.com/logo.png"}))
    assert errors == {"logo_url": ["Must be an https address without credentials"]}


# --- Words, currencies, moments ---------------------------------------------------------------------

NO_CURRENCIES = (
    "XXX",
    "XTS",
    "US",
    "USDX",
    "usd ",
    "$",
    "dollars",
    "BTC",
    "ＵＳＤ",
    "uſd",
    "123",
    "XAU",
    "DEM",
)


@pytest.mark.parametrize("path", WRITES)
def test_an_unknown_currency_is_refused(api, subtests, path):
    for value in NO_CURRENCIES:
        with subtests.test(value=value):
            errors = field_errors(api.post(path, GOOD[path] | {"currency": value}))
            assert errors == {"currency": ["Must be an ISO 4217 currency code we know"]}
    for other in (840, ["USD"], True):
        assert field_errors(api.post(path, GOOD[path] | {"currency": other})) == {
            "currency": ["Must be text"]
        }


def test_the_allow_list_holds_what_stripe_counts():
    assert {"USD", "EUR", "GBP", "JPY", "ISK", "KWD"} <= set(money.EXPONENTS)
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in money.EXPONENTS)


@pytest.mark.parametrize(
    ("path", "field", "words"),
    [(SPONSORS, "position", "header, footer, inline"), (CHANGE, "status", "active, past_due, cancelled")],
)
def test_a_word_is_one_of_the_known_ones_exactly(send, subtests, path, field, words):
    first = words.split(",")[0]
    for value in ("", "x", first.upper(), f"{first} ", 1, 0, True, [first], {first: 1}):
        with subtests.test(value=value):
            errors = field_errors(send(path, GOOD.get(path, {}) | {field: value}))
            assert errors == {field: [f"Must be one of {words}"]}


NO_MOMENTS = (
    "",
    "now",
    "2025",
    "2025-12",
    "20251201",
    "20251201T000000Z",
    "2025-W49-1",
    "2025-335",
    "01.12.2025",
    "12/01/2025",
    "2025-12-01T",
    "2025-12-01T00",
    "2025-12-01T00:00:00 Z",
    "2025-12-01T00:00:00ZZ",
    "2025-12-01T00:00:00+",
    "2025-12-01T00:00:00+1",
    "2025-12-01T00:00:00+25:00",
    "2025-12-01T00:00:00+00:60",
    "2025-12-01T00:00:00.Z",
    "2025-12-01T24:00:01Z",
    "2025-12-01T23:59:60Z",
    "2025-12-01T23:60:00Z",
    "2025-13-01",
    "2025-00-01",
    "2025-02-30",
    "2023-02-29",
    "0000-01-01",
    "10000-01-01",
    "-0001-01-01",
    "+2025-12-01",
    " 2025-12-01",
    "2025-12-01 ",
    "2025-12-01\n",
    "２０２５-12-01",
    "٢٠٢٥-12-01",
    "2025-12-01T00:00:00Z; DROP TABLE tips",
    "2025-12-01T00:00:00Z\x00",
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00",
    "2025-12-01T00:00:00." + "9" * 100 + "Z",
    1764547200,
    1764547200.5,
    True,
    ["2025-12-01"],
    {"date": "2025-12-01"},
)


@pytest.mark.parametrize(
    ("path", "field"), [(SPONSORS, "active_from"), (SPONSORS, "active_until"), (CHANGE, "occurred_at")]
)
def test_a_moment_is_iso_8601(send, subtests, path, field):
    for value in NO_MOMENTS:
        with subtests.test(value=value):
            body = GOOD.get(path, {"status": "cancelled"}) | {field: value}
            assert field_errors(send(path, body)) == {field: ["Must be a time in ISO 8601"]}


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("2025-12-01", "2025-12-01"),
        ("2025-12-02", "2025-12-01"),
        ("2025-12-01T00:00:00Z", "2025-12-01T00:00:00.999Z"),  # The same whole second.
        ("2025-12-01T00:00:00-01:00", "2025-12-01T00:30:00Z"),
        ("9999-12-31", "0001-01-01"),
    ],
)
def test_a_period_ends_after_it_begins(api, begins, ends):
    errors = field_errors(api.post(SPONSORS, SPONSOR_BODY | {"active_from": begins, "active_until": ends}))
    assert errors == {"active_until": ["Must be after active_from"]}
