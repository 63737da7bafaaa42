"""Bearer tokens proven by a shared secret: HS256 alone."""

import base64
import json
import time

import jwt
import pytest

from accounts.errors import InvalidToken
from accounts.sso import TOKEN_LENGTH_MAX, misar_id_of
from tests.accounts.issuer import claims_of, private_key
from tests.conftest import Caller

PATH = "/io/wallet/balance"


def refused(token: str) -> None:
    with pytest.raises(InvalidToken):
        misar_id_of(token)


def encoded(*parts: object) -> str:
    """Parts of a token, JSON unless they are bytes or text already."""

    def part(value: object) -> str:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    return ".".join(value if isinstance(value, str) else part(value) for value in parts)


# --- Claims -----------------------------------------------------------------------------------------


def test_a_good_token_proves_its_subject(token):
    assert misar_id_of(token("usr_1")) == "usr_1"


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
def test_a_token_without_a_vital_claim_is_refused(token, claim):
    refused(token("usr_1", **{claim: None}))


def test_a_token_need_not_say_when_it_was_issued(token):
    assert misar_id_of(token("usr_1", iat=None)) == "usr_1"


@pytest.mark.parametrize(
    "issuer", ["", "https://evil.com", "HTTP://127.0.0.1", ["https://evil.com"], 7, {"iss": "x"}, True]
)
def test_a_token_of_another_issuer_is_refused(sso_secret, issuer):
    payload = json.dumps(claims_of(iss=issuer)).encode()  # PyJWT itself would not write some of these.
    refused(jwt.api_jws.encode(payload, sso_secret, algorithm="HS256"))


def test_an_issuer_is_compared_exactly(token, settings):
    for near in (settings.SSO_ISSUER + "/", settings.SSO_ISSUER.upper(), settings.SSO_ISSUER[:-1]):
        refused(token("usr_1", iss=near))


@pytest.mark.parametrize(
    "audience", ["", "misar-billing-web", "misar", "MISAR-BILLING", [], ["other"], 7, [7], {}]
)
def test_a_token_for_another_audience_is_refused(token, audience):
    refused(token("usr_1", aud=audience))


def test_a_token_for_us_among_others_is_good(token, settings):
    assert misar_id_of(token("usr_1", aud=["other", settings.SSO_AUDIENCE])) == "usr_1"


def test_thirty_seconds_of_clock_difference_are_forgiven(token):
    now = int(time.time())
    assert misar_id_of(token("usr_1", exp=now - 25)) == "usr_1"
    assert misar_id_of(token("usr_1", nbf=now + 25)) == "usr_1"
    assert misar_id_of(token("usr_1", iat=now + 25)) == "usr_1"


def test_more_is_not(token):
    now = int(time.time())
    refused(token("usr_1", exp=now - 31))
    refused(token("usr_1", nbf=now + 60))
    refused(token("usr_1", iat=now + 60))


@pytest.mark.parametrize(
    "moment",
    ["soon", "", [], {}, True, -1, 0, float("inf"), float("-inf"), float("nan"), -(10**30), "9" * 5000],
)
def test_an_expiry_that_is_no_moment_to_come_is_refused(token, moment):
    refused(token("usr_1", exp=moment))


@pytest.mark.parametrize("moment", ["soon", [], {}, float("inf"), float("nan"), 10**30])
def test_a_beginning_that_is_no_moment_past_is_refused(token, moment):
    refused(token("usr_1", nbf=moment))


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "a\x00b",
        "a\nb",
        "\x7f",
        "\N{ZERO WIDTH SPACE}",
        "\ud800",
        "x" * 256,
        7,
        7.5,
        True,
        [],
        ["usr_1"],
        {},
    ],
)
def test_a_subject_that_is_no_misar_id_is_refused(token, subject):
    refused(token(subject))


@pytest.mark.parametrize("subject", ["x" * 255, " usr_1 ", "Ünï-☃", "Staff:1", "staff", "x-staff:1"])
def test_a_subject_is_any_printable_text_taken_exactly(token, subject):
    assert misar_id_of(token(subject)) == subject


@pytest.mark.parametrize("subject", ["staff:", "staff:1", "staff:root"])
def test_no_bearer_is_one_of_the_staff(token, subject):
    refused(token(subject))


# --- Signatures -------------------------------------------------------------------------------------


def test_a_token_signed_with_another_secret_is_refused(token):
    refused(token("usr_1", secret="another secret, just as long as the first"))


def test_a_token_changed_after_signing_is_refused(token):
    header, _, signature = token("usr_1").split(".")
    refused(encoded(header, claims_of("usr_2"), signature))


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_only_hs256_is_taken(token, algorithm):
    refused(token("usr_1", algorithm=algorithm))


