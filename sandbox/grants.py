"""Who signs in, and the authorization codes: what a person chose, kept until the service fetches it.

Codes live in this process's memory. They are good for a minute, and the sandbox is one process.
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
    """Somebody who can sign in. An empty name or address is one the issuer does not know."""

    user_id: str
    name: str = ""
    email: str = ""

    def claims(self, scopes: frozenset[str]) -> dict[str, str | bool]:
        """What the issuer tells of the person to whoever was granted these scopes, apart from `sub`."""
        told: dict[str, str | bool] = {}
        if self.name and "profile" in scopes:
            told["name"] = self.name
        if self.email and "email" in scopes:
            told |= {"email": self.email, "email_verified": True}
        return told


PEOPLE = (
    Person("usr_demo", "Dana Demo", "dana@example.com"),
    Person("usr_ines", "Ines Duarte", "ines@example.com"),
    Person("usr_tomas", "Tomas Lind", "tomas@example.com"),
)


@dataclass(frozen=True)
class Grant:
    """A person's yes to one client: where the code was sent, and what must come back with it."""

    person: Person
    redirect_uri: str
    scopes: frozenset[str]
    nonce: str
    code_challenge: str
    granted_at: int  # Unix seconds.

    def is_proven_by(self, code_verifier: str) -> bool:
        """Whether the verifier is the one whose S256 challenge began this (RFC 7636).

        Without a challenge there must be none: otherwise a stolen code could be passed off with any.
        """
        if not self.code_challenge or not code_verifier:
            return self.code_challenge == code_verifier
        digest = hashlib.sha256(code_verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
        return hmac.compare_digest(challenge, self.code_challenge.encode())


_lock = Lock()
_waiting: dict[str, tuple[float, Grant]] = {}  # By code; the float is when it ends, on the monotonic clock.


def issue_code(grant: Grant) -> str:
    """A code for the grant, good once and for `code_seconds` of the sandbox's settings."""
    code = secrets.token_urlsafe(32)
    now = time.monotonic()
    with _lock:
        for ended in [each for each, (ends_at, _) in _waiting.items() if ends_at <= now]:
            del _waiting[ended]
        _waiting[code] = (now + behaviour.current().code_seconds, grant)
    return code


def redeem(code: str) -> Grant | None:
    """What the code stands for; None when it was never given out, was used, or is too old."""
    with _lock:
        ends_at, grant = _waiting.pop(code, (0.0, None))
    return grant if time.monotonic() < ends_at else None


def forget_codes() -> None:
    """Begin anew: no code given out so far is good."""
    with _lock:
        _waiting.clear()
