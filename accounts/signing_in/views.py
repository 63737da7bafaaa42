"""The pages for signing in and out, for the second factor, and the account page."""

from dataclasses import asdict
from typing import Any

from allauth.account.views import LoginView, ReauthenticateView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.base.views import ReauthenticateView as CodeAgainView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.utils import is_mfa_enabled
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.generic import TemplateView

from accounts import buyers, destinations, plans, vat_numbers
from accounts.mail import outbox
from accounts.models import User
from accounts.signing_in import second_factor, sessions
from accounts.signing_in.decorators import for_staff, issuer_in_reach, not_too_often
from accounts.signing_in.forms import BuyerForm, MailSwitches
from accounts.signing_in.issuer import Issuer
from foundation.http import content_security
from foundation.http.compression import shows_a_secret
from foundation.http.last_resort import answer

PROVIDER = "misar"
FRESH_SECONDS = 300

# --- Signing in -------------------------------------------------------------------------------------


@never_cache
@require_safe
@content_security.leads_to_sign_in
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the page to sign in with Misar. Redirect visitors of the back-office to the page for staff."""
    going_to = _destination(request)
    if request.user.is_authenticated:
        return redirect(going_to)
    if going_to.startswith(reverse("admin:index")):
        return redirect(_with_destination("account_login", going_to))
    return render(request, "accounts/sign_in.html", _doors(going_to))


@content_security.leads_to_sign_in
def staff_sign_in(request: HttpRequest) -> HttpResponseBase:
    """Ask a staff member for name and password. The page for the code of the second factor comes next."""
    going_to = _destination(request)
    if going_to == resolve_url(settings.LOGIN_REDIRECT_URL):  # Also the page of a visitor who asked for none.
        going_to = reverse("admin:index")
    view = LoginView.as_view(template_name="accounts/staff_sign_in.html", extra_context=_doors(going_to))
    return view(request)


@require_POST
@not_too_often("sign-in.start")
@issuer_in_reach("start")
def start(request: HttpRequest) -> HttpResponseBase:
    """Redirect the browser to the issuer. Ignore all query parameters except the page to return to."""
    request.GET = QueryDict(urlencode({REDIRECT_FIELD_NAME: _destination(request)}))
    return OAuth2LoginView.adapter_view(Issuer(request, PROVIDER))(request)


@require_safe
@not_too_often("sign-in.callback")
@issuer_in_reach("callback")
def come_back(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Handle the redirect from the issuer, which brings a code or an error."""
    return OAuth2CallbackView.adapter_view(Issuer(request, provider_id))(request)


