"""Who may ask what: every endpoint against every kind of credential."""

from typing import Any

import pytest

from accounts.service_keys import issue_service_key, revoke_service_key
from tests.conftest import Caller

pytestmark = pytest.mark.django_db

MSK = "msk_" + "0" * 64

# What is asked, as a good caller would: the credential alone decides.
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "balance": ("get", "/io/wallet/balance", {"user_id": "usr_1"}),
    "transactions": ("get", "/io/wallet/transactions", {"user_id": "usr_1"}),
    "rates": ("get", "/io/wallet/rates", {}),
    "deduct": ("post", "/io/wallet/deduct", {"user_id": "usr_1", "feature": "blog.article.generate"}),
    # The amount is too small: an allowed caller gets 400, and Stripe is not called.
    "topup-session": (
        "post",
        "/io/wallet/topup-session",
        {"user_id": "usr_1", "amountDollars": 1, "product": "blog", "returnUrl": "/"},
    ),
    "webhook": ("post", "/io/wallet/webhook", {}),
}

COLUMNS = ("balance", "transactions", "rates", "deduct", "topup-session", "webhook")
#                                        bal  tra  rat  ded  top  web
TABLE = {
    "nothing": (401, 401, 200, 403, 403, 400),
    "a service key": (200, 200, 200, 200, 400, 400),
    "a wrong service key": (403, 403, 200, 403, 403, 400),
    "an empty service key": (403, 403, 200, 403, 403, 400),
    "an expired service key": (403, 403, 200, 403, 403, 400),
    "a revoked service key": (403, 403, 200, 403, 403, 400),
    "the user's bearer": (200, 200, 200, 403, 403, 400),
    "another user's bearer": (403, 403, 200, 403, 403, 400),
    "a wrong bearer": (401, 401, 200, 403, 403, 400),
    "a service key and the user's bearer": (200, 200, 200, 200, 400, 400),
    "a service key and another user's bearer": (200, 200, 200, 200, 400, 400),
    "a service key and a wrong bearer": (200, 200, 200, 200, 400, 400),
    "a wrong service key and the user's bearer": (403, 403, 200, 403, 403, 400),
    "an msk_ key as a bearer": (401, 401, 200, 403, 403, 400),
    "an msk_ key as a service key": (403, 403, 200, 403, 403, 400),
    "a service key as a bearer": (401, 401, 200, 403, 403, 400),
    "a bearer as a service key": (403, 403, 200, 403, 403, 400),
    "a service key in the address": (401, 401, 200, 403, 403, 400),
    "a session of staff": (401, 401, 200, 403, 403, 400),
    "basic auth": (401, 401, 200, 403, 403, 400),
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
    found = []
    for name in COLUMNS:
        verb, path, values = ASKED[name]
        if row == "a service key in the address":
            path += f"?service_key={service_key}&x-wallet-service-key={service_key}"
        response = caller.get(path, **values) if verb == "get" else caller.post(path, values)
        found.append(response.status_code)
        if response.status_code != 200:
            assert set(response.json()) == ({"error", "allowed"} if name == "deduct" else {"error"})
    assert tuple(found) == TABLE[row]


def test_a_bearer_never_charges_whatever_it_says_beside(token, give, article_rate):
    give("usr_1", 10)
    caller = Caller({"Authorization": f"Bearer {token('usr_1', scope='wallet:write', role='service')}"})
    assert caller.deduct("usr_1").status_code == 403
    assert caller.get("/io/wallet/balance").json() == {"credits": 10}


def test_credentials_are_judged_before_bodies(as_anonymous):
    """Who may not ask learns nothing of what would be a good request."""
    for path in ("/io/wallet/deduct", "/io/wallet/topup-session"):
        for raw in (b"", b"{", b"[" * 1000, b"x" * 70_000):
            assert as_anonymous.post(path, raw=raw).status_code == 403
        assert as_anonymous.post(path, raw=b"x", content_type="text/plain").status_code == 403
