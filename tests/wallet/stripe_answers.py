"""Good and wrong answers of Stripe, for a server in its place."""

from typing import Any

from tests.scripted_server import Answer, ScriptedServer, content, json_of

SESSIONS = "/v1/checkout/sessions"
PAGE = "https://checkout.stripe.com/c/pay/cs_test_1#fid%2Fx"
UNAVAILABLE = {"error": "Checkout is not available right now; please try again."}
KEY = "1f" * 16
NEW: dict[str, Any] = {"id": "cs_test_1", "object": "checkout.session", "url": PAGE, "status": "open"}
PAID: dict[str, Any] = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "mode": "payment",
    "status": "complete",
    "payment_status": "paid",
    "amount_total": 2500,
    "currency": "usd",
    "livemode": False,
    "created": 1_780_000_000,
    "payment_intent": "pi_1",
    "metadata": {"type": "wallet_topup", "user_id": "usr_1", "product": "blog"},
    "url": None,
}
# The whole answer is no session.
NO_SESSION: dict[str, Answer] = {
    "no JSON": content(b"hello"),
    "half a JSON": content(b'{"id": "cs_test_1", "url": "htt'),
    "nothing": content(b""),
    "HTML": content(b"<html><body>Maintenance</body></html>", Content_Type="text/html"),
    "no UTF-8": content(b'{"id": "\xff\xfe"}'),
    "null": json_of(None),
    "a list": json_of([NEW]),
    "an empty list": json_of([]),
    "a text": json_of("cs_test_1"),
    "a number": json_of(7),
    "true": json_of(True),
    "an empty object": json_of({}),
    "nested deeply": content(b'{"a":' * 400 + b"1" + b"}" * 400),
    "nested without end": content(b"[" * 200_000),
    "a list of lists": json_of({"object": "list", "data": [[]], "has_more": False}),
    "an error with 200": json_of({"error": {"message": "no"}}),
    "a number of 5000 digits": content(b'{"id": ' + b"9" * 5000 + b"}"),
    "not modified": content(b"", 304),
    "see other": content(b"{}", 302, Location="/elsewhere"),
    "another host": content(b"{}", 307, Location="http://127.0.0.1:9/v1/checkout/sessions"),
    "no content": content(b"", 204),
}
ERRORS: list[Any] = [
    "out of order",
    "invalid_request",
    None,
    [],
    7,
    {},
    {"code": []},
    {"type": {}, "message": 1},
]
# `error` is no object; the library itself stumbles over some of these.
WRONG_ERRORS: dict[str, Answer] = {
    f"{status} {error!r}": json_of({"error": error}, status)
    for status in (400, 401, 402, 404, 409, 429, 500)
    for error in ERRORS
}
WRONG_IDS: list[Any] = [
    None,
    "",
    7,
    True,
    [],
    {},
    "x" * 400,
    "cs\0test",
    "cs test",
    "cs_tést",
    "cs\u2028",
    "\ud800",
    "a\n",
]
WRONG_URLS: list[Any] = [
    None,
    "",
    7,
    True,
    [PAGE],
    {"href": PAGE},
    "javascript:alert(1)",
    "data:text/html,x",
    "/c/pay/cs_test_1",
    "//checkout.stripe.com/c",
    "http://checkout.stripe.com/c/pay/cs_test_1",
    "https://checkout.stripe.com.evil.example/c",
    "https://checkout.stripe.com@evil.example/c",
    "https://checkout.stripe.com:8443/c",
    "https://evil.example/https://checkout.stripe.com/",
    "https:checkout.stripe.com/c",
    "https://checkout.stripe.com",
    "https://checkout.stripe.com/\n",
    "https://checkout.stripe.com/\\evil",
    " https://checkout.stripe.com/c",
    "https://checkout.stripe.com/c\0",
    "https://checkout.stripe.com/☃",
    PAGE + "x" * 5000,
]
WRONG_SESSIONS: list[dict[str, Any]] = [
    {"id": "cs_test_2"},
    {"id": None},
    {"object": "payment_intent"},
    {"mode": []},
    {"status": {}},
    {"payment_status": 7},
    {"payment_status": ["paid"]},
    {"metadata": []},
    {"metadata": "wallet_topup"},
    {"metadata": [["type", "wallet_topup"]]},
    {"created": None},
    {"created": "1780000000"},
    {"created": 1_780_000_000.0},
    {"created": True},
    {"created": -1},
    {"created": 10**18},
]
# Sessions of the right shape whose payment cannot be credited. Staff read why.
UNCREDITABLE: list[dict[str, Any]] = [
    {"amount_total": "2500"},
    {"amount_total": -2500},
    {"amount_total": 2500.0},
    {"amount_total": True},
    {"amount_total": None},
    {"amount_total": [2500]},
    {"amount_total": {"cents": 2500}},
    {"amount_total": 10**4000},
    {"amount_total": float("nan")},
    {"amount_total": float("inf")},
    {"currency": None},
    {"currency": ["usd"]},
    {"currency": 840},
    {"currency": "eur"},
    {"livemode": "false"},
    {"livemode": []},
    {"livemode": {}},
    {"metadata": {"type": "wallet_topup", "user_id": 7}},
    {"metadata": {"type": "wallet_topup", "user_id": "usr\0"}},
    {"metadata": {"type": "wallet_topup", "user_id": "\ud800"}},
    {"metadata": {"type": "wallet_topup", "user_id": ["usr_1"]}},
    {"metadata": {"type": "wallet_topup", "user_id": "x" * 300}},
]


def answers(server: ScriptedServer, answer: Answer) -> None:
    """Let Stripe answer this to each call about a session."""
    server.answers[SESSIONS] = server.answers[f"{SESSIONS}/cs_test_1"] = answer
