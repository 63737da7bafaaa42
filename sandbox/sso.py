"""The SSO issuer: its keys, the tokens it signs, and what it publishes about itself.

Any process on the same DATA_DIR can issue tokens: the keys are in a file. The sign-in by browser is in
sign_in.py (its page) and tokens.py (the service exchanges the code there).
"""

import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from sandbox import directory

ALGORITHM = "RS256"
KEY_BITS = 2048


@dataclass(frozen=True)
class SigningKey:
    """An RSA key pair with its name, by which verifiers choose among the published keys."""

    key_id: str
    private_pem: str

    @classmethod
    def generate(cls) -> Self:
        private = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(key_id=hashlib.sha256(public).hexdigest()[:16], private_pem=pem.decode())

    def as_jwk(self) -> dict[str, Any]:
        """The public key, as it is published."""
        private = serialization.load_pem_private_key(self.private_pem.encode(), password=None)
        assert isinstance(private, rsa.RSAPrivateKey)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        return {"kty": public["kty"], "n": public["n"], "e": public["e"]} | {
            "kid": self.key_id,
            "use": "sig",
            "alg": ALGORITHM,
        }


# --- Keys -------------------------------------------------------------------------------------------


def keys() -> list[SigningKey]:
    """All keys; the first one signs. It is made at the first call, in any process."""
    with directory.locked() as place:
        return _read(place) or _write(place, [SigningKey.generate()])


def rotate() -> SigningKey:
    """Sign with a new key from now on. The old keys are still published, so their tokens stay valid."""
    with directory.locked() as place:
        return _write(place, [SigningKey.generate(), *_read(place)])[0]


def _read(place: Path) -> list[SigningKey]:
    try:
        kept = json.loads((place / "sso_keys.json").read_text())
    except FileNotFoundError:
        return []
    return [SigningKey(**each) for each in kept]


def _write(place: Path, keys: list[SigningKey]) -> list[SigningKey]:
    # Written to another file and renamed, so no reader sees half a file.
    unfinished = place / "sso_keys.json.new"
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump([{"key_id": key.key_id, "private_pem": key.private_pem} for key in keys], file)
    unfinished.replace(place / "sso_keys.json")
    return keys


# --- Tokens -----------------------------------------------------------------------------------------


def issue_token(*, user_id: str, audience: str, issuer: str, expires_in: int, **claims: Any) -> str:
    """A signed access token for a user, valid for `expires_in` seconds; further claims replace ours."""
    now = int(time.time())
    ours = {
        "iss": issuer,
        "sub": user_id,
        "aud": audience,
        "iat": now,
        "exp": now + expires_in,
        "jti": secrets.token_hex(16),
    }
    key = keys()[0]
    return jwt.encode(ours | claims, key.private_pem, algorithm=ALGORITHM, headers={"kid": key.key_id})


def read_token(token: str, *, audience: str, issuer: str) -> dict[str, Any]:
    """The claims of a token signed by one of our keys; raises jwt.InvalidTokenError for any other."""
    key_id = jwt.get_unverified_header(token).get("kid")
    for key in keys():
        if key.key_id == key_id:
            public = jwt.PyJWK(key.as_jwk())
            return jwt.decode(token, public, algorithms=[ALGORITHM], audience=audience, issuer=issuer)
    raise jwt.InvalidTokenError("The token is signed by an unknown key.")


# --- What the issuer publishes ----------------------------------------------------------------------


def issuer(request: HttpRequest) -> str:
    """The issuer's name, which is also the start of its endpoints' addresses."""
    return os.environ.get("SSO_ISSUER") or request.build_absolute_uri("/sso")


@require_safe
def configuration(request: HttpRequest) -> JsonResponse:
    """The discovery document, with only what is served here."""
    name = issuer(request)
    base = name.rstrip("/")
    return JsonResponse(
        {
            "issuer": name,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "userinfo_endpoint": f"{base}/userinfo",
            "jwks_uri": f"{base}/jwks.json",
            "scopes_supported": ["openid", "profile", "email"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": [
                "iss",
                "sub",
                "aud",
                "iat",
                "exp",
                "auth_time",
                "nonce",
                "name",
                "email",
                "email_verified",
            ],
        }
    )


@require_safe
def key_set(request: HttpRequest) -> JsonResponse:
    """All public keys whose tokens may still be valid."""
    return JsonResponse({"keys": [key.as_jwk() for key in keys()]})
