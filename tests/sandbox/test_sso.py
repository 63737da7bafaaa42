"""The SSO issuer: its tokens can be verified with the published keys."""

import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from sandbox import sso
from tests.sandbox.conftest import ROOT, StandIn, environment_of

ISSUER = "http://issuer.test/sso"
AUDIENCE = "misar-billing"


@pytest.fixture
def beside(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("DATA_DIR", str(stand_in.data_dir))
    return stand_in


def issue(**claims: Any) -> str:
    full: dict[str, Any] = {
        "user_id": "usr_1",
        "audience": AUDIENCE,
        "issuer": ISSUER,
        "expires_in": 600,
    } | claims
    return sso.issue_token(**full)


def proven(stand_in: StandIn, token: str) -> dict[str, Any]:
    """The claims of a token, verified with the keys that the sandbox publishes now."""
    client = jwt.PyJWKClient(f"{stand_in.url}/sso/jwks.json")
    return jwt.decode(
        token,
        client.get_signing_key_from_jwt(token).key,
        algorithms=["RS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
    )


def test_a_token_of_another_process_is_verified_by_the_published_keys(beside: StandIn):
    claims = proven(beside, issue(email="usr_1@example.com"))
    assert (claims["sub"], claims["email"]) == ("usr_1", "usr_1@example.com")
    assert claims["exp"] - time.time() == pytest.approx(600, abs=10)


def test_after_a_rotation_the_new_key_signs_and_the_old_one_still_verifies(beside: StandIn):
    old_token = issue()
    kid = beside.control("sso/rotate")["kid"]
    new_token = issue()
    assert jwt.get_unverified_header(new_token)["kid"] == kid
    assert jwt.get_unverified_header(old_token)["kid"] != kid
    for token in (old_token, new_token):
        assert proven(beside, token)["sub"] == "usr_1"


def test_only_public_keys_are_published(beside: StandIn):
    for key in requests.get(f"{beside.url}/sso/jwks.json", timeout=120).json()["keys"]:
        assert sorted(key) == ["alg", "e", "kid", "kty", "n", "use"]


def test_the_configuration_names_what_is_served(stand_in: StandIn):
    configuration = requests.get(f"{stand_in.url}/sso/.well-known/openid-configuration", timeout=120).json()
    assert (configuration["issuer"], configuration["jwks_uri"]) == (ISSUER, f"{ISSUER}/jwks.json")
    assert configuration["authorization_endpoint"] == f"{ISSUER}/authorize"
    assert "end_session_endpoint" not in configuration  # The sandbox keeps no sessions.
    for endpoint in ("authorize", "token", "userinfo", "jwks.json"):
        assert requests.get(f"{stand_in.url}/sso/{endpoint}", timeout=120).status_code != 404


def test_two_processes_that_start_at_once_make_one_key(tmp_path: Path):
    program = "from sandbox import sso; print(sso.keys()[0].key_id)"
    environment = environment_of(tmp_path, "http://127.0.0.1:9/")

    def first_key(_: int) -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, check=True
        ).stdout.decode()

    with ThreadPoolExecutor(2) as processes:
        assert len(set(processes.map(first_key, range(2)))) == 1
    assert stat.S_IMODE((tmp_path / "sandbox" / "sso_keys.json").stat().st_mode) == 0o600
