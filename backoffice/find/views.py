"""The page that shows what the find box in the header has found."""

from typing import cast

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import User
from backoffice.find import search
from backoffice.find.search import Found
from backoffice.one_user.views import SEES_USERS


def find(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Search. Redirect to the page of a clear match, or else show all matches.

    The form is sent by POST, so that the URL of this page never contains an e-mail address.
    """
    staff = cast(User, request.user)
    sought = search.tidied(request.POST.get("sought", ""))
    found = search.look(sought, may=staff.has_perm)
    if url := _url_of_clear_match(found, staff):
        return HttpResponseRedirect(url)
    may_open = staff.has_perm(SEES_USERS) and staff.has_perm("wallet.adjust_wallet")
    context = site.each_context(request) | {
        "title": "Find",
        "sought": sought,
        "found": found,
        "could_be_new": not found.matches and may_open and search.could_be_new(sought),
        "sees_users": staff.has_perm(SEES_USERS),
    }
    return TemplateResponse(request, "backoffice/find.html", context)


def _url_of_clear_match(found: Found, staff: User) -> str:
    """Return the URL of the one user or row that was found; "" if there is none, or if staff must choose."""
    if not found.matches or (len(found.matches) > 1 and (found.by_address or not found.whose)):
        return ""
    first = found.matches[0]
    if first.about and staff.has_perm(SEES_USERS):
        url = reverse("admin:one_user", args=[quote(first.about)])
        return url if first.name == first.about else f"{url}?{urlencode({'found': first.name})}"
    return first.url if len(found.matches) == 1 else ""
