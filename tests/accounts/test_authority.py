"""Who may ask what: every endpoint against every kind of credential."""

from typing import Any

import pytest

from accounts.service_keys import issue_service_key, revoke_service_key
from tests.conftest import Caller

pytestmark = pytest.mark.django_db

MSK = "msk_" + "0" * 64

HOLD = "/io/wallet/holds/hold_01jb3kq2w8z6h6c1d1e0r2m4aa"
ARTICLE = {"user_id": "usr_1", "feature": "blog.article.generate"}

# Good requests: the credential alone decides. The number is the status that an allowed caller gets. There is
# no such charge or hold, and the amount of the top-up is too small, so Stripe is not called.
READ: dict[str, tuple[str, dict[str, Any], int]] = {
    "/io/wallet/balance": ("get", {"user_id": "usr_1"}, 200),
    "/io/wallet/transactions": ("get", {"user_id": "usr_1"}, 200),
    "/io/wallet/funds": ("get", {"user_id": "usr_1"}, 200),
    "/io/wallet/holds": ("get", {"user_id": "usr_1"}, 200),
    HOLD: ("get", {"user_id": "usr_1"}, 404),
}
WRITTEN: dict[str, tuple[str, dict[str, Any], int]] = {
    "/io/wallet/deduct": ("post", ARTICLE, 200),
    "/io/wallet/quote": ("post", ARTICLE, 200),
    "/io/wallet/holds": ("post", ARTICLE | {"idempotency_key": "chat:1"}, 200),
    f"{HOLD}/capture": ("post", {"user_id": "usr_1"}, 404),
    f"{HOLD}/void": ("post", {"user_id": "usr_1"}, 404),
    f"{HOLD}/extend": ("post", {"user_id": "usr_1", "ttl_seconds": 60}, 404),
    "/io/wallet/refund": ("post", {"user_id": "usr_1", "charge_key": "k", "idempotency_key": "r"}, 404),
    "/io/wallet/topup-session": (
        "post",
        {"user_id": "usr_1", "amountDollars": 1, "product": "blog", "returnUrl": "/"},
        400,
    ),
}
OPEN: dict[str, tuple[str, dict[str, Any], int]] = {
    "/io/wallet/rates": ("get", {}, 200),
    "/io/wallet/webhook": ("post", {}, 400),
}
OF_THE_SEED = ("balance", "transactions", "deduct", "topup-session", "rates", "webhook")

# What those who read and those who write get: the endpoint's own answer, or a refusal.
ALLOWED = 0
TABLE = {
    "nothing": (401, 403),
    "a service key": (ALLOWED, ALLOWED),
    "a wrong service key": (403, 403),
    "an empty service key": (403, 403),
    "an expired service key": (403, 403),
    "a revoked service key": (403, 403),
    "the user's bearer": (ALLOWED, 403),
    "another user's bearer": (403, 403),
    "a wrong bearer": (401, 403),
    "a service key and the user's bearer": (ALLOWED, ALLOWED),
    "a service key and another user's bearer": (ALLOWED, ALLOWED),
    "a service key and a wrong bearer": (ALLOWED, ALLOWED),
    "a wrong service key and the user's bearer": (403, 403),
    "an msk_ key as a bearer": (401, 403),
    "an msk_ key as a service key": (403, 403),
    "a service key as a bearer": (401, 403),
    "a bearer as a service key": (403, 403),
    "a service key in the address": (401, 403),
    "a session of staff": (401, 403),
    "basic auth": (401, 403),
}


@pytest.fixture
def credentials(service_key, expired_service_key, token):
    """The headers of each row."""
    revoked, revoked_secret = issue_service_key(product="blog")
    revoke_service_key(revoked)

    def headers(key: str | None = None, bearer: str | None = None) -> dict[str, str]:
        found = {}
        if key is not None:
            found["x-wallet-service-key"] = key
        if bearer is not None:
            found["Authorization"] = f"Bearer {bearer}"
        return found

    mine, theirs = token("usr_1"), token("usr_2")
    return {
        "nothing": {},
        "a service key": headers(service_key),
        "a wrong service key": headers("wsk_" + "0" * 64),
        "an empty service key": headers(""),
        "an expired service key": headers(expired_service_key),
        "a revoked service key": headers(revoked_secret),
        "the user's bearer": headers(bearer=mine),
        "another user's bearer": headers(bearer=theirs),
        "a wrong bearer": headers(bearer="nonsense"),
        "a service key and the user's bearer": headers(service_key, mine),
        "a service key and another user's bearer": headers(service_key, theirs),
        "a service key and a wrong bearer": headers(service_key, "nonsense"),
        "a wrong service key and the user's bearer": headers("wrong", mine),
        "an msk_ key as a bearer": headers(bearer=MSK),
        "an msk_ key as a service key": headers(MSK),
        "a service key as a bearer": headers(bearer=service_key),
        "a bearer as a service key": headers(mine),
        "a service key in the address": {},
        "a session of staff": {},
        "basic auth": {"Authorization": "Basic dXNyXzE6cGFzcw=="},
    }


@pytest.mark.parametrize("row", TABLE)
def test_a_credential_opens_what_it_should_and_no_more(
    request, credentials, service_key, give, article_rate, row
):
    give("usr_1", 10)
    caller = Caller(credentials[row])
    if row == "a session of staff":
        caller.client = request.getfixturevalue("staff")
    reading, writing = TABLE[row]
    for endpoints, expected in ((READ, reading), (WRITTEN, writing), (OPEN, ALLOWED)):
        for path, (verb, values, usual) in endpoints.items():
            address = path
            if row == "a service key in the address":
                address += f"?service_key={service_key}&x-wallet-service-key={service_key}"
            response = caller.get(address, **values) if verb == "get" else caller.post(address, values)
            assert response.status_code == (expected or usual), (verb, path)
            if response.status_code != 200:
                denies = verb == "post" and path.endswith(("/deduct", "/holds"))
                coded = path.split("/")[3] not in OF_THE_SEED
                fields = {"error"} | ({"allowed"} if denies else set()) | ({"code"} if coded else set())
                assert set(response.json()) == fields, (verb, path)


def test_a_bearer_never_charges_whatever_it_says_beside(token, give, article_rate):
    give("usr_1", 10)
    caller = Caller({"Authorization": f"Bearer {token('usr_1', scope='wallet:write', role='service')}"})
    assert caller.deduct("usr_1").status_code == 403
    assert caller.get("/io/wallet/balance").json() == {"credits": 10}


def test_credentials_are_judged_before_bodies(as_anonymous):
    """Who may not ask learns nothing of what would be a good request."""
    for path in WRITTEN:
        for raw in (b"", b"{", b"[" * 1000, b"x" * 70_000):
            assert as_anonymous.post(path, raw=raw).status_code == 403
        assert as_anonymous.post(path, raw=b"x", content_type="text/plain").status_code == 403
