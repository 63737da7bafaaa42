"""The settings of django-allauth that need code: who may sign in, and how secrets are stored."""

import logging
import time
from typing import Any

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.app_settings import REAUTHENTICATION_TIMEOUT
from allauth.account.authentication import get_authentication_records
from allauth.account.internal import stagekit
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import users
from accounts.errors import ForeignSubject
from accounts.signing_in import second_factor, sessions
from accounts.signing_in.issuer import ANSWER_BYTES_MAX, MisarProvider
from foundation.http import outgoing
from foundation.http.client_addresses import client_address
from foundation.http.last_resort import answer

logger = logging.getLogger(__name__)

DID_NOT_WORK = "Signing in did not work."
SIGN_IN_AGAIN = "Please sign in again. Nothing was changed."


class AccountAdapter(DefaultAccountAdapter):
    """Refuses sign-ups, and leaves the counting of wrong passwords to axes."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": "The name or the password is wrong.",
        "too_many_login_attempts": "Too many tries. Please wait five minutes.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Do nothing. allauth would count wrong passwords by name only: a stranger could lock staff out."""

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Return whether the user must enter the password or a code again.

        This is not required right after the sign-in, because staff set up their second factor then.
        """
        request = context.request
        records = get_authentication_records(request, request.user)
        if records and time.time() - records[-1]["at"] < REAUTHENTICATION_TIMEOUT:
            return False
        return super().is_reauthentication_required(app=app, **kwargs)

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return the page after a sign-in that asked for no page: for staff, the back-office."""
        return reverse("admin:index") if request.user.is_staff else super().get_login_redirect_url(request)

    def is_safe_url(self, url: str | None) -> bool:
        """Return whether this URL is on this host. The sign-in redirects to no other host."""
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={context.request.get_host()}, require_https=context.request.is_secure()
        )

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing. Each page has its own texts instead of allauth's messages."""

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)


class SsoAdapter(DefaultSocialAccountAdapter):
    """Only the issuer's `sub` identifies the user. There is no sign-up form and no linking by e-mail."""

    def get_provider(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> MisarProvider:
        return MisarProvider(request, app=self.get_app(request, provider=provider, client_id=client_id))

    def get_requests_session(self) -> requests.Session:
        seconds_max = 2 * settings.SOCIALACCOUNT_REQUESTS_TIMEOUT
        return outgoing.bounded(
            super().get_requests_session(), bytes_max=ANSWER_BYTES_MAX, seconds_max=seconds_max
        )

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.state.get("process", "login") != "login":
            refusal_page = answer(request, 400, "Accounts cannot be connected here.", SIGN_IN_AGAIN)
            raise ImmediateHttpResponse(refusal_page)
        claims = sociallogin.account.extra_data
        identity, profile = claims.get("id_token", {}), claims.get("userinfo", {})
        # The previous release sent no nonce. A sign-in that it began has none here, and none in its token.
        if identity.get("nonce") != sociallogin.state.get("nonce"):
            logger.warning("The ID token of a sign-in is missing, or has another nonce")
            raise ImmediateHttpResponse(answer(request, 400, DID_NOT_WORK, SIGN_IN_AGAIN))
        try:
            # The profile and the token must name the same user (OpenID Connect Core 5.3.2).
            if not identity.get("sub") or profile.get("sub") != identity["sub"]:
                raise ForeignSubject
            sociallogin.user = users.arrive(
                misar_id=identity["sub"],
                name=profile.get("name", ""),
                email=profile.get("email", "") if profile.get("email_verified") is True else "",
            )
        except ForeignSubject as refusal:
            next_step = "Sign in with another account, or contact support."
            raise ImmediateHttpResponse(answer(request, 403, f"{refusal}.", next_step)) from refusal
        # If a user is signed in already, the sign-in empties the session. sessions.py then saves these pages.
        sociallogin.state[sessions.FINISHED] = sessions.finished_with(request, sociallogin)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        if isinstance(exception, requests.RequestException):
            raise exception  # The issuer is out of reach; the page is a 503.
        if exception is None and "state" not in (extra_context or {}):
            self._lead_on(request)
        sentence, next_step = DID_NOT_WORK, SIGN_IN_AGAIN
        if error == AuthError.CANCELLED:
            sentence, next_step = "You did not sign in.", "Nothing was changed. You can close this page."
        raise ImmediateHttpResponse(answer(request, 400, sentence, next_step))

    def _lead_on(self, request: HttpRequest) -> None:
        """Redirect a user who is signed in, because this session has no sign-in with this `state`.

        Usually the user has finished the sign-in, went back and sent the issuer's form again. The code in the
        URL is not used, so the session stays that of the same user.
        """
        if stage := stagekit.get_pending_stage(request):  # Only the second factor is missing.
            raise ImmediateHttpResponse(stagekit.redirect_to_pending_stage(request, stage))
        if request.user.is_authenticated:
            page = sessions.page_after(request.session, request.GET.get("state", ""))
            is_ours = page and get_account_adapter(request).is_safe_url(page)
            raise ImmediateHttpResponse(
                HttpResponseRedirect(page if is_ours else settings.LOGIN_REDIRECT_URL)
            )
        # Two clicks at once: the first answer brought the browser a new session. Django would delete its
        # cookie, because this request still has the old session's cookie, whose session is gone.
        request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Encrypts the secrets of second factors with second_factor.py."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "This code is wrong or has expired."
    }

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return str(user.pk)

    def encrypt(self, text: str) -> str:
        return second_factor.encrypted(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret. If no key decrypts the secret, return a new one, so every code is refused."""
        try:
            return second_factor.decrypted(encrypted_text)
        except InvalidToken:
            logger.error(
                "A second factor cannot be read: SECRET_KEY was changed without SECRET_KEY_FALLBACKS"
            )
            return generate_totp_secret()
