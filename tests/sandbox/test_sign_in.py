"""Signing in at the SSO issuer, with a client that follows the standards as the service's library does."""

import base64
import hashlib
import html
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
import requests

from sandbox.environment import free_port
from tests.sandbox.conftest import StandIn, environment_of

CLIENT_ID = "misar-billing-web"
CLIENT_SECRET = "client-secret-of-these-tests"
AUDIENCE = "misar-billing"
SERVICE = "http://service.test"
CALLBACK = f"{SERVICE}/accounts/oidc/misar/login/callback/"
HOSTILE = "<script>alert(1)</script>&amp;\"'"


@dataclass
class Browser:
    """A browser during one sign-in: its cookies, and the client's secrets of this sign-in."""

    issuer: str
    http: requests.Session = field(default_factory=requests.Session)
    state: str = "state of this try"
    nonce: str = "nonce-of-this-try"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    configuration: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        address = f"{self.issuer}/.well-known/openid-configuration"
        self.configuration = self.http.get(address, timeout=120).json()

    def asking(self, **changes: str | None) -> dict[str, str]:
        """The parameters of an authorization request; those changed to None are left out."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        parameters = {
            "client_id": CLIENT_ID,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid profile email",
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in parameters.items() if value is not None}

    def open(self, **changes: str | None) -> requests.Response:
        address = self.configuration["authorization_endpoint"]
        return self.http.get(address, params=self.asking(**changes), timeout=120, allow_redirects=False)

    def choose(self, fields: dict[str, str], **changes: str | None) -> requests.Response:
        """Open the page and submit one of its forms."""
        page = self.open(**changes)
        assert page.status_code == 200, page.text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token is not None
        return self.http.post(
            page.url, fields | {"csrfmiddlewaretoken": token[1]}, timeout=120, allow_redirects=False
        )

    def code(self, fields: dict[str, str] | None = None, **changes: str | None) -> str:
        answer = self.choose(fields or {"person": "usr_demo"}, **changes)
        assert answer.status_code == 302, answer.text
        return answer_of(answer)["code"]

    def exchange(
        self, code: str, /, *, auth: tuple[str, str] | None = None, **changes: Any
    ) -> requests.Response:
        """Exchange the code as the service does: its secret is in the body, or in the header with `auth`."""
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
        }
        if auth is None:
            sent |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        sent = {name: value for name, value in (sent | changes).items() if value is not None}
        return requests.post(self.configuration["token_endpoint"], sent, auth=auth, timeout=120)

    def tokens(self, fields: dict[str, str] | None = None, **changes: str | None) -> dict[str, Any]:
        answer = self.exchange(self.code(fields, **changes))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def proven(self, token: str, *, audience: str) -> dict[str, Any]:
        """The claims of a token, verified with the published keys."""
        key = jwt.PyJWKClient(self.configuration["jwks_uri"]).get_signing_key_from_jwt(token).key
        return jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=self.issuer)

    def userinfo(self, token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(self.configuration["userinfo_endpoint"], headers=headers, timeout=120)


def answer_of(response: requests.Response) -> dict[str, str]:
    """The query that a redirect brings to the service."""
    assert response.status_code == 302, response.text
    address = response.headers["Location"]
    assert address.startswith(f"{SERVICE}/")
    return dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """A sandbox with one registered client."""
    port = str(free_port())
    environment = environment_of(
        tmp_path_factory.mktemp("issuer"),
        "http://127.0.0.1:9/",
        SANDBOX_PORT=port,
        PUBLIC_URL=SERVICE,
        SSO_ISSUER=f"http://127.0.0.1:{port}/sso",
        SSO_CLIENT_ID=CLIENT_ID,
        SSO_CLIENT_SECRET=CLIENT_SECRET,
    )
    running = StandIn(environment)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def browser(issuer: StandIn) -> Iterator[Browser]:
    yield Browser(issuer.environment["SSO_ISSUER"])
    issuer.control("reset")


# --- Signing in -------------------------------------------------------------------------------------


def test_a_user_of_the_demo_signs_in(browser: Browser):
    tokens = browser.tokens()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    identity = browser.proven(tokens["id_token"], audience=CLIENT_ID)
    assert {name: identity[name] for name in ("sub", "name", "email", "email_verified", "nonce")} == {
        "sub": "usr_demo",
        "name": "Dana Demo",
        "email": "dana@example.com",
        "email_verified": True,
        "nonce": browser.nonce,
    }
    assert identity["auth_time"] == pytest.approx(time.time(), abs=10)
    assert browser.proven(tokens["access_token"], audience=AUDIENCE)["sub"] == "usr_demo"
    assert browser.userinfo(tokens["access_token"]).json() == {
        "sub": "usr_demo",
        "name": "Dana Demo",
        "email": "dana@example.com",
        "email_verified": True,
    }


@pytest.mark.parametrize("user_id", ["usr_demo", "usr_ines", "usr_tomas"])
def test_every_user_on_the_page_signs_in_with_one_press(browser: Browser, user_id):
    assert f'name="person" value="{user_id}"' in browser.open().text
    tokens = browser.tokens({"person": user_id})
    assert browser.proven(tokens["id_token"], audience=CLIENT_ID)["sub"] == user_id


def test_a_new_user_signs_in(browser: Browser):
    tokens = browser.tokens({"user_id": "usr_nova", "name": "Nova Lee", "email": "nova@example.com"})
    assert browser.userinfo(tokens["access_token"]).json() == {
        "sub": "usr_nova",
        "name": "Nova Lee",
        "email": "nova@example.com",
        "email_verified": True,
    }


def test_a_misar_id_alone_is_enough(browser: Browser):
    tokens = browser.tokens({"user_id": "ü / 1", "name": "", "email": ""})
    assert browser.userinfo(tokens["access_token"]).json() == {"sub": "ü / 1"}
    assert "email" not in browser.proven(tokens["id_token"], audience=CLIENT_ID)


def test_a_client_may_prove_itself_in_the_header(browser: Browser):
    answer = browser.exchange(browser.code(), auth=(CLIENT_ID, CLIENT_SECRET))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_the_claims_of_the_requested_scopes_are_sent(browser: Browser):
    tokens = browser.tokens(scope="openid address")
    assert tokens["scope"] == "openid"
    assert browser.userinfo(tokens["access_token"]).json() == {"sub": "usr_demo"}


def test_a_client_without_pkce_and_nonce_is_served(browser: Browser):
    code = browser.code(code_challenge=None, code_challenge_method=None, nonce=None)
    tokens = browser.exchange(code, code_verifier=None).json()
    assert "nonce" not in browser.proven(tokens["id_token"], audience=CLIENT_ID)


@pytest.mark.parametrize("state", ["a b+c%20&d=e#f/?", "", '{"next": "/dashboard"}', "é€😀", "x" * 1500])
def test_the_state_comes_back_unchanged(browser: Browser, state):
    browser.state = state
    assert answer_of(browser.choose({"person": "usr_demo"}))["state"] == state
    assert answer_of(browser.open(scope="profile"))["state"] == state


def test_no_state_comes_back_where_none_was_sent(browser: Browser):
    assert list(answer_of(browser.choose({"person": "usr_demo"}, state=None))) == ["code"]


def test_the_query_of_the_services_address_is_kept(browser: Browser):
    answer = answer_of(browser.choose({"person": "usr_demo"}, redirect_uri=f"{CALLBACK}?next=%2Fkeys"))
    assert (answer["next"], sorted(answer)) == ("/keys", ["code", "next", "state"])


def test_cancelling_is_a_link_back(browser: Browser):
    address = re.search(r'href="(http://service[^"]+)"', browser.open().text)
    assert address is not None
    query = parse_qs(urlsplit(html.unescape(address[1])).query)
    assert (query["error"], query["state"]) == (["access_denied"], [browser.state])


def test_the_forms_may_lead_only_to_the_service(browser: Browser):
    policy = browser.open().headers["Content-Security-Policy"]
    assert policy.endswith(f"form-action 'self' {SERVICE}")


def test_another_service_may_sign_in_when_its_origin_is_set(issuer: StandIn, browser: Browser):
    elsewhere = "http://localhost:8123/callback"
    assert browser.open(redirect_uri=elsewhere).status_code == 400
    issuer.control("settings", redirect_origins=["http://localhost:8123"])
    answer = browser.choose({"person": "usr_demo"}, redirect_uri=elsewhere)
    assert answer.headers["Location"].startswith(f"{elsewhere}?code=")


# --- What the page refuses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "another"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "http://evil.test/"},
        {"redirect_uri": SERVICE},
        {"redirect_uri": f"{SERVICE}.evil.test/"},
        {"redirect_uri": f"{SERVICE}@evil.test/"},
        {"redirect_uri": f"{SERVICE}/#there"},
        {"redirect_uri": f"{SERVICE}/\\evil"},
        {"redirect_uri": f"{SERVICE}/a\r\nSet-Cookie: a=b"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "//service.test/"},
    ],
)
def test_no_answer_is_sent_to_another_service(browser: Browser, changes):
    answer = browser.open(**changes)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert "Sign-in refused" in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_an_unsupported_request_is_reported_to_the_service(browser: Browser, changes, error):
    answer = answer_of(browser.open(**changes))
    assert (answer["error"], answer["state"]) == (error, browser.state)
    assert answer["error_description"].endswith(".")


def test_a_repeated_parameter_is_refused(browser: Browser):
    address = browser.configuration["authorization_endpoint"]
    twice = [*browser.asking().items(), ("nonce", "another")]
    answer = browser.http.get(address, params=twice, timeout=120, allow_redirects=False)
    assert answer_of(answer)["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"user_id": ""}, "Type a Misar ID."),
        ({"user_id": "u" * 256}, "at most 255 characters"),
        ({"user_id": "usr\t1"}, "printable characters only"),
        ({"user_id": "usr\u20281"}, "printable characters only"),
        ({"user_id": "usr\x001"}, "Null characters are not allowed."),
        ({"user_id": "staff:root"}, "staff: is for accounts of the back-office"),
        ({"user_id": "usr_1", "email": "nobody"}, "Type an address such as"),
        ({"user_id": "usr_1", "name": "a\x1bb"}, "A name has printable characters only."),
        ({"person": "usr_nobody"}, "Type a Misar ID."),
    ],
)
def test_invalid_fields_are_refused_with_sentences(browser: Browser, fields, words):
    answer = browser.choose(fields)
    assert answer.status_code == 400
    assert words in html.unescape(answer.text)


def test_a_hostile_name_is_text(browser: Browser):
    page = browser.choose({"user_id": HOSTILE, "name": HOSTILE, "email": "nobody"})
    assert "<script" not in page.text
    assert page.text.count(html.escape(HOSTILE)) == 2
    tokens = browser.tokens({"user_id": HOSTILE, "name": HOSTILE})
    assert browser.userinfo(tokens["access_token"]).json() == {"sub": HOSTILE, "name": HOSTILE}


def test_another_site_cannot_choose_a_user(browser: Browser):
    address = browser.open().url
    sent = requests.post(address, {"person": "usr_demo"}, timeout=120, allow_redirects=False)
    assert sent.status_code == 403


# --- What the token endpoint refuses ----------------------------------------------------------------


def refused(answer: requests.Response, status: int, error: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_wrong_secret_gets_no_token_and_leaves_the_code_valid(browser: Browser):
    code = browser.code()
    for wrong in ("wrong", "", None, "ü"):
        refused(browser.exchange(code, client_secret=wrong), 401, "invalid_client")
    refused(browser.exchange(code, auth=(CLIENT_ID, "wrong")), 401, "invalid_client")
    refused(browser.exchange(code, auth=("another", CLIENT_SECRET)), 401, "invalid_client")
    assert browser.exchange(code).status_code == 200


def test_a_header_that_cannot_be_read_is_refused(browser: Browser):
    for header in ("Basic", "Basic !", "Basic /w==", "Digest abc", "Bearer abc"):
        answer = requests.post(
            browser.configuration["token_endpoint"], headers={"Authorization": header}, timeout=120
        )
        refused(answer, 401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_client_credentials_in_two_places_are_refused(browser: Browser):
    answer = browser.exchange(browser.code(), auth=(CLIENT_ID, CLIENT_SECRET), client_secret=CLIENT_SECRET)
    refused(answer, 400, "invalid_request")


def test_a_code_works_once(browser: Browser):
    code = browser.code()
    assert browser.exchange(code).status_code == 200
    refused(browser.exchange(code), 400, "invalid_grant")


def test_a_code_is_used_up_by_a_wrong_verifier(browser: Browser):
    for wrong in ("v" * 43, "", None):
        code = browser.code()
        refused(browser.exchange(code, code_verifier=wrong), 400, "invalid_grant")
        refused(browser.exchange(code), 400, "invalid_grant")


def test_a_verifier_without_a_challenge_is_refused(browser: Browser):
    code = browser.code(code_challenge=None, code_challenge_method=None)
    refused(browser.exchange(code), 400, "invalid_grant")


def test_an_expired_code_is_refused(issuer: StandIn, browser: Browser):
    issuer.control("settings", code_seconds=0.2)
    code = browser.code()
    time.sleep(0.3)
    refused(browser.exchange(code), 400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code": "never-given-out"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"redirect_uri": f"{CALLBACK}x"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
    ],
)
def test_an_exchange_that_does_not_match_its_request_is_refused(browser: Browser, changes, error):
    refused(browser.exchange(browser.code(), **changes), 400, error)


def test_a_reset_deletes_the_codes(issuer: StandIn, browser: Browser):
    code = browser.code()
    issuer.control("reset")
    refused(browser.exchange(code), 400, "invalid_grant")


# --- What userinfo refuses --------------------------------------------------------------------------


def test_userinfo_is_for_access_tokens_only(browser: Browser):
    tokens = browser.tokens()
    for other in ("", "nonsense", tokens["id_token"], tokens["access_token"][:-4] + "AAAA"):
        answer = browser.userinfo(other)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_without_a_registered_client_sign_in_is_refused(stand_in: StandIn):
    sent = {"client_id": "", "redirect_uri": "/", "response_type": "code", "scope": "openid"}
    page = requests.get(f"{stand_in.url}/sso/authorize", sent, timeout=120)
    assert page.status_code == 400
    assert "SSO_CLIENT_ID is not set" in page.text
    sent = {"client_id": "", "client_secret": "", "grant_type": "authorization_code", "code": "x"}
    refused(requests.post(f"{stand_in.url}/sso/token", sent, timeout=120), 401, "invalid_client")
