"""What the SSO issuer answers during a sign-in is odd or wrong, over real HTTP."""

import json
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from accounts.models import User
from tests import scripted_server
from tests.factories import UserFactory
from tests.scripted_server import DRIPS, DRIPS_SECONDS, MEGABYTE, content, dripping, json_of

pytestmark = pytest.mark.django_db

CONFIGURATION, TOKEN, PROFILE = "/.well-known/openid-configuration", "/token", "/userinfo"
DID_NOT_WORK = "Signing in did not work."
# What is no JSON object.
NO_OBJECT = {
    "no JSON": content(b"hello"),
    "HTML": content(b"<html>Maintenance</html>", Content_Type="text/html"),
    "nothing": content(b""),
    "no UTF-8": content(b'{"a": "\xff"}'),
    "null": json_of(None),
    "a list": json_of([]),
    "a list with names": json_of(["access_token", "id_token", "sub"]),
    "a text": json_of("access_token"),
    "a number": json_of(7),
    "true": json_of(True),
    "nested deeply": content(b"[" * 100_000),
    "a number of 5000 digits": content(b'{"access_token": ' + b"9" * 5000 + b"}"),
    "a redirect": content(b"{}", 307, Location="http://127.0.0.1:9/"),
    "an error": json_of({"error": "server_error"}, 500),
}
NO_TEXT = [None, "", 7, True, 1.5, [], {}, ["x"], {"a": 1}, "two\nlines", "\0", "\ud800"]


@pytest.fixture
def issuer(settings):
    """An issuer whose answers a test can change, and our settings pointing at it."""
    with scripted_server.running() as server:
        app = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {
                "OAUTH_PKCE_ENABLED": True,
                "APPS": [app | {"settings": {"server_url": server.address}}],
            }
        }
        server.answers[CONFIGURATION] = json_of(configuration(server))
        yield server


def configuration(server, **changes):
    return {
        "issuer": server.address,
        "authorization_endpoint": f"{server.address}/authorize",
        "token_endpoint": server.address + TOKEN,
        "userinfo_endpoint": server.address + PROFILE,
        "jwks_uri": f"{server.address}/jwks.json",
    } | changes


def begin(client, going_to="/account"):
    """Start a sign-in; what the service asks the issuer for."""
    answer = client.post("/sign-in/misar", query_params={"next": going_to})
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def id_token(issuer, **claims):
    """An ID token; a claim of None is left out."""
    now = int(time.time())
    full = {
        "iss": issuer.address,
        "aud": "misar-billing-web",
        "sub": "usr_1",
        "iat": now,
        "exp": now + 600,
    } | claims
    kept = {name: value for name, value in full.items() if value is not None}
    # `jwt.encode` refuses some odd claims.
    return jwt.api_jws.encode(json.dumps(kept).encode(), "k" * 32)


def come_back(client, issuer, asked, *, profile=None, tokens=None, **claims):
    """The issuer has signed usr_1 in; the answer to its redirect. Changes to its answers can be given."""
    sent = {
        "access_token": "an-access-token",
        "token_type": "Bearer",
        "id_token": id_token(issuer, **{"nonce": asked.get("nonce")} | claims),
    }
    issuer.answers.setdefault(TOKEN, json_of(sent | (tokens or {})))
    issuer.answers.setdefault(PROFILE, json_of({"sub": "usr_1"} | (profile or {})))
    return client.get("/sign-in/misar/callback", {"code": "x", "state": asked["state"]})


def sign_in(client, issuer, **changes):
    """All of a sign-in with these changes to the issuer's answers."""
    issuer.answers = {CONFIGURATION: issuer.answers[CONFIGURATION]}
    return come_back(client, issuer, begin(client), **changes)


def is_503(answer):
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert "Misar&#x27;s sign-in does not answer" in answer.text
    return True


def is_refused(client, answer, status=400, sentence=DID_NOT_WORK):
    assert answer.status_code == status
    assert sentence in answer.text
    assert 'href="/wallet"' in answer.text  # A way on: it leads to the sign-in page.
    assert "_auth_user_id" not in client.session
    assert not User.objects.exists()
    return True


