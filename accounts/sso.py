"""Checks SSO access tokens.

A token is a JWT with the configured issuer and audience. With `SSO_JWKS_URL`, only RS256 and ES256 are
accepted; with `SSO_JWT_SECRET`, only HS256. So a public key is never used as a shared secret.
"""

import logging
import threading
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import jwt
import requests
from django.conf import settings

from accounts.errors import InvalidToken, IssuerOutOfReach
from accounts.misar_ids import is_users_id
from foundation.http import outgoing

logger = logging.getLogger(__name__)

LEEWAY_SECONDS = 30
TOKEN_LENGTH_MAX = 8_192
JWKS_ALGORITHMS = ("RS256", "ES256")
SECRET_ALGORITHMS = ("HS256",)


def misar_id_of(token: str) -> str:
    """Return the Misar ID of the user whom a bearer token identifies.

    Raises InvalidToken if the token is expired, not valid yet, unsigned, malformed, or not from our issuer
    for our audience. Raises IssuerOutOfReach if the token cannot be checked.
    """
    if len(token) > TOKEN_LENGTH_MAX:
        raise InvalidToken
    try:
        key, algorithms = _key_for(token)
        claims = jwt.decode(
            token,
            key=key,
            algorithms=list(algorithms),
            issuer=settings.SSO_ISSUER,
            audience=settings.SSO_AUDIENCE,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    # For some malformed tokens, PyJWT raises exceptions that are not its own.
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidToken from error
    subject = claims["sub"]
    if not is_users_id(subject):
        raise InvalidToken
    return str(subject)


def _key_for(token: str) -> tuple[Any, Sequence[str]]:
    if settings.SSO_JWT_SECRET:
        return settings.SSO_JWT_SECRET, SECRET_ALGORITHMS
    if not settings.SSO_JWKS_URL:
        raise InvalidToken
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in JWKS_ALGORITHMS:  # Checked before a key is fetched.
        raise InvalidToken
    key = key_set(settings.SSO_JWKS_URL).find(header.get("kid"))
    if key.algorithm_name != header["alg"]:
        raise InvalidToken
    return key, JWKS_ALGORITHMS


@cache
def key_set(url: str) -> "KeySet":
    """Return the key set of this URL. Each process has one key set."""
    return KeySet(url)


class KeySet:
    """An issuer's public keys, in a cache.

    The keys are fetched again after 10 minutes, or when a token names an unknown key. If the issuer does not
    answer, the old keys are used for up to 24 hours. A request waits at most 2 seconds for a fetch. There are
    at least 30 seconds between two fetches.
    """

    FETCH_TIMEOUT_SECONDS = (0.5, 1.5)  # To connect, and to wait for the next bytes.
    FETCH_SECONDS_MAX = 2  # For the whole fetch.
    FRESH_SECONDS = 10 * 60
    SERVED_SECONDS = 24 * 3600
    PAUSE_SECONDS = 30
    ANSWER_BYTES_MAX = 256 * 1024

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._failed = False

    def find(self, key_id: str | None) -> jwt.PyJWK:
        """Return the key with this id. Without an id, return the only key, if the issuer has just one.

        Raises InvalidToken if there is no such key, and IssuerOutOfReach if the keys could not be fetched.
        """
        key = self._known(key_id)
        if key is None or self._age() > self.FRESH_SECONDS:
            self._refresh(wait_seconds=0 if key else self.FETCH_SECONDS_MAX)
            key = self._known(key_id)
        if key is not None and self._age() <= self.SERVED_SECONDS:
            return key
        if self._failed or self._age() > self.SERVED_SECONDS:
            # The token may be valid: the issuer may have a new key that could not be fetched.
            raise IssuerOutOfReach
        raise InvalidToken

    def _known(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id) if isinstance(key_id, str) else None

    def _age(self) -> float:
        return time.monotonic() - self._fetched_at

    def _refresh(self, *, wait_seconds: float) -> None:
        # One fetch at a time. A request waits for the running fetch only if its key is not cached.
        if not self._lock.acquire(timeout=wait_seconds):
            return
        if time.monotonic() - self._tried_at < self.PAUSE_SECONDS:
            self._lock.release()
            return
        self._tried_at = time.monotonic()
        self._failed = True  # Until the fetch succeeds.
        # The fetch runs in its own thread, which releases the lock at its end. So a request can stop waiting.
        # No timeout of the fetch limits the look-up of the issuer's name.
        fetch = threading.Thread(target=self._fetch_and_release, name="jwks", daemon=True)
        fetch.start()
        fetch.join(self.FETCH_SECONDS_MAX)

    def _fetch_and_release(self) -> None:
        try:
            self._keys = self._fetch()
            self._fetched_at = time.monotonic()
            self._failed = False
        except Exception as error:  # If the answer is no key set, PyJWT may raise any error.
            logger.warning("The keys of the SSO issuer could not be fetched: %s", error)
        finally:
            self._lock.release()

    def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        limits = {"bytes_max": self.ANSWER_BYTES_MAX, "seconds_max": self.FETCH_SECONDS_MAX}
        with outgoing.bounded(requests.Session(), **limits) as session:
            answer = session.get(self.url, timeout=self.FETCH_TIMEOUT_SECONDS)
        answer.raise_for_status()
        if answer.status_code != requests.codes.ok:
            raise ValueError(f"answered {answer.status_code}")
        keys = jwt.PyJWKSet.from_json(answer.content.decode()).keys
        return {
            key.key_id: key
            for key in keys
            if key.algorithm_name in JWKS_ALGORITHMS and isinstance(key.key_id, str | None)
        }
