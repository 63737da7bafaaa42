"""The site of the back-office: its sign-in, its lists, and its pages that belong to no list."""

from functools import partial
from typing import Any

from allauth.account.decorators import reauthentication_required, secure_admin_login
from django.contrib import admin, auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse

from backoffice.find.views import find
from backoffice.month_end import views as month_end
from backoffice.one_user.views import one_user
from backoffice.overview.views import overview

# The lists of each part, in the order in which staff see them. A test checks that no list is missing.
LISTS = {
    "Credits": (
        *("Wallet", "Entry", "Hold", "Lot", "TopUp", "StripeRefund", "StripeDispute", "RefundRequest"),
        *("StripeEvent", "Rate", "RateChange", "Audit", "ClosedDay"),
    ),
    "Creators": ("Tip", "Refund", "Subscription", "SubscriptionEvent", "Sponsor", "Earner", "Erasure"),
    "People": ("User", "Act", "Plan", "PlanChange", "ApiKey", "ServiceKey", "OutgoingMail", "Group"),
}


class BackOffice(admin.AdminSite):
    """The back-office's site."""

    site_header = "Misar Billing"
    site_title = "Misar Billing"
    index_title = "Back-office"
    site_url = None
    # A script opens Django's column of links, which moves the page. templates/backoffice/_menu.html has ours.
    enable_nav_sidebar = False

    def get_urls(self) -> list[Any]:
        pages = [
            path("find/", self.admin_view(partial(find, self)), name="find"),
            path("find/<str:token>/", self.admin_view(partial(find, self)), name="found"),
            path("user/<path:object_id>/", self.admin_view(partial(one_user, self)), name="one_user"),
            path("month-end/", self.admin_view(partial(month_end.month_list, self)), name="month_ends"),
            path(
                "month-end/<month:month>/",
                self.admin_view(partial(month_end.month_end, self)),
                name="month_end",
            ),
            path(
                "month-end/<month:month>/summary.csv",
                self.admin_view(partial(month_end.summary_file, self)),
                name="month_end_summary",
            ),
            path(
                "month-end/<month:month>/entries.csv",
                self.admin_view(partial(month_end.entries_file, self)),
                name="month_end_entries",
            ),
            path(
                "month-end/<month:month>/stripe.csv",
                self.admin_view(partial(month_end.stripe_file, self)),
                name="month_end_stripe",
            ),
        ]
        # Leave out view_on_site, because rows have no page outside the back-office.
        return pages + [page for page in super().get_urls() if getattr(page, "name", "") != "view_on_site"]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the lists that the staff member may see. The menu of each page shows them."""
        apps = super().get_app_list(request, app_label)
        if app_label:
            return apps
        visible = {model["object_name"]: (app, model) for app in apps for model in app["models"]}
        if "Group" in visible:
            visible["Group"][1]["name"] = "Roles"
        parts = {
            title: [visible[name] for name in names if name in visible] for title, names in LISTS.items()
        }
        if "Entry" in visible and request.user.has_perm(month_end.PERMISSION):
            page = {"name": "Month end", "object_name": "MonthEnd", "admin_url": reverse("admin:month_ends")}
            parts["Credits"].append((visible["Entry"][0], page))
        return [
            {**part[0][0], "name": title, "models": [model for _, model in part]}
            for title, part in parts.items()
            if part
        ]

    def index(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the overview of the whole service."""
        return overview(self, request)

    def app_index(  # type: ignore[override]
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the overview. An app has no page; the menu has the lists of all apps."""
        return redirect("admin:index")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Let staff sign in on allauth's page. The admin's own form would not ask for the second factor."""
        return secure_admin_login(super().login)(request, extra_context)

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Change the password of a staff member who has recently confirmed their identity."""
        return reauthentication_required(super().password_change)(request, extra_context)

    def logout(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Sign the staff member out, and show the same page as after every other sign-out."""
        if request.method == "POST":
            auth.logout(request)
            return redirect("signed-out")
        return redirect("sign-out")