def test_a_good_issuer_signs_users_in(client, issuer):
    answer = sign_in(
        client, issuer, profile={"name": "Zoë", "email": "z@example.com", "email_verified": True}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/account")
    user = User.objects.get()
    assert (user.misar_id, user.name, user.email) == ("usr_1", "Zoë", "z@example.com")


# --- Names and addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize("odd", NO_TEXT, ids=ascii)
def test_a_name_that_is_no_name_is_no_name(client, issuer, odd):
    assert sign_in(client, issuer, profile={"name": odd}).status_code == 302
    assert User.objects.get().name == ""
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize("blank", ["\u3164", "\u2800", "\u200d", " "], ids=ascii)
def test_a_name_shows_something_after_it_is_cut(client, issuer, blank):
    assert sign_in(client, issuer, profile={"name": blank * 200 + "a"}).status_code == 302
    assert User.objects.get().name == ""


def test_a_long_name_that_shows_something_is_cut(client, issuer):
    assert sign_in(client, issuer, profile={"name": "\u3164" * 199 + "ab"}).status_code == 302
    assert User.objects.get().name == "\u3164" * 199 + "a"


@pytest.mark.parametrize("odd", [*NO_TEXT, "no address", "@", "a@b", {"@": 1}, ["a@example.com"]], ids=ascii)
def test_an_address_that_is_no_address_is_no_address(client, issuer, odd):
    assert sign_in(client, issuer, profile={"email": odd, "email_verified": True}).status_code == 302
    assert User.objects.get().email == ""


@pytest.mark.parametrize("odd", [*NO_TEXT, False, "true", 1], ids=ascii)
def test_only_a_verified_address_counts(client, issuer, odd):
    profile = {"email": "z@example.com", "email_verified": odd}
    assert sign_in(client, issuer, profile=profile).status_code == 302
    assert User.objects.get().email == ("z@example.com" if odd is True else "")


@pytest.mark.parametrize(
    "claim",
    [
        *("picture", "preferred_username", "given_name", "family_name", "user_id", "phone", "locale"),
        *("updated_at", "address", "nickname", "id", "username"),
    ],
)
def test_no_other_claim_can_stop_a_sign_in(client, issuer, claim):
    for odd in NO_TEXT:
        assert sign_in(client, issuer, profile={claim: odd}).status_code == 302


def test_a_long_name_is_shortened(client, issuer):
    assert sign_in(client, issuer, profile={"name": "x" * 100_000}).status_code == 302
    assert User.objects.get().name == "x" * 200


@pytest.mark.parametrize("odd", NO_TEXT, ids=ascii)
def test_a_known_name_and_address_are_kept_and_later_changed(client, issuer, odd):
    UserFactory.create(misar_id="usr_1", name="Zoë", email="z@example.com")
    profile = {"name": odd, "email": odd, "email_verified": True}
    assert sign_in(client, issuer, profile=profile).status_code == 302
    user = User.objects.get()
    assert (user.name, user.email) == ("Zoë", "z@example.com")
    profile = {"name": "Zoë B", "email": "b@example.com", "email_verified": True}
    assert sign_in(client, issuer, profile=profile).status_code == 302
    user.refresh_from_db()
    assert (user.name, user.email) == ("Zoë B", "b@example.com")


@pytest.mark.parametrize("profile", [{}, {"email": "evil@example.com", "email_verified": False}])
def test_a_profile_without_them_wipes_nothing(client, issuer, profile):
    UserFactory.create(misar_id="usr_1", name="Zoë", email="z@example.com")
    assert sign_in(client, issuer, profile=profile).status_code == 302
    user = User.objects.get()
    assert (user.name, user.email) == ("Zoë", "z@example.com")


# --- Who signs in -----------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [*NO_TEXT, "staff:ada", "x" * 256], ids=ascii)
def test_a_subject_that_is_no_misar_id_is_refused_in_words(client, issuer, odd):
    answer = sign_in(client, issuer, profile={"sub": odd}, sub=odd)
    assert is_refused(client, answer, 403, "This Misar account cannot sign in here.")


@pytest.mark.parametrize("odd", [*NO_TEXT, "usr_2"], ids=ascii)
def test_a_profile_of_another_user_is_refused(client, issuer, odd):
    answer = sign_in(client, issuer, profile={"sub": odd})
    assert is_refused(client, answer, 403, "This Misar account cannot sign in here.")


@pytest.mark.parametrize("nonce", [None, "", "another", 7, True, [], {}, ["x"]])
def test_an_id_token_without_the_nonce_is_refused(client, issuer, nonce, caplog):
    assert is_refused(client, sign_in(client, issuer, nonce=nonce))
    assert "nonce" in caplog.text


def test_an_id_token_of_another_sign_in_is_refused(client, issuer):
    """A stolen code is of no use in another browser's session, nor in another sign-in of the same one."""
    first, second = begin(client), begin(client)
    assert first["nonce"] != second["nonce"]
    assert len(first["nonce"]) >= 32
    assert is_refused(client, come_back(client, issuer, first, nonce=second["nonce"]))


def test_a_sign_in_that_the_previous_release_began_is_finished(client, issuer):
    """It sent no nonce, and its session has none."""
    asked = begin(client)
    session = client.session
    del session["socialaccount_states"][asked["state"]][0]["nonce"]
    session.save()
    assert come_back(client, issuer, asked | {"nonce": None}).status_code == 302
    assert client.session["_auth_user_id"] == "usr_1"


def test_in_such_a_sign_in_a_token_with_a_nonce_is_of_another_one(client, issuer):
    asked = begin(client)
    session = client.session
    del session["socialaccount_states"][asked["state"]][0]["nonce"]
    session.save()
    assert is_refused(client, come_back(client, issuer, asked))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"iss": 7},
        {"aud": "misar-billing"},
        {"aud": None},
        {"aud": []},
        {"aud": {}},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": []},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_for_us_or_not_valid_now_is_refused(client, issuer, claims):
    assert is_refused(client, sign_in(client, issuer, **claims))


