"""The pages of staff actions: each has a form that asks for a reason.

These pages never edit a row directly. Each page requires its own permission and runs a domain function.
`acts` records which staff member performed the action.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.models import Act, User
from backoffice.actions import acts
from backoffice.actions.acts import Done
from backoffice.actions.forms import Preview, PreviewedForm, ReasonForm
from backoffice.actions.staff_action import StaffAction
from backoffice.errors import OutdatedPreview, OwnAffairs
from backoffice.lists.links import user_link
from backoffice.lists.read_only import ReadOnlyAdmin
from foundation.database.transactions import is_out_of_reach, retried
from foundation.errors import BillingError, KeyReused

ACTS_SHOWN_MAX = 20
BUSY = "The database is busy right now. Nothing has changed; please send this again."
SENT_BEFORE = (
    "This form was sent before, and the secret of the new key was shown then. If you did not see the secret, "
    "revoke this key and add another one."
)
# The query in the URL of an action's page that was opened from a user's page. When the action is done, the
# browser goes back to the user's page.
FROM_USER = "from=user"


@contextmanager
def refusals_shown_on(form: ReasonForm) -> Iterator[None]:
    """Show a refusal on the form. The form keeps what was typed. No transaction is open any more."""
    try:
        yield
    except BillingError as refusal:
        form.refuse(refusal)
    except DatabaseError as error:
        if not is_out_of_reach(error):
            raise
        form.add_error(None, BUSY)


@retried
@transaction.atomic
def _rehearse(action: StaffAction, row: Any, form: PreviewedForm) -> tuple[Preview, Act | None]:
    """Return what the action would change, and the newest act about the user. Nothing is changed.

    Raises what the action raises, and OwnAffairs if its act would be about the staff member.
    """
    assert action.preview is not None
    preview = action.preview(copy(row), form.cleaned_data | {"seen": ""}, form.staff)
    if preview.about == form.staff.pk:
        raise OwnAffairs
    newest_act = acts.newest_about(preview.about)
    transaction.set_rollback(True)
    return preview, newest_act


class ActingAdmin(ReadOnlyAdmin):
    """A read-only list with pages for what staff may do to its rows."""

    change_form_template = "backoffice/row.html"
    staff_actions: ClassVar[Sequence[StaffAction]] = ()
    addition: ClassVar[StaffAction | None] = None
    # The field with the Misar ID of the user whom a row concerns; "" if rows concern no user.
    owner_field: ClassVar[str] = ""

    def about(self, row: Any) -> str:
        """The Misar ID of the user whom a row concerns; "" for no user."""
        return (getattr(row, self.owner_field) or "") if self.owner_field else ""

    @admin.display(description="Misar ID")
    def user(self, row: Any) -> str:
        return user_link(self.about(row))

    @admin.display(description="user")
    def everything(self, row: Any) -> str:
        return user_link(self.about(row), "Everything")

    def row_to_create(self, key: str) -> models.Model | None:
        """An unsaved row for a key that has no row yet; None if the actions of this list create no rows."""
        return None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether there is a page that adds a row, and this staff member may use it."""
        return self.addition is not None and request.user.has_perm(self.addition.permission)

    def staff_actions_on(self, row: models.Model, staff: User) -> list[StaffAction]:
        """What this staff member may do to this row now; nothing if the row is about this staff member."""
        if self.about(row) == staff.pk:
            return []
        return [
            action
            for action in self.staff_actions
            if staff.has_perm(action.permission) and action.applies(row)
        ]

    def address_of(self, action: StaffAction, row: models.Model) -> str:
        """The URL of the page of an action on a row."""
        return self.url_of(action.name, row.pk)

    def links_on(self, row: models.Model, staff: User, *, from_user: bool = False) -> list[dict[str, str]]:
        """The label and URL of each action on a row. `from_user`: return to the user's page after it."""
        query = f"?{FROM_USER}" if from_user else ""
        return [
            {"label": action.label, "url": self.address_of(action, row) + query}
            for action in self.staff_actions_on(row, staff)
        ]

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"<path:object_id>/{action.name}/",
                self.admin_site.admin_view(partial(self.action_view, action=action)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{action.name}",
            )
            for action in self.staff_actions
        ]
        return pages + super().get_urls()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        row = kwargs.get("obj")
        if row is not None:
            context["staff_actions"] = self.links_on(row, cast(User, request.user))
            context["about"] = self.about(row)
            context["acts"] = [(act, "") for act in acts.on_row(row)[:ACTS_SHOWN_MAX]]
        return super().render_change_form(request, context, *args, **kwargs)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page that adds a row."""
        if self.addition is None or not self.has_add_permission(request):
            raise PermissionDenied
        return self._form_page(self.addition, request, None)

    def action_view(self, request: HttpRequest, object_id: str, *, action: StaffAction) -> HttpResponse:
        """The page of an action on a row."""
        staff = cast(User, request.user)
        if not (staff.has_perm(action.permission) and self.has_view_permission(request)):
            raise PermissionDenied
        key = unquote(object_id)
        row = self.get_object(request, key) or self.row_to_create(key)
        # When the page is opened, the action must apply to the row. When the form is sent, this is not
        # checked: a form may be sent twice, and the first time may have changed the row. The domain function
        # refuses an action that is no longer possible.
        if row is None or (request.method != "POST" and action not in self.staff_actions_on(row, staff)):
            raise Http404
        return self._form_page(action, request, row)

    def _form_page(self, action: StaffAction, request: HttpRequest, row: Any) -> HttpResponse:
        """Perform the action if a valid form was sent, and seen. Show the form otherwise, with its errors."""
        staff = cast(User, request.user)
        form = action.form(request.POST or None, initial={"key": secrets.token_hex(16)}, row=row, staff=staff)
        if request.method == "POST" and form.is_valid():
            with refusals_shown_on(form):
                if form.is_seen:
                    try:
                        return self._perform(action, request, row, form)
                    except OutdatedPreview as refusal:
                        form.refuse(refusal)
                self._show_preview(action, row, form)
        context = self.admin_site.each_context(request) | {
            "title": action.label,
            "warning": action.warning(row) if callable(action.warning) else action.warning,
            "opts": self.opts,
            "original": row,
            "has_page": row is not None and not row._state.adding,
            "about": self.about(row) if row is not None else "",
            "facts": action.facts(row),
            "back": self._back_url(request, row),
            "form": form,
            "button": "Preview" if action.preview and not form.is_seen else action.label,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "backoffice/action.html", context)

    def _show_preview(self, action: StaffAction, row: Any, form: ReasonForm) -> None:
        """Show on the form what the action will change.

        Raises KeyReused if this form was done before: a browser went back to it.
        """
        assert isinstance(form, PreviewedForm)
        if acts.of_form(form.staff, form.cleaned_data["key"]):
            raise KeyReused
        form.show(*_rehearse(action, row, form))

    def _perform(self, action: StaffAction, request: HttpRequest, row: Any, form: ReasonForm) -> HttpResponse:
        """Perform the action once for this form, and write the act. Raises what the action raises.

        The action's follow-up runs after the act is committed, each time the form is sent.
        """
        staff = cast(User, request.user)
        secret = ""

        def run() -> Done:
            nonlocal secret
            result = action.run(row, form.cleaned_data, staff)
            done = result if isinstance(result, Done) else Done(row, result, self.about(row))
            secret = done.secret
            if isinstance(form, PreviewedForm):
                form.require_no_act_since(acts.newest_about(done.about))
            return done

        act = acts.perform(
            staff=staff,
            permission=action.permission,
            page=request.path,
            verb=action.name,
            label=action.label,
            reason=form.cleaned_data["reason"],
            form_key=form.cleaned_data["key"],
            form_data={
                name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"
            },
            run=run,
        )
        told = action.follow_up(row, form.cleaned_data, staff) if action.follow_up else act.told
        if secret:  # No browser or proxy stores the secret: pages of the admin are never cached.
            context = {"title": act.told, "opts": self.opts, "secret": secret}
            return TemplateResponse(
                request, "backoffice/secret.html", self.admin_site.each_context(request) | context
            )
        messages.success(request, told)
        if action.has_secret:
            messages.warning(request, SENT_BEFORE)
        return HttpResponseRedirect(
            self._back_url(request, row) if row is not None else self.url_of("change", act.row_id)
        )

    def _back_url(self, request: HttpRequest, row: models.Model | None) -> str:
        """The URL that the browser goes to when an action is cancelled, or done.

        When an action that adds a row is done, the browser goes to the new row's page instead.
        """
        if row is None:
            return self.url_of("changelist")
        about = self.about(row)
        if about and (row._state.adding or request.GET.urlencode() == FROM_USER):
            return reverse("admin:one_user", args=[quote(about)])
        return self.url_of("change", row.pk)
