"""The token and userinfo endpoints of the SSO issuer.

Errors are OAuth's own: `{"error": "invalid_grant", "error_description": "..."}` (RFC 6749, 5.2).
"""

import base64
import binascii
import hmac
import os
from typing import Any
from urllib.parse import unquote_plus

import jwt
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from sandbox import grants, sso

EXPIRES_IN = 3600  # Seconds, for the access token and the ID token.
USERINFO_CLAIMS = ("sub", "name", "email", "email_verified")


class TokenRefused(Exception):
    """Raised when no token is issued; `error` is OAuth's code for the reason."""

    status = 400

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class UnknownClient(TokenRefused):
    """Raised when the caller has not proven to be the service."""

    status = 401

    def __init__(self, description: str) -> None:
        super().__init__("invalid_client", description)


# --- Tokens for a code ------------------------------------------------------------------------------


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> JsonResponse:
    """Exchange a code for tokens: once, and only for the client that received it."""
    try:
        _require_the_client(request)
        grant = _redeemed(request)
    except TokenRefused as refusal:
        body = {"error": refusal.error, "error_description": str(refusal)}
        answer = JsonResponse(body, status=refusal.status)
        if refusal.status == 401:
            answer["WWW-Authenticate"] = 'Basic realm="sandbox"'
    else:
        answer = JsonResponse(_tokens(grant, issuer=sso.issuer(request)))
    answer["Cache-Control"] = "no-store"
    return answer


def _require_the_client(request: HttpRequest) -> None:
    """Raise TokenRefused unless the client's id and secret are in the header or in the body, not in both."""
    header = request.headers.get("Authorization", "")
    if header and "client_secret" in request.POST:
        raise TokenRefused("invalid_request", "Authenticate in the header or in the body, not in both.")
    posted = request.POST.get("client_id", ""), request.POST.get("client_secret", "")
    sent = _basic(header) if header else [posted]
    known = os.environ.get("SSO_CLIENT_ID", ""), os.environ.get("SSO_CLIENT_SECRET", "")
    if not all(known):
        raise UnknownClient("SSO_CLIENT_ID and SSO_CLIENT_SECRET are not set, so no client is registered.")
    if not any(_are_equal(one, known) for one in sent):
        raise UnknownClient("The client's id or secret is wrong.")


def _basic(header: str) -> list[tuple[str, str]]:
    """The id and secret of a Basic header: form-encoded as OAuth demands, or plain as some clients do."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        raise UnknownClient("Authenticate with client_secret_basic or client_secret_post.")
    try:
        name, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise UnknownClient("The Authorization header cannot be read.") from None
    return [(name, secret), (unquote_plus(name), unquote_plus(secret))]


def _are_equal(sent: tuple[str, str], known: tuple[str, str]) -> bool:
    """Compare in constant time, so the time does not show how much of the secret was right."""
    same = [hmac.compare_digest(one.encode(), other.encode()) for one, other in zip(sent, known, strict=True)]
    return all(same)


def _redeemed(request: HttpRequest) -> grants.Grant:
    """The grant of the code in the request. The first try uses the code up, even if it fails."""
    if request.POST.get("grant_type") != "authorization_code":
        raise TokenRefused("unsupported_grant_type", "grant_type must be authorization_code.")
    if not (code := request.POST.get("code")):
        raise TokenRefused("invalid_request", "code is missing.")
    grant = grants.redeem(code)
    if grant is None:
        raise TokenRefused("invalid_grant", "The code is unknown, used or too old.")
    if request.POST.get("redirect_uri") != grant.redirect_uri:
        raise TokenRefused("invalid_grant", "redirect_uri is not the one the code was sent to.")
    if not grant.is_proven_by(request.POST.get("code_verifier", "")):
        raise TokenRefused("invalid_grant", "code_verifier does not fit code_challenge.")
    return grant


def _tokens(grant: grants.Grant, *, issuer: str) -> dict[str, Any]:
    scope = " ".join(sorted(grant.scopes))
    about = grant.person.claims(grant.scopes)
    nonce = {"nonce": grant.nonce} if grant.nonce else {}
    user_id = grant.person.user_id
    return {
        "access_token": sso.issue_token(
            user_id=user_id,
            audience=os.environ.get("SSO_AUDIENCE", ""),
            issuer=issuer,
            expires_in=EXPIRES_IN,
            scope=scope,
            **about,
        ),
        "id_token": sso.issue_token(
            user_id=user_id,
            audience=os.environ["SSO_CLIENT_ID"],
            issuer=issuer,
            expires_in=EXPIRES_IN,
            auth_time=grant.granted_at,
            **about,
            **nonce,
        ),
        "token_type": "Bearer",
        "expires_in": EXPIRES_IN,
        "scope": scope,
    }


# --- The token's user -------------------------------------------------------------------------------


@require_safe
def userinfo(request: HttpRequest) -> JsonResponse:
    """The claims about the user, read from the access token: the sandbox stores no users."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not sent:
        return _no_token("Bearer", {"error": "An access token is needed."})
    try:
        claims = sso.read_token(sent, audience=os.environ.get("SSO_AUDIENCE", ""), issuer=sso.issuer(request))
    except jwt.InvalidTokenError as error:
        return _no_token(
            'Bearer error="invalid_token"', {"error": "invalid_token", "error_description": str(error)}
        )
    return JsonResponse({name: claims[name] for name in USERINFO_CLAIMS if name in claims})


def _no_token(challenge: str, body: dict[str, str]) -> JsonResponse:
    answer = JsonResponse(body, status=401)
    answer["WWW-Authenticate"] = challenge
    return answer