@pytest.mark.parametrize("jti", ["j" * 5000, "\0", 7, [], {}, "one"], ids=lambda jti: ascii(jti)[:20])
def test_the_id_of_a_token_may_be_anything(client, issuer, jti):
    for _ in range(2):
        assert sign_in(client, issuer, jti=jti).status_code == 302


# --- Answers of a wrong shape -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NO_OBJECT)
def test_a_configuration_that_is_no_object_is_503_and_not_kept(client, issuer, name):
    issuer.answers[CONFIGURATION] = NO_OBJECT[name]
    assert is_503(client.post("/sign-in/misar"))
    issuer.answers[CONFIGURATION] = json_of(configuration(issuer))
    assert client.post("/sign-in/misar").status_code == 302


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "issuer"])
def test_a_configuration_with_a_wrong_address_is_503_and_not_kept(client, issuer, name):
    no_addresses: list[Any] = [] if name == "issuer" else ["", "javascript:alert(1)", "/x", "a b"]
    for wrong in [None, 7, [], {}, True, *no_addresses]:
        issuer.answers[CONFIGURATION] = json_of(configuration(issuer, **{name: wrong}))
        assert is_503(client.post("/sign-in/misar"))
    issuer.answers[CONFIGURATION] = json_of(configuration(issuer))
    assert client.post("/sign-in/misar").status_code == 302


@pytest.mark.parametrize("methods", [None, 7, "client_secret_post", {}, [7], [[]], ["client_secret_basic"]])
def test_the_ways_to_authenticate_may_be_missing_or_odd(client, issuer, methods):
    changed = configuration(issuer, token_endpoint_auth_methods_supported=methods)
    issuer.answers[CONFIGURATION] = json_of(changed)
    assert sign_in(client, issuer).status_code == 302


@pytest.mark.parametrize("path", [TOKEN, PROFILE])
@pytest.mark.parametrize("name", NO_OBJECT)
def test_an_answer_that_is_no_object_is_a_page_in_words(client, issuer, path, name):
    asked = begin(client)
    issuer.answers[path] = NO_OBJECT[name]
    answer = come_back(client, issuer, asked)
    assert answer.status_code in (400, 403, 503)
    assert "<h1>" in answer.text
    assert not User.objects.exists()
    assert sign_in(client, issuer).status_code == 302  # Nothing of it is kept.


