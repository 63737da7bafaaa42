"""The page of the find box in the header, and the results of a search."""

from http import HTTPStatus
from typing import cast

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import User
from backoffice import kept_searches
from backoffice.find import search
from backoffice.find.search import How, Match
from backoffice.lists.links import user_url
from backoffice.one_user.views import SEES_USERS


def find(site: AdminSite, request: HttpRequest, token: str = "") -> HttpResponse:
    """Show the results of the search with this token; without a token, show what can be found.

    A search is sent by POST. The answer redirects to the results, or to the page of the one row or user whose
    id was sent.
    """
    staff = cast(User, request.user)
    if request.method == "POST":
        return HttpResponseRedirect(
            _url_of(search.tidied(request.POST.get("sought", "")), request), status=303
        )
    sought = kept_searches.text_of(request.session, token)
    found = search.look(sought, may=staff.has_perm)
    is_over = bool(token and not sought)
    may_open = staff.has_perm(SEES_USERS) and staff.has_perm("wallet.adjust_wallet")
    is_whole = any(match.how is not How.BEGINNING for match in found.matches)
    context = site.each_context(request) | {
        "title": "Find",
        "sought": sought,
        "found": found,
        "is_over": is_over,
        "could_be_new": not is_whole and may_open and search.could_be_new(sought),
        "sees_users": staff.has_perm(SEES_USERS),
    }
    status = HTTPStatus.NOT_FOUND if is_over else HTTPStatus.OK
    return TemplateResponse(request, "backoffice/find.html", context, status=status)


def _url_of(sought: str, request: HttpRequest) -> str:
    """Return the URL of the page to which a search leads."""
    if not sought:
        return reverse("admin:find")
    staff = cast(User, request.user)
    if page := _page_of(search.look(sought, may=staff.has_perm).single, sought, staff):
        return page
    return reverse("admin:found", args=[kept_searches.keep(request.session, sought)])


def _page_of(match: Match | None, sought: str, staff: User) -> str:
    """Return the URL of a match: its user's page, which marks the row, or the row's own page; "" for None."""
    if match is None:
        return ""
    if not match.about or not staff.has_perm(SEES_USERS):
        return match.url
    url = user_url(match.about)
    if match.name == match.about:
        return url
    return f"{url}?{urlencode({'found': search.without_quotes(sought)})}"
