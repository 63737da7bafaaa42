"""Bearer tokens proven by the issuer's published keys, RS256 or ES256; and an issuer in trouble."""

import base64
import gzip
import hashlib
import hmac
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from accounts import sso
from accounts.errors import InvalidToken, IssuerOutOfReach
from accounts.sso import misar_id_of
from tests.accounts import issuer as answers
from tests.accounts.issuer import Issuer, claims_of, private_key, public_jwk, public_pem, published, signed
from tests.conftest import Caller
from tests.deployment import eventually
from tests.scripted_server import DRIPS, DRIPS_SECONDS, dripping

PATH = "/io/wallet/balance"


# On a busy machine the end of a fetch may come late; an issuer here is silent for 60 seconds.
LATE_SECONDS = 30


@pytest.fixture
def issuer(settings):
    """An issuer that publishes one RSA key, and our settings pointing at it."""
    sso.key_set.cache_clear()  # An earlier issuer may have had the same port.
    issuer = Issuer()
    settings.SSO_JWT_SECRET, settings.SSO_JWKS_URL = "", issuer.url
    yield issuer
    issuer.stop()


@pytest.fixture
def impatient(monkeypatch):
    """The pause between two fetches, too short to be noticed."""
    monkeypatch.setattr(sso.KeySet, "PAUSE_SECONDS", 0)


@pytest.fixture
def soon_stale(impatient, monkeypatch):
    """Keys that are asked for again with each token."""
    monkeypatch.setattr(sso.KeySet, "FRESH_SECONDS", 0)


def refused(token: str) -> None:
    with pytest.raises(InvalidToken):
        misar_id_of(token)


def cannot_be_told(token: str) -> None:
    """Neither good nor bad, and that long before the issuer would have come to an end."""
    began = time.monotonic()
    with pytest.raises(IssuerOutOfReach):
        misar_id_of(token)
    assert time.monotonic() - began < LATE_SECONDS


# --- Signatures -------------------------------------------------------------------------------------


def test_an_rs256_token_proves_its_subject(issuer):
    assert misar_id_of(signed("rsa-1")) == "usr_1"


def test_an_es256_token_proves_its_subject(issuer):
    issuer.answer = published("ec-1")
    assert misar_id_of(signed("ec-1")) == "usr_1"


def test_several_keys_are_told_apart_by_their_id(issuer):
    issuer.answer = published("rsa-1", "ec-1", "rsa-2")
    assert [misar_id_of(signed(key)) for key in ("rsa-2", "ec-1", "rsa-1")] == ["usr_1"] * 3
    refused(signed("rsa-2", key_id="rsa-1"))
    assert issuer.requests == 1


def test_a_token_that_names_no_key_means_the_only_one_there_is(issuer, impatient):
    assert misar_id_of(signed("rsa-1", key_id=None)) == "usr_1"
    refused(signed("rsa-2", key_id=None))


def test_where_there_are_several_keys_a_token_must_name_its_own(issuer):
    issuer.answer = published("rsa-1", "rsa-2")
    refused(signed("rsa-1", key_id=None))


def test_a_key_without_a_word_on_its_algorithm_is_taken_by_its_kind(issuer):
    jwks = [public_jwk(key) for key in ("rsa-1", "ec-1")]
    issuer.answer = answers.key_set(*({k: v for k, v in jwk.items() if k != "alg"} for jwk in jwks))
    assert misar_id_of(signed("rsa-1")) == misar_id_of(signed("ec-1")) == "usr_1"


def test_a_foreign_key_under_a_known_id_is_refused(issuer):
    refused(signed("rsa-2", key_id="rsa-1"))


def test_an_unsigned_token_is_refused_before_any_key_is_fetched(issuer):
    refused(jwt.encode(claims_of(), "", algorithm="none", headers={"kid": "rsa-1"}))
    assert issuer.requests == 0


def test_a_public_key_is_no_shared_secret(issuer):
    """The oldest trick: sign with HS256, and the key that everybody can read."""
    for secret in (public_pem("rsa-1"), public_jwk("rsa-1")["n"].encode(), b"", b"rsa-1"):
        refused(signed_by_hand({"alg": "HS256", "kid": "rsa-1"}, secret))
    assert issuer.requests == 0


def test_nor_is_it_with_a_header_that_claims_otherwise(issuer):
    refused(signed_by_hand({"alg": "RS256", "kid": "rsa-1"}, public_pem("rsa-1")))
    refused(signed_by_hand({"alg": "ES256", "kid": "rsa-1"}, public_pem("rsa-1")))


