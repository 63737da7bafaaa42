"""Builds the steps of scripts.py: acts, requests, and requests that several endpoints refuse alike."""

import base64
import json
from typing import Any

from tests.conftest import paid_checkout
from tests.wallet.api.recorded.player import Step
from tests.wallet.reversed import dispute_of, event_of, refund_of

BALANCE, TRANSACTIONS, RATES = "/io/wallet/balance", "/io/wallet/transactions", "/io/wallet/rates"
DEDUCT, TOPUP, WEBHOOK = "/io/wallet/deduct", "/io/wallet/topup-session", "/io/wallet/webhook"
ARTICLE, VIDEO = "blog.article.generate", "blog.video"

Headers = dict[str, str]
KEY_HEADER = "x-wallet-service-key"
BLOG: Headers = {KEY_HEADER: "{{key of blog}}"}
MAIL: Headers = {KEY_HEADER: "{{key of mail}}"}  # Only for features that begin with `mail.`.
USER: Headers = {"Authorization": "Bearer {{token of usr_1}}"}
JSON: Headers = {"Content-Type": "application/json"}
CREATED = 1_780_000_000  # When Stripe made the events of the recordings.


def act(what: str, **facts: Any) -> Step:
    return {"act": {"is": what} | facts}


def ask(name: str, method: str, path: str, headers: Headers, body: str | bytes | None = None) -> Step:
    request: Step = {"method": method, "path": path, "headers": headers}
    raw = body.encode() if isinstance(body, str) else body
    if raw is not None:
        try:
            request["body"] = raw.decode()
        except UnicodeDecodeError:
            request["base64"] = base64.b64encode(raw).decode()
    return {"name": name, "request": request}


def get(name: str, path: str, headers: Headers = BLOG) -> Step:
    return ask(name, "GET", path, headers)


def post(name: str, path: str, body: Any, headers: Headers = BLOG, media_type: Headers = JSON) -> Step:
    """A POST of a value as JSON, or of a text or bytes as they are."""
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    return ask(name, "POST", path, headers | media_type, raw)


def deduct(name: str, body: dict[str, Any], headers: Headers = BLOG) -> Step:
    return post(name, DEDUCT, {"user_id": "usr_1", "feature": ARTICLE} | body, headers)


def topup(name: str, body: dict[str, Any], headers: Headers = BLOG) -> Step:
    full = {"user_id": "usr_1", "amountDollars": 25, "product": "blog", "returnUrl": "/wallet"} | body
    return post(name, TOPUP, full, headers)


def deliver(name: str, event: Any, signature: str = "{{signature}}") -> Step:
    return post(name, WEBHOOK, event, {"Stripe-Signature": signature})


def paid(session: str, dollars: int, user_id: str = "usr_1", **fields: Any) -> dict[str, Any]:
    """The event of a paid session, with fixed times."""
    shown = {"amount_total": dollars * 100, "created": CREATED} | fields
    return paid_checkout(session_id=session, user_id=user_id, **shown) | {"created": CREATED}


def refunded(session: str, dollars: int) -> dict[str, Any]:
    refund = refund_of(f"pi_{session}", dollars * 100, id=f"re_{session}", created=CREATED)
    return event_of("refund.created", refund, created=CREATED)


def disputed(session: str, *dollars: int, type: str = "charge.dispute.created") -> dict[str, Any]:
    cents = [each * 100 for each in dollars]
    dispute = dispute_of(f"pi_{session}", *cents, id=f"dp_{session}", created=CREATED)
    return event_of(type, dispute, created=CREATED)


KEYS = [
    act("issue_key", name="key of blog", product="blog"),
    act("issue_key", name="key of mail", product="mail", prefixes=["mail."]),
    act("issue_key", name="expired key", product="blog", state="expired"),
    act("issue_key", name="revoked key", product="blog", state="revoked"),
]
TOKENS = [
    act("issue_token", name="token of usr_1", user_id="usr_1"),
    act("issue_token", name="token of usr_2", user_id="usr_2"),
    act("issue_token", name="expired token", user_id="usr_1", seconds=-60),
    act("issue_token", name="token for another audience", user_id="usr_1", aud="another"),
    act("issue_token", name="token of another issuer", user_id="usr_1", iss="https://issuer.example"),
    act("issue_token", name="forged token", user_id="usr_1", secret="another secret, which is long enough"),
    act("issue_token", name="token without a user", user_id="usr_1", sub=None),
]

# --- Requests that are refused in the same way by several endpoints -------------------------------------

