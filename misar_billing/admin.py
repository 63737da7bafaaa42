"""What the back-office is made of: the site, an admin that only shows, a form that asks for a reason."""

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest


class BackOffice(admin.AdminSite):
    """The staff's side of the service."""

    site_header = "Misar Billing"
    site_title = "Misar Billing"
    index_title = "Back-office"
    site_url = None
    enable_nav_sidebar = True


class ReadOnlyAdmin(admin.ModelAdmin):
    """Look freely, change nothing: money and history move through verbs alone."""

    actions = None
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class ReasonForm(forms.Form):
    """Why, and a key that makes sending the same form twice the same as once."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For whoever asks later: what happened, and who asked for this.",
    )
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)
