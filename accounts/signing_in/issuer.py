"""The SSO issuer, as allauth calls it during a sign-in. Every answer is checked before it is used."""

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import jwt
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

CONFIGURATION_SECONDS = 600
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
# Discovery, tokens and a profile are a few kilobytes each.
ANSWER_BYTES_MAX = 256 * 1024
# The characters of a URL and of a token: printable ASCII without blanks.
PLAIN = re.compile(r"[!-~]+")


class WrongAnswer(ValueError):
    """Raised when the issuer answers something that cannot be used. The page is then a 503."""


@contextmanager
def _readable() -> Iterator[None]:
    """Raise WrongAnswer for the errors that allauth raises when an answer is no object with these fields."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, RecursionError) as error:
        raise WrongAnswer(type(error).__name__) from error


class Issuer(OpenIDConnectOAuth2Adapter):
    """The SSO issuer. Its configuration is cached for ten minutes, not loaded at every sign-in.

    Each answer is checked before it is used. A wrong answer raises WrongAnswer.
    """

    @property
    def openid_config(self) -> Any:
        key = f"oidc:{self.get_provider().server_url}"
        return cache.get_or_set(key, self._configuration, CONFIGURATION_SECONDS)

    def _configuration(self) -> dict[str, Any]:
        """Return what we use of the issuer's configuration."""
        with _readable():
            sent = cast(Any, super()).openid_config
            used = {name: sent[name] for name in ("issuer", *ENDPOINTS)}
        methods = sent.get("token_endpoint_auth_methods_supported")
        if not isinstance(used["issuer"], str) or not all(_is_url(used[name]) for name in ENDPOINTS):
            raise WrongAnswer("the configuration")
        return used | {"token_endpoint_auth_methods_supported": methods if isinstance(methods, list) else []}

    def get_access_token_data(self, *args: Any, **kwargs: Any) -> dict[str, str]:
        with _readable():
            sent = super().get_access_token_data(*args, **kwargs)
            tokens = {"access_token": sent["access_token"], "id_token": sent.get("id_token") or ""}
        access_token, id_token = tokens.values()
        if not (_is_plain(access_token) and isinstance(id_token, str)):
            raise WrongAnswer("the tokens")
        return tokens

    def _fetch_user_info(self, access_token: str) -> dict[str, Any]:
        with _readable():
            profile = super()._fetch_user_info(access_token)
        if not isinstance(profile, dict):
            raise WrongAnswer("the profile")
        return profile

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        """Return the claims of an ID token for us, from our issuer, which has not expired.

        The token comes directly from the issuer over TLS, so its signature need not be checked (OpenID
        Connect Core 3.1.3.7). SsoAdapter checks its nonce.
        """
        try:
            return jwt.decode(
                id_token,
                options={
                    "verify_signature": False,
                    "verify_exp": True,
                    "verify_iss": True,
                    "verify_aud": True,
                    "require": ["exp", "iss", "aud"],
                },
                issuer=self.openid_config["issuer"],
                audience=app.client_id,
            )
        # For some malformed tokens, PyJWT raises exceptions that are not its own.
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise OAuth2Error("Invalid ID token") from error


def _is_url(value: object) -> bool:
    schemes = ("https://",) if settings.PRODUCTION else ("https://", "http://")
    return _is_plain(value) and str(value).startswith(schemes)


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and bool(PLAIN.fullmatch(value))


class MisarProvider(OpenIDConnectProvider):
    """The issuer as allauth's provider. It gives allauth a digest of the Misar ID as the user id.

    allauth allows only 191 characters, and a Misar ID may have 255. The digest is not stored.
    SsoAdapter reads the Misar ID from the token, and name and address from the profile.
    """

    oauth2_adapter_class = Issuer

    def redirect(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Redirect to the issuer with a new nonce. The session keeps the nonce together with the `state`."""
        nonce = secrets.token_urlsafe(32)
        auth_params = kwargs.pop("auth_params", {}) | {"nonce": nonce}
        return super().redirect(request, *args, auth_params=auth_params, nonce=nonce, **kwargs)

    def extract_uid(self, data: dict[str, Any]) -> str:
        subject = str(data.get("id_token", {}).get("sub"))
        return hashlib.sha256(subject.encode(errors="backslashreplace")).hexdigest()

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return nothing: allauth would use name and address without a check of their types."""
        return {}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        return []
