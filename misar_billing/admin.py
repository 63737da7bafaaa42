"""What the back-office is made of: the site, an admin that only shows, and pages that run a verb.

Staff look freely and change nothing by editing. What they may do is a page of its own: a form with a
reason, a verb of the domain behind it, and a line in the log of who did it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from allauth.account.decorators import reauthentication_required, secure_admin_login
from django import forms
from django.contrib import admin, auth, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from misar_billing.errors import BillingError


class BackOffice(admin.AdminSite):
    """The staff's side of the service."""

    site_header = "Misar Billing"
    site_title = "Misar Billing"
    index_title = "Back-office"
    site_url = None

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


class ReasonForm(forms.Form):
    """Why; and a key that makes sending the same form twice the same as once."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For whoever asks later: what happened, and who asked for this.",
    )
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)


@dataclass(frozen=True)
class Verb:
    """Something staff can do to one row, on a page of its own.

    `run` takes the row, the cleaned form and the actor, calls the domain and returns what to tell; a
    BillingError it raises is shown on the form.
    """

    name: str
    label: str
    permission: str
    run: Callable[[Any, dict[str, Any], str], str]
    form: type[ReasonForm] = ReasonForm
    applies: Callable[[Any], bool] = lambda row: True


class ReadOnlyAdmin(admin.ModelAdmin):
    """Look freely, change nothing: money and history move through verbs alone."""

    actions = None
    show_full_result_count = False
    list_per_page = 50
    change_form_template = "admin/row.html"
    verbs: ClassVar[Sequence[Verb]] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"<path:object_id>/{verb.name}/",
                self.admin_site.admin_view(self._page(verb)),
                name=self._page_name(verb),
            )
            for verb in self.verbs
        ]
        return pages + super().get_urls()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        row = kwargs.get("obj")
        context["verbs"] = [
            {"label": verb.label, "url": self._page_url(verb, row)}
            for verb in self.verbs
            if row is not None and verb.applies(row) and request.user.has_perm(verb.permission)
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def not_there_yet(self, key: str) -> models.Model | None:
        """A row that a verb may bring about, for a key without one."""
        return None

    def _page_name(self, verb: Verb) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{verb.name}"

    def _page_url(self, verb: Verb, row: models.Model) -> str:
        return reverse(f"admin:{self._page_name(verb)}", args=[admin.utils.quote(row.pk)])

    def _page(self, verb: Verb) -> Callable[..., HttpResponse]:
        def page(request: HttpRequest, object_id: str) -> HttpResponse:
            if not (request.user.has_perm(verb.permission) and self.has_view_permission(request)):
                raise PermissionDenied
            key = unquote(object_id)
            row = self.get_object(request, key) or self.not_there_yet(key)
            # Whether it applies is asked of the page alone: the same form sent again is as good as once, and
            # the verb refuses by itself what does not fit.
            if row is None or (request.method != "POST" and not verb.applies(row)):
                raise Http404
            form = verb.form(request.POST or None, initial={"key": secrets.token_hex(16)})
            if request.method == "POST" and form.is_valid():
                if done := self._run(verb, request, row, form):
                    return done
            return TemplateResponse(request, "admin/verb.html", self._context(verb, request, row, form))

        return page

    def _run(
        self, verb: Verb, request: HttpRequest, row: models.Model, form: ReasonForm
    ) -> HttpResponse | None:
        try:
            told = verb.run(row, form.cleaned_data, actor_of(request))
        except BillingError as refusal:
            form.add_error(None, str(refusal))
            return None
        log_once(request, row, told, form.cleaned_data)
        messages.success(request, told)
        change_url = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return HttpResponseRedirect(reverse(change_url, args=[admin.utils.quote(row.pk)]))

    def _context(
        self, verb: Verb, request: HttpRequest, row: models.Model, form: ReasonForm
    ) -> dict[str, Any]:
        return self.admin_site.each_context(request) | {
            "title": verb.label,
            "opts": self.opts,
            "original": row,
            "form": form,
            "media": self.media + form.media,
        }


def actor_of(request: HttpRequest) -> str:
    """How the books name this member of staff."""
    return f"user:{request.user.pk}"


def log_once(request: HttpRequest, row: models.Model, told: str, form: dict[str, Any]) -> None:
    """The same for a form, which may be sent twice and is one act."""
    mark = f"(form {form['key']})"
    if not LogEntry.objects.filter(object_id=row.pk, change_message__endswith=mark).exists():
        log_act(request, row, f"{told} Reason: {form['reason']} {mark}")


def log_act(request: HttpRequest, row: models.Model, told: str) -> None:
    """Write down in the admin's log who did what to which row."""
    LogEntry.objects.log_actions(
        user_id=str(request.user.pk),
        queryset=[row],
        action_flag=CHANGE,
        change_message=told,
        single_object=True,
    )