WRONG_KEYS: dict[str, Headers] = {
    "no credential": {},
    "an unknown key": {KEY_HEADER: f"wsk_{'0' * 64}"},
    "a key that is too short": {KEY_HEADER: "wsk_1"},
    "an empty key": {KEY_HEADER: ""},
    "an expired key": {KEY_HEADER: "{{expired key}}"},
    "a revoked key": {KEY_HEADER: "{{revoked key}}"},
    "a wrong key and a good token": {KEY_HEADER: "wsk_1"} | USER,
}
WRONG_TOKENS: dict[str, Headers] = {
    name: {"Authorization": value}
    for name, value in {
        "an expired token": "Bearer {{expired token}}",
        "a token for another audience": "Bearer {{token for another audience}}",
        "a token of another issuer": "Bearer {{token of another issuer}}",
        "a forged token": "Bearer {{forged token}}",
        "a token without a user": "Bearer {{token without a user}}",
        "a token that is no token": "Bearer nonsense",
        "no token after the scheme": "Bearer ",
        "another scheme": "Basic dXNyXzE6cGFzc3dvcmQ=",
        "a token that is not ASCII": "Bearer \u00e9",
    }.items()
}
BAD_BODIES: dict[str, str | bytes] = {
    "an empty body": "",
    "an empty object": "{}",
    "no JSON": "user_id=usr_1",
    "an object without an end": '{"user_id": "usr_1"',
    "two objects": "{} {}",
    "an array": "[]",
    "null": "null",
    "a number": "1",
    "a key named twice": '{"user_id": "usr_1", "user_id": "usr_2"}',
    "a key named twice further in": '{"unknown": {"a": 1, "a": 2}}',
    "NaN": '{"unknown": NaN}',
    "a number without an end": '{"unknown": 1e400}',
    "33 levels": "[" * 33 + "]" * 33,
    "no UTF-8": b'{"user_id": "\xff"}',
    "UTF-16": '{"user_id": "usr_1"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
}
MEDIA_TYPES: dict[str, Headers] = {
    "no media type": {},
    "plain text": {"Content-Type": "text/plain"},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "JSON in latin-1": {"Content-Type": "application/json; charset=latin-1"},
}
MISAR = {"Origin": "https://www.misar.io"}
PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


def bad_bodies(path: str, fields: dict[str, Any]) -> list[Step]:
    return [
        *(post(f"The body is {what}", path, body) for what, body in BAD_BODIES.items()),
        *(post(f"The body has {what}", path, fields, BLOG, found) for what, found in MEDIA_TYPES.items()),
        ask("The body is too large", "POST", path, BLOG | JSON | {"Content-Length": "65537"}, "{}"),
    ]


def wrong_addresses(path: str, right: str) -> list[Step]:
    """Requests with a wrong method or a slash at the end."""
    wrong = [each for each in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") if each != right]
    return [
        *(ask(f"{method} instead of {right}", method, path, BLOG) for method in wrong),
        ask(f"{wrong[0]} without a credential", wrong[0], path, {}),
        ask("A slash at the end", right, f"{path}/", BLOG | (JSON if right == "POST" else {})),
    ]


def origins(path: str, headers: Headers) -> list[Step]:
    return [
        get("A page of Misar reads", path, headers | MISAR),
        get("A page of another site reads", path, headers | {"Origin": "https://evil.example"}),
        ask("A preflight of Misar", "OPTIONS", path, MISAR | PREFLIGHT),
        ask("A preflight of another site", "OPTIONS", path, PREFLIGHT | {"Origin": "https://evil.example"}),
    ]


def wrong_readers(path: str) -> list[Step]:
    """Requests for a wallet that are refused, because of the caller or of the user they name."""
    named = f"{path}?user_id=usr_1"
    odd = {
        "nothing": "",
        "a NUL": "a%00b",
        "no UTF-8": "%ff",
        "256 characters": "x" * 256,
        "a line break": "a%0ab",
        "an invisible space": "%e2%80%8b",
    }
    return [
        *(get(f"With {what}", named, headers) for what, headers in WRONG_KEYS.items()),
        *(get(f"With {what}", path, headers) for what, headers in WRONG_TOKENS.items()),
        get("A user names themselves", named, USER),
        get("A user names another user", f"{path}?user_id=usr_2", USER),
        get("Another user names the user", named, {"Authorization": "Bearer {{token of usr_2}}"}),
        get("A product names no user", path),
        get("A product names two users", f"{named}&user_id=usr_2"),
        *(get(f"A product names {what}", f"{path}?user_id={user_id}") for what, user_id in odd.items()),
    ]