def test_an_unsigned_token_is_refused(sso_secret):
    refused(jwt.encode(claims_of(), "", algorithm="none"))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, [], ["HS256"], {}, "HS256 ", "hs256"]
)
def test_no_other_word_for_an_algorithm_is_taken(token, algorithm):
    _, claims, signature = token("usr_1").split(".")
    refused(encoded({"alg": algorithm, "typ": "JWT"}, claims, signature))
    refused(encoded({"alg": algorithm, "typ": "JWT"}, claims, ""))


def test_a_token_signed_with_a_private_key_is_refused(sso_secret):
    refused(jwt.encode(claims_of(), private_key("rsa-1"), algorithm="RS256"))


def test_a_token_with_an_unknown_critical_extension_is_refused(sso_secret):
    headers = {"crit": ["x-strange"], "x-strange": True}
    refused(jwt.encode(claims_of(), sso_secret, algorithm="HS256", headers=headers))


def test_without_any_key_every_token_is_refused(token, settings):
    good = token("usr_1")
    settings.SSO_JWT_SECRET = ""
    refused(good)


# --- Garbage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        " ",
        ".",
        "..",
        "...",
        "....",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "null",
        "\x00",
        "eyJ",
        "e30.e30.",
        "e30.e30.e30",
        "=.=.=",
        "*.*.*",
        "\N{SNOWMAN}",
        "\udc80",
        "é.é.é",
        "msk_" + "0" * 64,
        "wsk_" + "0" * 64,
        encoded([], {}, b"x"),
        encoded(None, {}, b"x"),
        encoded(7, {}, b"x"),
        encoded("HS256", {}, b"x"),
        encoded({"alg": "HS256"}, [], b"x"),
        encoded({"alg": "HS256", "kid": 7}, {}, b"x"),
        encoded({"alg": "HS256", "b64": False, "crit": ["b64"]}, {}, b"x"),
        encoded(b"\xff\xfe", b"\xff", b"\xff"),
        encoded(b"[" * 5000, {}, b"x"),
        encoded(b'{"a":' * 1100, {}, b"x"),
        encoded(b"9" * 5000, {}, b"x"),
    ],
    ids=lambda garbage: repr(garbage[:16]),
)
def test_garbage_is_refused(sso_secret, garbage):
    refused(garbage)


def test_garbage_under_a_good_signature_is_refused(sso_secret):
    for payload in (b"", b"[]", b"null", b"7", b'"usr_1"', b"\xff", b"[" * 4000, b"9" * 5000, b"{"):
        refused(jwt.api_jws.encode(payload, sso_secret, algorithm="HS256"))


def test_a_token_has_a_length(token):
    fitting = token("usr_1", padding="x" * 5000)
    assert len(fitting) <= TOKEN_LENGTH_MAX
    assert misar_id_of(fitting) == "usr_1"
    refused(token("usr_1", padding="x" * TOKEN_LENGTH_MAX))
    refused("x" * 1_000_000)


# --- The header -------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_may_be_written_as_one_likes(token, scheme):
    assert Caller({"Authorization": scheme + token("usr_1")}).get(PATH).json() == {"credits": 0}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer a.b.c",
        "Bearer " + "x" * 9000,
        "Bearer é",
        "Bearer \xff\xfe",
        "Bearer a b",
        "é",
        "\x80",
        "Basic dXNyXzE6cGFzcw==",
        "Basic",
        "Digest username=usr_1",
        "Token abc",
        "Bearer: abc",
        "wsk_" + "0" * 64,
    ],
    ids=lambda header: repr(header[:16]),
)
def test_another_header_is_401(sso_secret, header):
    response = Caller({"Authorization": header}).get(PATH)
    assert response.status_code == 401
    assert response.json() == {"error": "Invalid or expired access token"}
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert response["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_a_good_token_under_another_scheme_is_401(token):
    for scheme in ("Basic", "JWT", "Token", ""):
        header = f"{scheme} {token('usr_1')}".strip()
        assert Caller({"Authorization": header}).get(PATH).status_code == 401


@pytest.mark.django_db
def test_an_answer_never_says_what_was_wrong(token):
    now = int(time.time())
    wrong = (
        token("usr_1", exp=now - 60),
        token("usr_1", aud="other"),
        token("usr_1", secret="x" * 40),
        "nonsense",
    )
    answers = {Caller({"Authorization": f"Bearer {one}"}).get(PATH).content for one in wrong}
    assert len(answers) == 1