def test_a_published_symmetric_key_is_not_used(issuer):
    secret = b"a secret that should never have been published"
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    issuer.answer = answers.key_set(
        public_jwk("rsa-1"), {"kty": "oct", "kid": "oct", "alg": "HS256", "k": encoded}
    )
    refused(signed_by_hand({"alg": "HS256", "kid": "oct"}, secret))
    refused(signed_by_hand({"alg": "RS256", "kid": "oct"}, secret))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_no_other_algorithm_of_the_same_key_is_taken(issuer, algorithm):
    refused(signed("rsa-1", algorithm=algorithm))


def test_a_header_that_names_an_algorithm_of_another_kind_is_refused(issuer):
    issuer.answer = published("rsa-1", "ec-1")
    refused(signed("rsa-1", key_id="ec-1"))
    refused(signed("ec-1", key_id="rsa-1"))


def test_an_elliptic_key_on_another_curve_is_not_used(issuer):
    key = ec.generate_private_key(ec.SECP384R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    issuer.answer = answers.key_set(public_jwk("rsa-1"), {**jwk, "kid": "p384"})
    refused(jwt.encode(claims_of(), key, algorithm="ES384", headers={"kid": "p384"}))
    refused(signed("ec-1", key_id="p384"))


def test_a_token_cannot_bring_its_own_key(issuer):
    hostile = Issuer()
    hostile.answer = published("rsa-2")
    for extra in ({"jku": hostile.url}, {"jwk": public_jwk("rsa-2")}, {"x5u": hostile.url}):
        headers = {"kid": "rsa-1", **extra}
        refused(jwt.encode(claims_of(), private_key("rsa-2"), algorithm="RS256", headers=headers))
    assert hostile.requests == 0
    hostile.stop()


@pytest.mark.parametrize("key_id", [7, None, [], {}, True, "", "x" * 4000, "rsa-1\x00", "../rsa-1", "\ud800"])
def test_an_odd_key_id_is_refused(issuer, key_id):
    refused(signed_by_hand({"alg": "RS256", "kid": key_id}, b"x"))


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
def test_a_token_without_a_vital_claim_is_refused(issuer, claim):
    missing: dict[str, Any] = {claim: None}
    refused(signed("rsa-1", **missing))


def test_the_same_claims_are_asked_for_as_with_a_secret(issuer):
    now = int(time.time())
    for wrong in ({"exp": now - 31}, {"nbf": now + 60}, {"iss": "x"}, {"aud": "x"}, {"user_id": "staff:1"}):
        refused(signed("rsa-1", **wrong))
    assert misar_id_of(signed("rsa-1", exp=int(time.time()) - 20)) == "usr_1"


# --- How often the issuer is asked -------------------------------------------------------------------


def test_keys_are_fetched_once_and_kept(issuer):
    for _ in range(5):
        assert misar_id_of(signed("rsa-1")) == "usr_1"
    assert issuer.requests == 1


def test_many_at_first_ask_the_issuer_once_and_all_get_in(issuer):
    come = threading.Event()
    issuer.answer = answers.late(come, published("rsa-1"))
    threading.Timer(0.3, come.set).start()
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(misar_id_of, [signed("rsa-1")] * 20))
    assert found == ["usr_1"] * 20
    assert issuer.requests == 1


def test_an_unknown_key_id_asks_the_issuer_again_but_not_each_time(issuer):
    misar_id_of(signed("rsa-1"))
    key_set = sso.key_set(issuer.url)
    key_set._tried_at -= sso.KeySet.PAUSE_SECONDS  # As if half a minute had gone by.
    for number in range(20):
        refused(signed("rsa-2", key_id=f"unknown-{number}"))
    assert issuer.requests == 2


def test_a_new_key_gets_in_without_a_restart(issuer, impatient):
    misar_id_of(signed("rsa-1"))
    issuer.answer = published("rsa-2", "rsa-1")
    assert misar_id_of(signed("rsa-2")) == "usr_1"
    assert misar_id_of(signed("rsa-1")) == "usr_1"
    assert issuer.requests == 2


def test_a_key_withdrawn_by_the_issuer_stops_working_when_the_keys_are_stale(issuer, soon_stale):
    misar_id_of(signed("rsa-1"))
    issuer.answer = published("rsa-2")
    refused(signed("rsa-1"))


def test_keys_grow_stale_after_ten_minutes(issuer):
    misar_id_of(signed("rsa-1"))
    key_set = sso.key_set(issuer.url)
    key_set._fetched_at -= 9 * 60
    key_set._tried_at -= 9 * 60
    misar_id_of(signed("rsa-1"))
    assert issuer.requests == 1
    key_set._fetched_at -= 61
    misar_id_of(signed("rsa-1"))
    assert issuer.requests == 2


# --- An issuer in trouble ---------------------------------------------------------------------------


