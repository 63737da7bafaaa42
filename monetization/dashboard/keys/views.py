"""The pages of a creator's API keys: list the keys, make a key, read its last requests, revoke it."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts import api_keys, key_requests
from accounts.decorators import page_of_the_user
from accounts.errors import KeyLimitReached, UnknownApiKey
from accounts.models import ApiKey
from foundation.errors import KeyReused
from foundation.forms import new_key
from monetization.dashboard import curl
from monetization.dashboard.keys.forms import SCOPES_ELSEWHERE, SCOPES_HERE, KeyForm
from monetization.dashboard.keys.issuing import issue_once
from monetization.dashboard.paging import user_of
from monetization.figures import sums

REVOKED_SHOWN = 20
DEFAULT_SCOPES = ("monetization",)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    """Show the keys that are not revoked, and the last REVOKED_SHOWN revoked keys.

    A POST makes a key. Only the answer to this POST shows the key's secret.
    """
    if request.method != "POST":
        return _page(request, KeyForm(initial={"key": new_key(), "scopes": DEFAULT_SCOPES}))
    form = KeyForm(request.POST)
    if not form.is_valid():
        if "key" in form.errors:
            form.renew_key()
        return _page(request, form, status=400)
    owner, data = user_of(request), form.cleaned_data
    try:
        made, secret = issue_once(owner=owner, form_key=data["key"], name=data["name"], scopes=data["scopes"])
    except (KeyLimitReached, KeyReused) as error:
        form.renew_key()
        return _page(request, form, trouble=f"{error}.", status=error.status)
    can_record = "monetization" in made.scopes
    context = {
        "tab": "keys",
        "made": made,
        "secret": secret,
        "can_record": can_record,
        "curl": curl.line_for(
            request, "tips" if can_record else "stats", sums.currencies_of(owner), api_key=secret
        ),
    }
    return render(request, "monetization/key_made.html", context)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a key and its last requests: all of them, or with `?show=errors` the refused and failed ones.

    A POST deletes the recorded requests. That cannot be undone.
    """
    shown = get_object_or_404(ApiKey.objects.with_last_use(), owner=user_of(request), pk=pk)
    if request.method == "POST":
        key_requests.forget(shown)
        messages.success(request, f"The recorded requests of {shown.name} are deleted.")
        return redirect("dashboard:key", pk=pk)
    errors_only = request.GET.get("show") == "errors"
    context = {
        "tab": "keys",
        "key": shown,
        "requests": key_requests.recent(shown, errors_only=errors_only),
        "errors_only": errors_only,
        "requests_max": key_requests.KEPT_OF_A_KEY,
        "days_kept": key_requests.KEPT.days,
    }
    return render(request, "monetization/key.html", context)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def revoke_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Revoke a key on POST. This cannot be undone. A GET shows what revoking does."""
    owner = user_of(request)
    key = get_object_or_404(ApiKey.objects.with_last_use(), owner=owner, pk=pk)
    if request.method == "POST":
        try:
            api_keys.revoke(owner=owner, key_id=pk)
        except UnknownApiKey:  # The key was revoked before.
            key.refresh_from_db()
        else:
            messages.success(request, f"{key.name} is revoked. Requests with it are refused from now on.")
            return redirect("dashboard:keys")
    if key.revoked_at:
        messages.info(request, f"{key.name} was revoked already.")
        return redirect("dashboard:keys")
    return render(request, "monetization/key_revoke.html", {"tab": "keys", "key": key})


def _page(request: HttpRequest, form: KeyForm, *, trouble: str = "", status: int = 200) -> HttpResponse:
    owner, now = user_of(request), timezone.now()
    mine = ApiKey.objects.with_last_use().filter(owner=owner)
    standing = list(mine.filter(revoked_at=None).order_by("-created_at", "-pk"))
    revoked = mine.exclude(revoked_at=None)
    shown = list(revoked.order_by("-revoked_at", "-pk")[:REVOKED_SHOWN])
    active = [key for key in standing if key.is_usable(now)]
    limit = owner.plan.key_limit
    context = {
        "tab": "keys",
        "form": form,
        "trouble": trouble,
        "keys": [*standing, *shown],
        "active": active,
        "more_revoked": revoked.count() - len(shown),
        "plan": owner.plan,
        "is_full": limit is not None and len(active) >= limit,
        "scopes_here": SCOPES_HERE,
        "scopes_elsewhere": SCOPES_ELSEWHERE,
    }
    return render(request, "monetization/keys.html", context, status=status)
