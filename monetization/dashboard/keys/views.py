"""A creator's API keys: the list, making one, and revoking one."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts import api_keys
from accounts.decorators import page_of_the_user
from accounts.errors import KeyLimitReached, UnknownApiKey
from accounts.models import ApiKey
from monetization.dashboard import curl
from monetization.dashboard.fields import new_key
from monetization.dashboard.keys import issuing as verbs
from monetization.dashboard.keys import rows
from monetization.dashboard.keys.forms import KeyForm
from monetization.dashboard.paging import user_of
from monetization.errors import FormSent

REVOKED_SHOWN = 20
DEFAULT_SCOPES = ("monetization",)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    """Every key but those revoked long ago; a POST makes one, and tells its secret once.

    The secret is in that answer alone; sent twice, the form makes one key.
    """
    if request.method != "POST":
        return _page(request, KeyForm(initial={"key": new_key(), "scopes": DEFAULT_SCOPES}))
    form = KeyForm(request.POST)
    if not form.is_valid():
        if "key" in form.errors:
            form.renew_key()
        return _page(request, form, status=400)
    data = form.cleaned_data
    try:
        made, secret = verbs.issue_once(
            owner=user_of(request), form_key=data["key"], name=data["name"], scopes=data["scopes"]
        )
    except (KeyLimitReached, FormSent) as error:
        form.renew_key()
        return _page(request, form, trouble=f"{error}.", status=error.status)
    context = {
        "tab": "keys",
        "made": made,
        "secret": secret,
        "records": "monetization" in made.scopes,
        "curl": curl.line_for(request, "tips" if "monetization" in made.scopes else "stats"),
    }
    return render(request, "monetization/key_made.html", context)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def revoke_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Shut a key out, by POST; a GET asks first."""
    owner = user_of(request)
    key = ApiKey.objects.filter(owner=owner, pk=pk).first()
    if key is None:
        raise Http404
    if request.method == "POST":
        try:
            api_keys.revoke(owner=owner, key_id=pk)
        except UnknownApiKey:  # Of what is theirs: it was revoked before.
            messages.info(request, f"{key.name} was revoked already.")
        else:
            messages.success(request, f"{key.name} is revoked. Whoever uses it is refused from now on.")
        return redirect("dashboard:keys")
    if key.revoked_at:
        messages.info(request, f"{key.name} was revoked already.")
        return redirect("dashboard:keys")
    return render(request, "monetization/key_revoke.html", {"tab": "keys", "key": key})


def _page(request: HttpRequest, form: KeyForm, *, trouble: str = "", status: int = 200) -> HttpResponse:
    owner, now = user_of(request), timezone.now()
    mine = ApiKey.objects.filter(owner=owner)
    standing = list(mine.filter(revoked_at=None).order_by("-created_at", "-pk"))
    revoked = mine.exclude(revoked_at=None)
    shown = list(revoked.order_by("-revoked_at", "-pk")[:REVOKED_SHOWN])
    active = sum(key.is_usable(now) for key in standing)
    limit = owner.plan.key_limit
    context = {
        "tab": "keys",
        "form": form,
        "trouble": trouble,
        "keys": rows.key_rows([*standing, *shown], at=now),
        "more_revoked": rows.more_revoked(revoked.count() - len(shown)),
        "limit_sentence": rows.key_limit(owner, active),
        "is_full": limit is not None and active >= limit,
    }
    return render(request, "monetization/keys.html", context, status=status)
