"""The admin's site: who comes in, and the pages that show all apps at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

from allauth.account.decorators import reauthentication_required, secure_admin_login
from django.contrib import admin, auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path

from backoffice.find.views import find
from backoffice.one_user.views import one_user
from backoffice.overview.views import overview

# The lists as staff reach for them, not by the alphabet; a test holds that none is missing.
LISTS = {
    "Credits": ("Wallet", "Entry", "TopUp", "StripeEvent", "Rate", "RateChange", "Audit", "ClosedDay"),
    "Creators": ("Tip", "Refund", "Subscription", "SubscriptionEvent", "Sponsor", "Earner", "Erasure"),
    "People": ("User", "Act", "Plan", "PlanChange", "ApiKey", "ServiceKey", "OutgoingMail", "Group"),
}


class BackOffice(admin.AdminSite):
    """The staff's side of the service."""

    site_header = "Misar Billing"
    site_title = "Misar Billing"
    index_title = "Back-office"
    site_url = None

    def get_urls(self) -> list[Any]:
        pages = [
            path("find/", self._staff_page(find), name="find"),
            path("user/<path:object_id>/", self._staff_page(one_user), name="one_user"),
        ]
        # Nothing here has a page of its own on the site that rows could lead to.
        stock = [page for page in super().get_urls() if getattr(page, "name", "") != "view_on_site"]
        return pages + stock

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """What stands in the column beside each page: of all lists those that its reader may see."""
        apps = super().get_app_list(request, app_label)
        if app_label:
            return apps
        seen = {model["object_name"]: (app, model) for app in apps for model in app["models"]}
        if "Group" in seen:
            seen["Group"][1]["name"] = "Roles"
        parts = {title: [seen[name] for name in names if name in seen] for title, names in LISTS.items()}
        return [
            {**part[0][0], "name": title, "models": [model for _, model in part]}
            for title, part in parts.items()
            if part
        ]

    def index(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What is so in the whole service; the lists stand beside it."""
        return overview(self, request)

    def app_index(  # type: ignore[override]
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Staff know no apps: the lists stand beside the overview."""
        return redirect("admin:index")

    def _staff_page(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """A page of ours, behind the same door as the others."""
        return self.admin_view(partial(view, self))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Nobody signs in at the admin's own form, which would ask for no second factor."""
        return secure_admin_login(super().login)(request, extra_context)

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A new password, for whoever has just proven to be its owner."""
        return reauthentication_required(super().password_change)(request, extra_context)

    def logout(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The same door out as everybody's."""
        if request.method == "POST":
            auth.logout(request)
        return redirect("signed-out")
