"""The link to a creator's free days: the page that makes and revokes it, and the page that it opens."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.decorators import page_of_the_user
from accounts.throttling import hit
from foundation.http.client_addresses import client_network
from foundation.http.compression import shows_a_secret
from foundation.http.fields import PlainText
from foundation.http.last_resort import answer
from monetization.dashboard import curl
from monetization.dashboard.fields import Ruled
from monetization.dashboard.paging import user_of
from monetization.free_slots import links
from monetization.free_slots.models import TITLE_LENGTH
from monetization.free_slots.weeks import free_weeks

OPENED_PER_MINUTE = 60  # From one network.


class LinkForm(forms.Form):
    """The title of the public page, and whether the link is to be a new one."""

    title = Ruled(
        PlainText(max_length=TITLE_LENGTH),
        required=False,
        label="Title of the page",
        help_text="Optional, such as your newsletter's name. The page says nothing else about you.",
    )
    new = forms.BooleanField(required=False, widget=forms.HiddenInput)


@page_of_the_user
@shows_a_secret
@require_http_methods(["GET", "HEAD", "POST"])
def share(request: HttpRequest) -> HttpResponse:
    """Show the creator's link. A POST makes a new link, or changes the title of the present one."""
    creator = user_of(request)
    link = links.link_of(creator)
    if request.method != "POST":
        return _share_page(request, LinkForm(initial={"title": link.title if link else ""}))
    form = LinkForm(request.POST)
    if not form.is_valid():
        return _share_page(request, form, status=400)
    title = form.cleaned_data["title"]
    if link is None or form.cleaned_data["new"]:
        links.make(creator=creator, title=title)
        messages.success(
            request, "The new link works now." + (" The one before no longer does." if link else "")
        )
    else:
        links.rename(creator=creator, title=title)
        messages.success(request, "Saved.")
    return redirect("dashboard:share-free-slots")


@page_of_the_user
@require_POST
def revoke_link(request: HttpRequest) -> HttpResponse:
    """Revoke the creator's link."""
    links.revoke(creator=user_of(request))
    messages.success(request, "The link is revoked. It opens nothing now.")
    return redirect("dashboard:share-free-slots")


@require_safe
@cache_control(private=True, no_store=True)
def free_slots(request: HttpRequest, token: str) -> HttpResponse:
    """Show the free days of the creator who handed out this link. The page needs no sign-in.

    It has the same answer for a token that was revoked and for one that never was.
    """
    count = hit("monetization.free-slots", client_network(request), limit=OPENED_PER_MINUTE)
    if not count.allowed:
        return answer(
            request,
            429,
            "Too many requests from your network.",
            "Please wait a minute, then open the link again.",
            retry_after_seconds=count.wait_seconds,
        )
    link = links.opened_by(token)
    if link is None:
        raise Http404
    context = {"title": link.title, "positions": free_weeks(link.creator_id, at=timezone.now())}
    response = render(request, "monetization/free_slots.html", context)
    # The token is in the address, so no other site and no search engine may learn it.
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response


def _share_page(request: HttpRequest, form: LinkForm, *, status: int = 200) -> HttpResponse:
    link = links.link_of(user_of(request))
    context: dict[str, Any] = {"tab": "sponsors", "form": form, "link": link}
    if link:
        path = reverse("dashboard:free-slots", args=[links.token_of(link)])
        context["address"] = curl.base_url(request) + path
    return render(request, "monetization/sponsor_share.html", context, status=status)