def shut_out(
    request: HttpRequest, original: HttpResponseBase | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """Return the 429 page after too many wrong passwords. axes calls this."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    next_step = (
        f"Signing in with this name is paused for {seconds // 60} minutes. "
        "If you forgot your password, ask a colleague."
    )
    return answer(request, 429, "Too many wrong passwords.", next_step, retry_after_seconds=seconds)


@never_cache
@require_safe
def inactive(request: HttpRequest) -> HttpResponse:
    """Show a 403 page to a user whose account was closed by staff. The user is not signed in."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    next_step = "Contact support to reopen it. To use another account, sign out of Misar first."
    way_on = {"url": reverse("sign-in"), "words": "Sign in with another account"}
    return answer(request, 403, "This account is closed.", next_step, way_on=way_on)


# --- Signing out ------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_out(request: HttpRequest) -> HttpResponse:
    """Sign out on POST. On GET, show a button first: a link on another site must not sign a user out.

    A page that refuses the user something names itself in `next`, so that another user can sign in for it.
    """
    going_to = _asked_for(request) or reverse("signed-out")
    if request.method == "POST":
        logout(request)
    return render(request, "accounts/sign_out.html") if request.user.is_authenticated else redirect(going_to)


signed_out = require_safe(TemplateView.as_view(template_name="accounts/signed_out.html"))


# --- The second factor of staff ---------------------------------------------------------------------


@never_cache
@shows_a_secret
@for_staff
def set_up(request: HttpRequest) -> HttpResponseBase:
    """Set up a second factor. Staff without a second factor are redirected to this page."""
    user = request.user
    assert isinstance(user, User)
    if not second_factor.is_missing(user):
        return redirect("account")
    if not user.has_usable_password() and sessions.age_seconds(request.session) > FRESH_SECONDS:
        logout(request)  # The user has no password to enter, so the issuer must confirm the user again.
        return redirect_to_login(request.path)
    answered = ActivateTOTPView.as_view(template_name="accounts/second_factor.html")(request)
    if not second_factor.is_missing(user):
        sessions.note_passed(request.session, user)
    return answered


@never_cache
@shows_a_secret
@for_staff
def recovery_codes(request: HttpRequest) -> HttpResponseBase:
    """Show the ten recovery codes, once, right after their creation. With a code, staff need no phone."""
    if not is_mfa_enabled(request.user, [Authenticator.Type.RECOVERY_CODES]):
        return redirect("mfa_generate_recovery_codes")
    return ViewRecoveryCodesView.as_view(template_name="accounts/recovery_codes.html")(request)


# Creates ten new codes, which make the old codes invalid.
new_recovery_codes = never_cache(
    for_staff(GenerateRecoveryCodesView.as_view(template_name="accounts/new_recovery_codes.html"))
)
# The page that asks for the code after the password, and two pages that ask a signed-in user for the password
# or for a code again.
code = AuthenticateView.as_view(template_name="accounts/code.html")
password_again = ReauthenticateView.as_view(template_name="accounts/password_again.html")
code_again = CodeAgainView.as_view(template_name="accounts/code_again.html")


# --- The account page -------------------------------------------------------------------------------


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Show the account page, and save which mails the user wants."""
    if request.method != "POST":
        return _account_page(request)
    user = _user_of(request)
    switches = MailSwitches(request.POST, user=user)
    if not switches.is_valid():
        return _account_page(request, switches=switches, status=400)
    outbox.set_switches(user, switches.switched_on, weekly=switches.weekly)
    messages.success(request, "Saved.")
    return redirect("account")


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_buyer(request: HttpRequest) -> HttpResponse:
    """Save who buys, for receipts."""
    if request.method != "POST":
        # The user reloaded the page of a form with an error.
        return redirect("account")
    form = BuyerForm(request.POST)
    if not form.is_valid():
        return _account_page(request, buyer=form, status=400)
    buyers.save(_user_of(request).pk, form.buyer)
    messages.success(request, "Saved. Your receipts show it, also those of earlier payments.")
    if hint := vat_numbers.hint(form.buyer.vat_number):
        messages.warning(request, hint)
    return redirect("account")


def _account_page(
    request: HttpRequest,
    *,
    switches: MailSwitches | None = None,
    buyer: BuyerForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = _user_of(request)
    context = {
        "switches": switches or MailSwitches(user=user),
        "form": buyer or BuyerForm(initial=asdict(buyers.buyer_of(user.pk))),
        "plan_gives": plans.what_it_gives(user.plan),
        "mail_enabled": settings.MAIL_ENABLED,
    }
    return render(request, "accounts/account.html", context, status=status)


def _user_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the view lets users in only"
    return request.user


# --- The page to return to --------------------------------------------------------------------------


def _destination(request: HttpRequest) -> str:
    """Return the page to open after the sign-in: the query's page if it is on this site, else the wallet."""
    return _asked_for(request) or resolve_url(settings.LOGIN_REDIRECT_URL)


def _asked_for(request: HttpRequest) -> str:
    """Return the page that the query names as the next one; "" if it names none on this site."""
    url = request.GET.get(REDIRECT_FIELD_NAME, "")
    ours = url_has_allowed_host_and_scheme(url, allowed_hosts=None, require_https=request.is_secure())
    return url if ours else ""


def _with_destination(name: str, going_to: str) -> str:
    return f"{reverse(name)}?{urlencode({REDIRECT_FIELD_NAME: going_to})}"


def _doors(going_to: str) -> dict[str, Any]:
    """Return the URLs of both ways to sign in, each of which leads to the page `going_to`, and its name."""
    return {
        "misar_url": _with_destination("sign-in-misar", going_to) if settings.SSO_CLIENT_ID else "",
        "staff_url": _with_destination("account_login", going_to),
        "going_to": going_to,
        "page_name": destinations.name_of(going_to),
    }