def test_an_issuer_gone_at_first_use_is_no_fault_of_the_token(issuer):
    issuer.stop()
    cannot_be_told(signed("rsa-1"))


def test_a_fetch_ends_within_the_three_seconds_that_a_request_has(limits_of_calls):
    assert sso.KeySet.FETCH_SECONDS_MAX <= 2
    assert sum(sso.KeySet.FETCH_TIMEOUT_SECONDS) <= 2


@pytest.fixture
def short_fetches(monkeypatch):
    """Shorter ones than in production: that they end is seen as well."""
    monkeypatch.setattr(sso.KeySet, "FETCH_TIMEOUT_SECONDS", (0.2, 0.4))
    monkeypatch.setattr(sso.KeySet, "FETCH_SECONDS_MAX", 0.6)


def test_a_silent_issuer_is_not_waited_for(issuer, short_fetches):
    issuer.answer = answers.silent
    cannot_be_told(signed("rsa-1"))
    cannot_be_told(signed("rsa-1"))
    eventually(lambda: issuer.requests)
    assert issuer.requests == 1


@pytest.mark.parametrize("name", DRIPS)
def test_the_fetch_of_an_answer_that_drips_ends(issuer, short_fetches, name):
    given_up = threading.Event()
    keys = json.dumps({"keys": [public_jwk("rsa-1")]}).encode()
    issuer.answer = dripping(name, given_up, keys)
    cannot_be_told(signed("rsa-1"))
    cannot_be_told(signed("rsa-1"))
    assert given_up.wait(DRIPS_SECONDS)
    eventually(lambda: not any(thread.name == "jwks" for thread in threading.enumerate()))
    assert issuer.requests == 1


def test_no_request_waits_long_while_another_fetches_in_vain(issuer, short_fetches):
    issuer.answer = answers.silent
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: cannot_be_told(signed("rsa-1")), range(10)))
    assert time.monotonic() - began < LATE_SECONDS
    assert issuer.requests == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"<html></html>",
        b"null",
        b"7",
        b'"keys"',
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": 7}',
        b'{"keys": "keys"}',
        b'{"keys": [null]}',
        b'{"keys": [7]}',
        b'{"keys": ["key"]}',
        b'{"keys": [[]]}',
        b'{"keys": [{}]}',
        b'{"keys": [{"kty": "RSA"}]}',
        b'{"keys": [{"kty": 7}]}',
        b'{"keys": [{"kty": "RSA", "alg": ["RS256"]}]}',
        b'{"keys": [{"kty": "RSA", "kid": "rsa-1", "n": 7, "e": "AQAB"}]}',
        b'{"keys": [{"kty": "RSA", "kid": "rsa-1", "n": "AQAB", "e": null}]}',
        b'{"keys": [{"kty": "RSA", "kid": "rsa-1", "n": "*", "e": "AQAB"}]}',
        b'{"keys": [{"kty": "EC", "kid": "ec-1", "crv": "P-256", "x": "AQ", "y": "AQ"}]}',
        b"\xff\xfe",
        b"[" * 5000,
        b"9" * 5000,
        b"\x1f\x8b\x08\x00",
        b" " * (256 * 1024) + b"{}",
    ],
    ids=lambda content: repr(content[:60]),
)
def test_an_issuer_that_publishes_nonsense_is_out_of_reach(issuer, content):
    issuer.answer = answers.body(content)
    cannot_be_told(signed("rsa-1"))


def test_one_odd_key_does_not_spoil_the_others(issuer):
    odd: tuple[Any, ...] = (
        None,
        7,
        "key",
        [],
        {},
        {"kty": "unheard of"},
        {"kty": "RSA", "n": 7},
        {"kty": 7},
        {"kty": "oct", "k": "AA"},
    )
    for one in odd:
        other = Issuer()
        other.answer = answers.key_set(one, public_jwk("rsa-1"))
        assert sso.KeySet(other.url).find("rsa-1").key_id == "rsa-1"
        other.stop()


def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(issuer):
    packed = gzip.compress(b" " * 50_000_000)
    assert len(packed) < 100_000
    issuer.answer = answers.body(packed, Content_Encoding="gzip")
    cannot_be_told(signed("rsa-1"))


@pytest.mark.parametrize("status", [204, 301, 302, 307, 400, 401, 404, 500, 503])
def test_only_200_brings_keys(issuer, status):
    good = json.dumps({"keys": [public_jwk("rsa-1")]}).encode()
    issuer.answer = answers.body(good if status != 204 else b"", status)
    cannot_be_told(signed("rsa-1"))


