"""What a browser of another origin may read: four endpoints, with a bearer, without cookies."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

READABLE = ["/io/wallet/balance", "/io/wallet/transactions", "/io/wallet/rates", "/io/wallet/funds"]
NOT_READABLE = [
    "/io/wallet/deduct",
    "/io/wallet/topup-session",
    "/io/wallet/webhook",
    "/io/wallet/nothing",
    "/io/wallet/balance/",
    "/io/wallet/balances",
    "/io/wallet/funds/",
    "/io/wallet/holds",
    "/io/wallet/holds/hold_1",
    "/io/wallet/holds/hold_1/capture",
    "/io/wallet/refund",
    "/io/wallet/quote",
    "/mail/v1/anything",
    "/admin/",
    "/schema",
    "/health",
]
OURS = ["https://misar.io", "https://misar.blog", "https://www.misar.blog", "https://a.b.misar.io"]
FOREIGN = [
    "https://evil.com",
    "http://misar.io",
    "https://misar.io:8443",
    "https://misar.io.evil.com",
    "https://evilmisar.io",
    "https://evil.com/misar.io",
    "https://misar.io@evil.com",
    "https://.misar.io",
    "https://evil_misar.io",
    "https://MISAR.io.",
    "https://misar.io https://evil.com",
    "https://[",
    "null",
    "file://",
    "misar.io",
    "*",
    "",
    "é",
]
CORS_HEADERS = (
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Credentials",
)


def preflight(path: str, origin: str, method: str = "GET", headers: str = "authorization"):
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    return Client().options(path, headers=asked)


@pytest.mark.parametrize("origin", OURS)
@pytest.mark.parametrize("path", READABLE)
def test_misars_own_origins_may_read(as_user, path, origin):
    caller = as_user("usr_1")
    caller.headers["Origin"] = origin
    response = caller.get(path)
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == origin
    assert "Access-Control-Allow-Credentials" not in response
    assert "origin" in response["Vary"].lower()
    assert response["Access-Control-Expose-Headers"] == "X-Request-ID, Retry-After"


@pytest.mark.parametrize("path", READABLE)
def test_a_refusal_can_be_read_too(as_anonymous, path):
    as_anonymous.headers["Origin"] = "https://misar.io"
    assert as_anonymous.get(path)["Access-Control-Allow-Origin"] == "https://misar.io"


@pytest.mark.parametrize("path", READABLE)
def test_other_origins_may_not(as_user, path):
    caller = as_user("usr_1")
    for origin in FOREIGN:
        caller.headers["Origin"] = origin
        response = caller.get(path)
        assert response.status_code == 200, origin
        assert not [name for name in CORS_HEADERS if name in response], origin


@pytest.mark.parametrize("path", READABLE)
def test_a_browser_that_asks_first_hears_get_with_a_bearer(path):
    response = preflight(path, "https://misar.io")
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == "https://misar.io"
    assert response["Access-Control-Allow-Methods"] == "GET"
    assert response["Access-Control-Allow-Headers"] == "authorization, content-type"
    assert "Access-Control-Allow-Credentials" not in response
    assert response["X-Request-ID"].startswith("req_")


def test_a_browser_may_not_send_a_service_key():
    response = preflight(READABLE[0], "https://misar.io", headers="x-wallet-service-key")
    assert "x-wallet-service-key" not in response["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("path", READABLE)
def test_a_browser_elsewhere_that_asks_first_hears_nothing(path):
    for origin in FOREIGN:
        response = preflight(path, origin)
        assert not [name for name in CORS_HEADERS if name in response], origin


@pytest.mark.parametrize("path", NOT_READABLE)
def test_nothing_else_answers_cors(path):
    for response in (
        Client().get(path, headers={"Origin": "https://misar.io"}),
        preflight(path, "https://misar.io"),
        preflight(path, "https://misar.io", "POST", "content-type"),
    ):
        assert not [name for name in response.headers if name.startswith("Access-Control-")]


def test_the_origins_follow_the_return_addresses(settings):
    """One setting says both; a star stands for hosts below, as it does there."""
    assert settings.CORS_ALLOWED_ORIGIN_REGEXES[0] == r"^https://misar\.io$"
    assert len(settings.CORS_ALLOWED_ORIGIN_REGEXES) == len(settings.RETURN_URL_HOSTS)
