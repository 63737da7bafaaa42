"""What staff may do in the back-office: a page for each action, with a form that asks for the reason.

Nothing is changed by editing a row. A page runs a verb of the domain, under a permission of its own, and
`acts` writes down who did it.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.models import Act, User
from backoffice.actions import acts
from backoffice.actions.acts import Done
from backoffice.actions.forms import ReasonForm
from backoffice.actions.staff_action import Addition, Made, StaffAction
from backoffice.lists.read_only import ReadOnlyAdmin
from foundation.database.transactions import is_out_of_reach
from foundation.errors import BillingError

ACTS_SHOWN_MAX = 20
BUSY = "The database is busy right now. Nothing has moved; please send this again."
SENT_BEFORE = (
    "This form was sent before, and its secret was shown then. If you did not see it, revoke this key and "
    "add another one."
)
# The page of an action was opened from the page of its user, and leads back there.
FROM_USER = "from=user"


@contextmanager
def refusals_shown_on(form: ReasonForm) -> Iterator[None]:
    """Whatever refuses inside is said on the form, so that nothing typed is lost. Nothing has moved then."""
    try:
        yield
    except BillingError as refusal:
        form.refuse(refusal)
    except DatabaseError as error:
        if not is_out_of_reach(error):
            raise
        form.add_error(None, BUSY)


class ActingAdmin(ReadOnlyAdmin):
    """Rows that can be looked at, with a page for each thing that staff may do to one."""

    change_form_template = "backoffice/row.html"
    staff_actions: ClassVar[Sequence[StaffAction]] = ()
    addition: ClassVar[Addition | None] = None

    def about(self, row: Any) -> str:
        """The Misar ID of the user whose affairs a row belongs to; "" for nobody's."""
        return ""

    def not_there_yet(self, key: str) -> models.Model | None:
        """A row that an action may bring about, for a key without one."""
        return None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether there is a page that adds a row, and this member of staff may use it."""
        return self.addition is not None and request.user.has_perm(self.addition.permission)

    def staff_actions_on(self, row: models.Model, staff: User) -> list[StaffAction]:
        """What this member of staff may do to this row as it is now: to their own, nothing."""
        if self.about(row) == staff.pk:
            return []
        return [
            action
            for action in self.staff_actions
            if staff.has_perm(action.permission) and action.applies(row)
        ]

    def address_of(self, action: StaffAction, row: models.Model) -> str:
        """The page of an action on a row."""
        return reverse(f"admin:{self._page_name(action)}", args=[quote(row.pk)])

    def links_on(self, row: models.Model, staff: User, *, from_user: bool = False) -> list[dict[str, str]]:
        """Label and address of each of these pages; `from_user` for those that lead back to the user's."""
        query = f"?{FROM_USER}" if from_user else ""
        return [
            {"label": action.label, "url": self.address_of(action, row) + query}
            for action in self.staff_actions_on(row, staff)
        ]

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"<path:object_id>/{action.name}/",
                self.admin_site.admin_view(self._page(action)),
                name=self._page_name(action),
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
            context["acts"] = list(acts.on_row(row).select_related("staff")[:ACTS_SHOWN_MAX])
        return super().render_change_form(request, context, *args, **kwargs)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page that adds a row."""
        if self.addition is None or not self.has_add_permission(request):
            raise PermissionDenied
        addition = self.addition
        form = self._form(addition.form, request, None)
        if request.method == "POST" and form.is_valid():
            with refusals_shown_on(form):
                return self._add(addition, request, form)
        return self.action_page(addition, request, None, form)

    def perform(
        self,
        action: StaffAction | Addition,
        request: HttpRequest,
        form: ReasonForm,
        run: Callable[[], Done],
    ) -> Act:
        """Run it once for this form, and write it down. Raises what the action does."""
        return acts.perform(
            staff=cast(User, request.user),
            permission=action.permission,
            page=request.path,
            verb=action.name if isinstance(action, StaffAction) else "add",
            label=action.label,
            reason=form.cleaned_data["reason"],
            form_key=form.cleaned_data["key"],
            asked={name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"},
            run=run,
        )

    def action_page(
        self, action: StaffAction | Addition, request: HttpRequest, row: models.Model | None, form: ReasonForm
    ) -> TemplateResponse:
        """The page with the form, as it is or with what is wrong."""
        context = self.admin_site.each_context(request) | {
            "title": action.label,
            "warning": action.warning if isinstance(action, StaffAction) else "",
            "opts": self.opts,
            "original": row,
            "about": self.about(row) if row is not None else "",
            "back": self._back_url(request, row),
            "form": form,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "backoffice/action.html", context)

    def _page_name(self, action: StaffAction) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{action.name}"

    def _page(self, action: StaffAction) -> Callable[..., HttpResponse]:
        def page(request: HttpRequest, object_id: str) -> HttpResponse:
            staff = cast(User, request.user)
            if not (staff.has_perm(action.permission) and self.has_view_permission(request)):
                raise PermissionDenied
            key = unquote(object_id)
            row = self.get_object(request, key) or self.not_there_yet(key)
            # Whether it applies is asked of the page alone: the same form sent again is as good as once, and
            # the verb refuses by itself what does not fit.
            if row is None or (request.method != "POST" and action not in self.staff_actions_on(row, staff)):
                raise Http404
            form = self._form(action.form, request, row)
            if request.method == "POST" and form.is_valid():
                if done := self._run(action, request, row, form):
                    return done
            return self.action_page(action, request, row, form)

        return page

    def _form(self, form: type[ReasonForm], request: HttpRequest, row: models.Model | None) -> ReasonForm:
        key = {"key": secrets.token_hex(16)}
        return form(request.POST or None, initial=key, row=row, staff=cast(User, request.user))

    def _add(self, addition: Addition, request: HttpRequest, form: ReasonForm) -> HttpResponse:
        made: list[Made] = []

        def run() -> Done:
            made[:] = [addition.run(form.cleaned_data, cast(User, request.user))]
            return Done(made[0].row, made[0].told, self.about(made[0].row))

        act = self.perform(addition, request, form, run)
        if made and made[0].secret:
            # The admin's pages are never cached, by anybody.
            context = self.admin_site.each_context(request) | {
                "title": act.told,
                "opts": self.opts,
                "secret": made[0].secret,
            }
            return TemplateResponse(request, "backoffice/secret.html", context)
        messages.success(request, act.told)
        if addition.has_secret:
            messages.warning(request, SENT_BEFORE)
        return HttpResponseRedirect(self._row_url(act.row_id))

    def _run(
        self, action: StaffAction, request: HttpRequest, row: models.Model, form: ReasonForm
    ) -> HttpResponse | None:
        staff = cast(User, request.user)

        def run() -> Done:
            done = action.run(row, form.cleaned_data, staff)
            return done if isinstance(done, Done) else Done(row, done, self.about(row))

        with refusals_shown_on(form):
            act = self.perform(action, request, form, run)
            messages.success(request, act.told)
            return HttpResponseRedirect(self._back_url(request, row))
        return None

    def _back_url(self, request: HttpRequest, row: models.Model | None) -> str:
        """Where a page leads when it is done, or left."""
        if row is None:
            return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        about = self.about(row)
        if about and request.GET.urlencode() == FROM_USER:
            return reverse("admin:one_user", args=[quote(about)])
        return self._row_url(row.pk)

    def _row_url(self, key: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[quote(key)])