@pytest.mark.parametrize(
    "odd", [7, True, [], {}, ["x"], {"a": 1}, "two\nlines", "\0", "☃", "\ud800"], ids=ascii
)
def test_an_access_token_that_is_no_token_is_503(client, issuer, odd):
    assert is_503(sign_in(client, issuer, tokens={"access_token": odd}))


@pytest.mark.parametrize(
    "odd", [*NO_TEXT, "a.b.c", "....", "e30.e30.", "☃.☃.☃", "x" * 100_000], ids=lambda odd: ascii(odd)[:20]
)
def test_an_id_token_that_is_no_token_signs_no_user_in(client, issuer, odd):
    answer = sign_in(client, issuer, tokens={"id_token": odd})
    assert answer.status_code in (400, 503)
    assert not User.objects.exists()


@pytest.mark.parametrize("odd", [*NO_TEXT, -1, 10**30, "3600", 1e308], ids=ascii)
def test_what_we_do_not_use_of_the_tokens_may_be_odd(client, issuer, odd):
    tokens = {"expires_in": odd, "refresh_token": odd, "token_type": odd, "scope": odd}
    assert sign_in(client, issuer, tokens=tokens).status_code == 302


@pytest.mark.parametrize("path", [CONFIGURATION, TOKEN, PROFILE])
def test_30_megabytes_are_not_read_whole(client, issuer, path):
    if path != CONFIGURATION:
        asked = begin(client)
    issuer.answers[path] = issuer.megabytes(30, b'{"sub": "usr_1"}')
    answer = client.post("/sign-in/misar") if path == CONFIGURATION else come_back(client, issuer, asked)
    assert is_503(answer)
    assert issuer.taken_bytes < 15 * MEGABYTE


@pytest.mark.parametrize("path", [CONFIGURATION, TOKEN, PROFILE])
@pytest.mark.parametrize("name", DRIPS)
def test_an_answer_that_drips_is_given_up(client, issuer, settings, path, name):
    def impatient():
        settings.SOCIALACCOUNT_REQUESTS_TIMEOUT = 0.5

    def last_answer_in_time(handler):
        impatient()
        json_of({"access_token": "x", "token_type": "Bearer", "id_token": token})(handler)

    usual, given_up = settings.SOCIALACCOUNT_REQUESTS_TIMEOUT, threading.Event()
    drip = dripping(name, given_up, json.dumps({"sub": "usr_1", "access_token": "x"}).encode())
    if path == CONFIGURATION:
        good, issuer.answers[path] = issuer.answers[path], drip
        impatient()
        answer = client.post("/sign-in/misar")
        issuer.answers[path] = good
    else:
        asked = begin(client)
        issuer.answers[path] = drip
        if path == PROFILE:
            token = id_token(issuer, nonce=asked["nonce"])
            issuer.answers[TOKEN] = last_answer_in_time
        else:
            impatient()
        answer = come_back(client, issuer, asked)
    assert is_503(answer)
    assert given_up.wait(DRIPS_SECONDS)
    settings.SOCIALACCOUNT_REQUESTS_TIMEOUT = usual
    assert sign_in(client, issuer).status_code == 302


@pytest.mark.parametrize("path", [TOKEN, PROFILE])
def test_a_redirect_is_not_followed(client, issuer, path):
    """It could carry the client's secret or the user's token to another place."""
    with scripted_server.running() as elsewhere:
        asked = begin(client)
        issuer.answers[path] = content(b"", 307, Location=f"{elsewhere.address}/")
        assert is_503(come_back(client, issuer, asked))
        assert elsewhere.requests == []


def test_nothing_of_it_is_in_the_log(client, issuer, caplog):
    issuer.answers[TOKEN] = json_of({"access_token": ["a-secret-token"]})
    assert is_503(come_back(client, issuer, begin(client)))
    issuer.answers[TOKEN] = content(b"a-secret-token")
    come_back(client, issuer, begin(client))
    assert "secret" not in caplog.text


def test_without_an_issuer_its_addresses_are_404(client, settings):
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": []}}
    assert client.post("/sign-in/misar").status_code == 404
    assert client.get("/sign-in/misar/callback", {"code": "x", "state": "y"}).status_code == 404