def test_a_redirect_is_not_followed(issuer):
    elsewhere = Issuer()
    issuer.answer = answers.body(b"", 302, Location=elsewhere.url)
    cannot_be_told(signed("rsa-1"))
    assert elsewhere.requests == 0
    elsewhere.stop()


def test_a_failure_is_remembered_for_half_a_minute(issuer):
    issuer.answer = answers.body(b"", 500)
    for _ in range(5):
        cannot_be_told(signed("rsa-1"))
    assert issuer.requests == 1
    issuer.answer = published("rsa-1")
    cannot_be_told(signed("rsa-1"))
    sso.key_set(issuer.url)._tried_at -= sso.KeySet.PAUSE_SECONDS
    assert misar_id_of(signed("rsa-1")) == "usr_1"


def test_the_last_good_keys_are_served_while_the_issuer_is_gone(issuer, soon_stale):
    misar_id_of(signed("rsa-1"))
    issuer.stop()
    assert misar_id_of(signed("rsa-1")) == "usr_1"
    refused(signed("rsa-2", key_id="rsa-1"))


@pytest.mark.parametrize(
    "answer", [answers.body(b"{}"), answers.body(b"", 500), answers.body(b'{"keys": [7]}')]
)
def test_a_bad_answer_does_not_replace_good_keys(issuer, soon_stale, answer):
    misar_id_of(signed("rsa-1"))
    issuer.answer = answer
    assert misar_id_of(signed("rsa-1")) == "usr_1"


def test_a_request_with_a_known_key_does_not_wait_for_a_slow_issuer(issuer, soon_stale):
    misar_id_of(signed("rsa-1"))
    come = threading.Event()
    issuer.answer = answers.late(come, published("rsa-1"))
    fetching = threading.Thread(target=misar_id_of, args=[signed("rsa-1")])
    fetching.start()
    eventually(lambda: issuer.requests == 2)
    assert misar_id_of(signed("rsa-1")) == "usr_1"
    assert fetching.is_alive()  # The issuer has not answered yet.
    come.set()
    fetching.join()


def test_an_unknown_key_while_the_issuer_is_gone_cannot_be_told(issuer, impatient):
    misar_id_of(signed("rsa-1"))
    issuer.stop()
    cannot_be_told(signed("rsa-2"))


def test_after_a_day_without_the_issuer_its_old_keys_prove_nothing(issuer):
    misar_id_of(signed("rsa-1"))
    issuer.stop()
    sso.key_set(issuer.url)._fetched_at -= sso.KeySet.SERVED_SECONDS + 1
    cannot_be_told(signed("rsa-1"))


def test_when_the_issuer_is_back_service_resumes_by_itself(issuer, impatient):
    issuer.stop()
    cannot_be_told(signed("rsa-1"))
    issuer.start()
    assert misar_id_of(signed("rsa-1")) == "usr_1"


# --- Over HTTP --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_good_token_reads_its_own_wallet(issuer, give):
    give("usr_1", 7)
    response = Caller({"Authorization": f"Bearer {signed('rsa-1')}"}).get(PATH)
    assert response.json() == {"credits": 7}


@pytest.mark.django_db
def test_a_bad_token_is_401(issuer):
    response = Caller({"Authorization": f"Bearer {signed('rsa-2', key_id='rsa-1')}"}).get(PATH)
    assert response.status_code == 401
    assert response.json() == {"error": "Invalid or expired access token"}


@pytest.mark.django_db
def test_an_issuer_that_is_gone_is_503_never_401(issuer):
    issuer.stop()
    response = Caller({"Authorization": f"Bearer {signed('rsa-1')}"}).get(PATH)
    assert response.status_code == 503
    assert response.json() == {"error": "Access tokens cannot be checked right now; please try again."}
    assert 1 <= int(response["Retry-After"]) <= 60


@pytest.mark.django_db
def test_a_product_does_not_need_the_issuer(issuer, as_service):
    issuer.stop()
    assert as_service.get(PATH, user_id="usr_1").status_code == 200


def signed_by_hand(header: dict, secret: bytes) -> str:
    """A token with an HMAC under any header, which PyJWT would not write."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    text = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims_of()).encode())}"
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("odd", [[], {}, 7, True])
def test_a_key_with_an_odd_id_takes_no_other_key_away(issuer, odd):
    issuer.answer = answers.key_set(public_jwk("rsa-2", kid=odd), public_jwk("rsa-1"))
    assert misar_id_of(signed("rsa-1")) == "usr_1"


def test_a_redirect_with_30_megabytes_is_not_read(issuer):
    issuer.answer = answers.body(b" " * 30 * 1024 * 1024, 302, Location="/elsewhere")
    cannot_be_told(signed("rsa-1"))
    assert issuer.requests == 1
