"""The staff's pages that show all apps at once."""

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


def one_user(site: AdminSite, request: HttpRequest, object_id: str) -> HttpResponse:
    """Everything about one user, on one page."""
    context = site.each_context(request) | {"title": unquote(object_id)}
    return TemplateResponse(request, "admin/one_user.html", context)
