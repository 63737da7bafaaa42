"""The people who sign in, and the authorization codes that the service exchanges for tokens.

Codes are kept in this process's memory: they are valid for a minute, and the sandbox is one process.
"""

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from threading import Lock

from sandbox import behaviour

STAFF_PREFIX = "staff:"
USER_ID_LENGTH_MAX = 255


@dataclass(frozen=True)
class Person:
    """A person who can sign in. If the name or address is empty, the issuer does not know it."""

    user_id: str
    name: str = ""
    email: str = ""

    def claims(self, scopes: frozenset[str]) -> dict[str, str | bool]:
        """The claims about this person that these scopes allow, apart from `sub`."""
        claims: dict[str, str | bool] = {}
        if self.name and "profile" in scopes:
            claims["name"] = self.name
        if self.email and "email" in scopes:
            claims |= {"email": self.email, "email_verified": True}
        return claims


PEOPLE = (
    Person("usr_demo", "Dana Demo", "dana@example.com"),
    Person("usr_ines", "Ines Duarte", "ines@example.com"),
    Person("usr_tomas", "Tomas Lind", "tomas@example.com"),
)


@dataclass(frozen=True)
class Grant:
    """A person's consent for one client: where the code is sent, and what must be sent back with it."""

    person: Person
    redirect_uri: str
    scopes: frozenset[str]
    nonce: str
    code_challenge: str
    granted_at: int  # Unix seconds.

    def is_proven_by(self, code_verifier: str) -> bool:
        """Whether the verifier matches the S256 challenge that started the sign-in (RFC 7636).

        Without a challenge there must be no verifier; otherwise a stolen code would work with any.
        """
        if not self.code_challenge or not code_verifier:
            return self.code_challenge == code_verifier
        digest = hashlib.sha256(code_verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
        return hmac.compare_digest(challenge, self.code_challenge.encode())


_lock = Lock()
# By code; the float is when it expires, on the monotonic clock.
_waiting: dict[str, tuple[float, Grant]] = {}


def issue_code(grant: Grant) -> str:
    """A code for the grant. It works once, for `code_seconds` of the sandbox's settings."""
    code = secrets.token_urlsafe(32)
    now = time.monotonic()
    with _lock:
        for ended in [each for each, (ends_at, _) in _waiting.items() if ends_at <= now]:
            del _waiting[ended]
        _waiting[code] = (now + behaviour.current().code_seconds, grant)
    return code


def redeem(code: str) -> Grant | None:
    """The grant of the code; None if the code is unknown, used or expired."""
    with _lock:
        ends_at, grant = _waiting.pop(code, (0.0, None))
    return grant if time.monotonic() < ends_at else None


def forget_codes() -> None:
    """Delete all codes."""
    with _lock:
        _waiting.clear()
