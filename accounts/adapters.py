"""What django-allauth is told about this service: who may sign in, and how secrets are kept."""

import base64
import hashlib
import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.app_settings import REAUTHENTICATION_TIMEOUT
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from accounts import users
from accounts.errors import ForeignSubject
from misar_billing.last_resort import answer
from misar_billing.requests import client_address


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up here, and axes counts the passwords that were tried."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": "This name and this password do not belong together.",
        "too_many_login_attempts": "Too many tries. Please wait five minutes.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Nothing: allauth would count by name alone, and let any stranger shut a member of staff out."""

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not by whoever has just come in: the set-up of a second factor follows the password at once."""
        request = context.request
        records = get_authentication_records(request, request.user)
        if records and time.time() - records[-1]["at"] < REAUTHENTICATION_TIMEOUT:
            return False
        return super().is_reauthentication_required(app=app, **kwargs)

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: each page says what is so."""

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)


class MisarProvider(OpenIDConnectProvider):
    """allauth keeps 191 characters of whom the issuer names, fewer than a Misar ID may have; nothing is kept
    here (SsoAdapter reads the token itself), so a digest does for its purposes."""

    def extract_uid(self, data: dict[str, Any]) -> str:
        return hashlib.sha256(super().extract_uid(data).encode()).hexdigest()


class SsoAdapter(DefaultSocialAccountAdapter):
    """A user is who the issuer's `sub` says, and nothing else: no sign-up, no linking by e-mail."""

    def get_provider(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> MisarProvider:
        return MisarProvider(request, app=self.get_app(request, provider=provider, client_id=client_id))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        said = sociallogin.account.extra_data
        identity, profile = said.get("id_token") or {}, said.get("userinfo") or {}
        try:
            # The profile must be of the person whom the token names (OpenID Connect Core 5.3.2).
            if not identity.get("sub") or profile.get("sub") != identity["sub"]:
                raise ForeignSubject
            sociallogin.user = users.arrive(
                misar_id=identity["sub"],
                name=profile.get("name", ""),
                email=profile.get("email", "") if profile.get("email_verified") is True else "",
            )
        except ForeignSubject as refusal:
            next_step = "Sign in with another account, or ask support."
            raise ImmediateHttpResponse(answer(request, 403, f"{refusal}.", next_step)) from refusal

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        sentence, next_step = "Signing in did not work.", "Go back and try again. Nothing was changed."
        if error == AuthError.CANCELLED:
            sentence, next_step = "You did not sign in.", "Nothing was changed. You can close this page."
        raise ImmediateHttpResponse(answer(request, 400, sentence, next_step))


class SecondFactorAdapter(DefaultMFAAdapter):
    """The secret behind the codes must be readable to check one, so it is kept encrypted.

    The key comes from SECRET_KEY; those of SECRET_KEY_FALLBACKS still decrypt.
    """

    error_messages = DefaultMFAAdapter.error_messages | {"incorrect_code": "This is not the code of now."}

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return str(user.pk)

    def encrypt(self, text: str) -> str:
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _box().decrypt(encrypted_text.encode()).decode()


def _box() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [
        salted_hmac("accounts.second_factor", "", secret=secret, algorithm="sha256").digest()
        for secret in secrets
    ]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
