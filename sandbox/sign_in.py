"""The sign-in page of the SSO issuer, to which the service sends a browser.

OpenID Connect's authorization code flow (https://openid.net/specs/openid-connect-core-1_0.html, 3.1). The
sandbox asks for no password: the visitor chooses a user.
"""

import os
import re
import time
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from foundation.text import is_id
from sandbox import behaviour, grants
from sandbox.forms import PersonForm
from sandbox.page_headers import content_policy

SCOPES = ("openid", "profile", "email")
CODE_CHALLENGE_METHOD = "S256"
CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # The length of 32 bytes in base64url, without padding.
# Each parameter may be sent only once (RFC 6749, 3.1).
PARAMETERS = (
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "prompt",
    "code_challenge",
    "code_challenge_method",
)


class NobodyToReturnTo(Exception):
    """Raised when the request does not come from the registered service, so no answer is sent to it."""


class AuthorizationRefused(Exception):
    """Raised when the service asks for something unsupported; the redirect tells it so."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


@dataclass(frozen=True)
class Authorization:
    """A service's request to sign a user in."""

    redirect_uri: str
    state: str | None
    scopes: frozenset[str] = frozenset()
    nonce: str = ""
    code_challenge: str = ""

    @classmethod
    def read(cls, request: HttpRequest) -> Self:
        """The client and the address for the answer; raises NobodyToReturnTo."""
        client_id, redirect_uri = request.GET.get("client_id"), request.GET.get("redirect_uri", "")
        known = os.environ.get("SSO_CLIENT_ID")
        if not known:
            raise NobodyToReturnTo("SSO_CLIENT_ID is not set, so no service may sign people in here.")
        if client_id != known:
            raise NobodyToReturnTo("client_id is not the service that is registered here.")
        if not is_registered(redirect_uri):
            bases = " or ".join(redirect_bases()) or "PUBLIC_URL, which is not set"
            raise NobodyToReturnTo(f"redirect_uri must begin with {bases}.")
        return cls(redirect_uri, request.GET.get("state"))

    def with_terms(self, request: HttpRequest) -> Self:
        """The rest of the request, now that a refusal can be sent back; raises AuthorizationRefused."""
        given = {name: request.GET.get(name, "") for name in PARAMETERS}
        repeated = [name for name in PARAMETERS if len(request.GET.getlist(name)) > 1]
        scopes = frozenset(given["scope"].split())
        challenge, method = given["code_challenge"], given["code_challenge_method"]
        if repeated:
            raise AuthorizationRefused("invalid_request", f"{repeated[0]} came more than once.")
        if given["response_type"] != "code":
            raise AuthorizationRefused("unsupported_response_type", "response_type must be code.")
        if "openid" not in scopes:
            raise AuthorizationRefused("invalid_scope", "scope must contain openid.")
        if (challenge or method) and method != CODE_CHALLENGE_METHOD:
            raise AuthorizationRefused("invalid_request", "code_challenge_method must be S256.")
        if (challenge or method) and not CODE_CHALLENGE.fullmatch(challenge):
            raise AuthorizationRefused("invalid_request", "code_challenge is not the S256 of a verifier.")
        if "none" in given["prompt"].split():
            raise AuthorizationRefused("login_required", "No user is signed in until one is chosen.")
        return replace(self, scopes=scopes & set(SCOPES), nonce=given["nonce"], code_challenge=challenge)

    def answered(self, **answer: str) -> str:
        """The service's address with the answer and its own `state` added."""
        if self.state is not None:
            answer["state"] = self.state
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(answer)}"

    def refused(self, error: str, description: str) -> str:
        return self.answered(error=error, error_description=description)


def redirect_bases() -> list[str]:
    """The origins that may receive a code: PUBLIC_URL's, and those that a test added."""
    public_url = os.environ.get("PUBLIC_URL", "")
    return [f"{each.rstrip('/')}/" for each in (public_url, *behaviour.current().redirect_origins) if each]


def is_registered(redirect_uri: str) -> bool:
    """Whether a code may be sent there: an absolute address of the service, without a fragment."""
    is_plain = redirect_uri.isascii() and is_id(redirect_uri) and not set(" #\\") & set(redirect_uri)
    return is_plain and redirect_uri.startswith(tuple(redirect_bases()))


@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """Ask which user signs in. The choice is a POST, which redirects back with a code."""
    try:
        authorization = Authorization.read(request)
    except NobodyToReturnTo as refusal:
        return render(request, "sandbox/sign_in_refused.html", {"refusal": str(refusal)}, status=400)
    try:
        authorization = authorization.with_terms(request)
    except AuthorizationRefused as refusal:
        return _sent_back(authorization, authorization.refused(refusal.error, str(refusal)))
    if request.method != "POST":
        return _page(request, authorization, PersonForm())
    for person in grants.PEOPLE:
        if request.POST.get("person") == person.user_id:
            return _signed_in(authorization, person)
    form = PersonForm(request.POST)
    if not form.is_valid():
        return _page(request, authorization, form, status=400)
    return _signed_in(authorization, form.person)


def _signed_in(authorization: Authorization, person: grants.Person) -> HttpResponse:
    grant = grants.Grant(
        person=person,
        redirect_uri=authorization.redirect_uri,
        scopes=authorization.scopes,
        nonce=authorization.nonce,
        code_challenge=authorization.code_challenge,
        granted_at=int(time.time()),
    )
    return _sent_back(authorization, authorization.answered(code=grants.issue_code(grant)))


def _sent_back(authorization: Authorization, address: str) -> HttpResponse:
    answer = HttpResponseRedirect(address)
    answer["Content-Security-Policy"] = content_policy(authorization.redirect_uri)
    return answer


def _page(
    request: HttpRequest, authorization: Authorization, form: PersonForm, *, status: int = 200
) -> HttpResponse:
    facts: dict[str, Any] = {
        "people": grants.PEOPLE,
        "form": form,
        "cancel_url": authorization.refused("access_denied", "The sign-in was cancelled."),
    }
    response = render(request, "sandbox/sign_in.html", facts, status=status)
    response["Content-Security-Policy"] = content_policy(authorization.redirect_uri)
    return response
