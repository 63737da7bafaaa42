"""Where the box in the header leads."""

from typing import cast

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.models import User
from backoffice.find import search
from backoffice.find.search import Found, Match
from backoffice.one_user.views import SEES_USERS

# --- Finding ----------------------------------------------------------------------------------------


def find(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Where the box in the header leads. It posts, so that no address of anybody stands in one of ours."""
    staff = cast(User, request.user)
    sought = search.tidied(request.POST.get("sought", ""))
    found = search.look(sought, may=staff.has_perm)
    if address := _where_it_leads(found, staff):
        return HttpResponseRedirect(address)
    may_open = staff.has_perm(SEES_USERS) and staff.has_perm("wallet.adjust_wallet")
    context = site.each_context(request) | {
        "title": "Find",
        "sought": sought,
        "found": found,
        "could_be_new": not found.matches and may_open and search.could_be_new(sought),
        "sees_users": staff.has_perm(SEES_USERS),
    }
    return TemplateResponse(request, "backoffice/find.html", context)


def _where_it_leads(found: Found, staff: User) -> str:
    """The one page that was meant; "" where that is for a person to choose."""
    if not found.matches or (len(found.matches) > 1 and (found.by_address or not found.whose)):
        return ""
    first = found.matches[0]
    if first.about and staff.has_perm(SEES_USERS):
        return _user_address(first)
    return reverse(first.page, args=[quote(first.row_id)]) if len(found.matches) == 1 and first.page else ""


def _user_address(match: Match) -> str:
    address = reverse("admin:one_user", args=[quote(match.about)])
    if match.name == match.about:
        return address
    query = QueryDict(mutable=True)
    query["found"] = match.name
    return f"{address}?{query.urlencode()}"
