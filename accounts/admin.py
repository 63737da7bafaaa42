"""Users, plans and service keys in the back-office."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts import keys
from accounts.models import Plan, ServiceKey, User
from misar_billing.admin import ReadOnlyAdmin, Verb, log_act


class ServiceKeyForm(forms.Form):
    """What a new service key may do, and for how long."""

    product = forms.SlugField(max_length=40, help_text="The product that charges: blog, mail, reach.")
    feature_prefixes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line, such as blog. with its dot: only features that begin so may be charged. "
        "Empty for every feature.",
    )
    expires_at = forms.SplitDateTimeField(
        required=False, widget=AdminSplitDateTime, help_text="In UTC; empty for never."
    )

    def clean_feature_prefixes(self) -> list[str]:
        return self.cleaned_data["feature_prefixes"].split()

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError("That is in the past.")
        return expires_at


def revoke(key: ServiceKey, asked: dict[str, Any], actor: str) -> str:
    """Shut a key out at once."""
    keys.revoke_service_key(key)
    return f"Revoked {key}."


@admin.register(ServiceKey)
class ServiceKeyAdmin(ReadOnlyAdmin):
    list_display = (
        "prefix",
        "product",
        "feature_prefixes",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_filter = ("product",)
    search_fields = ("product", "prefix")
    exclude = ("digest",)
    verbs = (
        Verb(
            "revoke",
            "Revoke this key",
            "accounts.revoke_servicekey",
            revoke,
            applies=lambda key: key.revoked_at is None,
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.add_servicekey")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Make a key and show its secret on the very page that answers, so that it is stored nowhere."""
        if not self.has_add_permission(request):
            return self.changelist_view(request)
        form = ServiceKeyForm(request.POST or None)
        secret = None
        if request.method == "POST" and form.is_valid():
            key, secret = keys.issue_service_key(**form.cleaned_data)
            log_act(request, key, f"Issued {key}.")
        context = self.admin_site.each_context(request) | {
            "title": "Add a service key",
            "opts": self.opts,
            "form": form,
            "secret": secret,
            "media": self.media + form.media,
        }
        # The admin's pages are never cached, by anybody.
        return TemplateResponse(request, "admin/service_key.html", context)


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    list_display = ("misar_id", "name", "email", "plan", "is_staff", "is_active", "created_at")
    list_filter = ("plan", "is_staff", "is_active")
    list_select_related = ("plan",)
    search_fields = ("misar_id__exact", "email__iexact", "name")
    search_help_text = "A Misar ID or an e-mail address, whole; or a part of a name."
    fields = (
        "misar_id",
        "name",
        "email",
        "plan",
        "is_active",
        "is_staff",
        "groups",
        "created_at",
        "last_login",
    )
    readonly_fields = ("misar_id", "created_at", "last_login")
    filter_horizontal = ("groups",)
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # Users come by signing in, staff by `manage.py createsuperuser`.

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):
    list_display = ("slug", "name", "fee_bps", "key_limit")
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False
