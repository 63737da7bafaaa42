"""What staff may do in the back-office: a page for each verb, with a form that asks for the reason.

Nothing is changed by editing a row. A page runs a verb of the domain, under a permission of its own, and
`acts` writes down who did it.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts import acts
from accounts.acts import Done
from accounts.errors import BeyondAllowance, ChangedSince, NothingToChange
from accounts.models import Act, User
from foundation.database.transactions import is_out_of_reach
from foundation.errors import BillingError
from misar_billing.admin import ReadOnlyAdmin

ACTS_SHOWN_MAX = 20
BUSY = "The database is busy right now. Nothing has moved; please send this again."
SENT_BEFORE = (
    "This form was sent before, and its secret was shown then. If you did not see it, revoke this key and "
    "add another one."
)
# The page of a verb was opened from the page of its user, and leads back there.
FROM_USER = "from=user"

# What the page of a verb says of its row, in words by their label; what is empty is left out.
Facts = list[tuple[str, str]]

# --- Forms ----------------------------------------------------------------------------------------------


class ReasonForm(forms.Form):
    """Why; and a key that makes sending the same form twice the same as once.

    `row` is what it is about, None where the verb makes it; `staff` is who asks.
    """

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For whoever asks later: what happened, and who asked for this.",
    )
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, row: Any, staff: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row, self.staff = row, staff
        self._unlimited: dict[str, str] = {}

    def tell_limit(self, name: str, words: str) -> None:
        """Say beneath a field how much this member of staff may do."""
        field = self.fields[name]
        self._unlimited[name] = str(field.help_text)
        field.help_text = f"{field.help_text} {words}"

    def refuse(self, refusal: BillingError) -> None:
        """Say what refused. A limit that did is said there, as it is now, and not beneath its field too."""
        self.add_error(None, str(refusal))
        if isinstance(refusal, BeyondAllowance):
            for name, help_text in self._unlimited.items():
                self[name].help_text = help_text


class SettingForm(ReasonForm):
    """How something is set, to be set otherwise.

    What was shown is sent along, as a digest: of two who change the same at once, the second is told.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    setting: ClassVar[tuple[str, ...]] = ()
    field_order: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.row is not None:
            self.initial = {**self.shown(self.row), "seen": self.digest(self.row), **self.initial}

    @classmethod
    def shown(cls, row: Any) -> dict[str, Any]:
        """The values of a row that the form shows, by field."""
        return {name: getattr(row, name) for name in cls.setting}

    @classmethod
    def digest(cls, row: Any) -> str:
        return hashlib.sha256(repr(sorted(cls.shown(row).items())).encode()).hexdigest()

    @classmethod
    def require_as_shown(cls, row: Any, asked: Mapping[str, Any]) -> None:
        """Raise ChangedSince where the row, locked by now, is no longer what the form showed."""
        if asked["seen"] and asked["seen"] != cls.digest(row):
            raise ChangedSince


def told_from_to(subject: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What changed of something, in words by their label. Raises NothingToChange.

    >>> told_from_to("mail.send", {"price": "1 credit"}, {"price": "2 credits"})
    'mail.send: price from 1 credit to 2 credits.'
    """
    changed = [
        f"{label} from {was or 'nothing'} to {after[label] or 'nothing'}"
        for label, was in before.items()
        if after[label] != was
    ]
    if not changed:
        raise NothingToChange
    return f"{subject}: {'; '.join(changed)}."


# --- Verbs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verb:
    """Something staff can do to one row, on a page of its own.

    `run` takes the row, the cleaned form and the member of staff, calls the domain and returns what to tell,
    or a Done where it touched the affairs of somebody else than the row's user. A BillingError it raises is
    shown on the form, and nothing has moved. `warning` stands above the form.
    """

    name: str
    label: str
    permission: str
    run: Callable[[Any, dict[str, Any], User], str | Done]
    form: type[ReasonForm] = ReasonForm
    applies: Callable[[Any], bool] = lambda row: True
    warning: str = ""


@dataclass(frozen=True)
class Made:
    """A row that staff added, what to tell of it, and a secret that is shown on this one answer alone."""

    row: models.Model
    told: str
    secret: str = ""


@dataclass(frozen=True)
class Addition:
    """How staff add a row: like a verb, but there is none yet."""

    label: str
    permission: str
    run: Callable[[dict[str, Any], User], Made]
    form: type[ReasonForm]
    has_secret: bool = False


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

    change_form_template = "admin/row.html"
    verbs: ClassVar[Sequence[Verb]] = ()
    addition: ClassVar[Addition | None] = None

    def about(self, row: Any) -> str:
        """The Misar ID of the user whose affairs a row belongs to; "" for nobody's."""
        return ""

    def not_there_yet(self, key: str) -> models.Model | None:
        """A row that a verb may bring about, for a key without one."""
        return None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether there is a page that adds a row, and this member of staff may use it."""
        return self.addition is not None and request.user.has_perm(self.addition.permission)

    def verbs_on(self, row: models.Model, staff: User) -> list[Verb]:
        """What this member of staff may do to this row as it is now: to their own, nothing."""
        if self.about(row) == staff.pk:
            return []
        return [verb for verb in self.verbs if staff.has_perm(verb.permission) and verb.applies(row)]

    def address_of(self, verb: Verb, row: models.Model) -> str:
        """The page of a verb on a row."""
        return reverse(f"admin:{self._page_name(verb)}", args=[quote(row.pk)])

    def links_on(self, row: models.Model, staff: User, *, from_user: bool = False) -> list[dict[str, str]]:
        """Label and address of each of these pages; `from_user` for those that lead back to the user's."""
        query = f"?{FROM_USER}" if from_user else ""
        return [
            {"label": verb.label, "url": self.address_of(verb, row) + query}
            for verb in self.verbs_on(row, staff)
        ]

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
        if row is not None:
            context["verbs"] = self.links_on(row, cast(User, request.user))
            context["about"] = self.about(row)
            context["acts"] = list(acts.on_row(row).select_related("staff")[:ACTS_SHOWN_MAX])
        return super().render_change_form(request, context, *args, **kwargs)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page that adds a row by its verb."""
        if self.addition is None or not self.has_add_permission(request):
            raise PermissionDenied
        addition = self.addition
        form = self._form(addition.form, request, None)
        if request.method == "POST" and form.is_valid():
            with refusals_shown_on(form):
                return self._add(addition, request, form)
        return self.verb_page(addition, request, None, form)

    def perform(
        self,
        verb: Verb | Addition,
        request: HttpRequest,
        form: ReasonForm,
        run: Callable[[], Done],
    ) -> Act:
        """Run it once for this form, and write it down. Raises what the verb does."""
        return acts.perform(
            staff=cast(User, request.user),
            permission=verb.permission,
            page=request.path,
            verb=verb.name if isinstance(verb, Verb) else "add",
            label=verb.label,
            reason=form.cleaned_data["reason"],
            form_key=form.cleaned_data["key"],
            asked={name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"},
            run=run,
        )

    def verb_page(
        self, verb: Verb | Addition, request: HttpRequest, row: models.Model | None, form: ReasonForm
    ) -> TemplateResponse:
        """The page with the form, as it is or with what is wrong."""
        context = self.admin_site.each_context(request) | {
            "title": verb.label,
            "warning": verb.warning if isinstance(verb, Verb) else "",
            "opts": self.opts,
            "original": row,
            "about": self.about(row) if row is not None else "",
            "back": self._back_url(request, row),
            "form": form,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/verb.html", context)

    def _page_name(self, verb: Verb) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{verb.name}"

    def _page(self, verb: Verb) -> Callable[..., HttpResponse]:
        def page(request: HttpRequest, object_id: str) -> HttpResponse:
            staff = cast(User, request.user)
            if not (staff.has_perm(verb.permission) and self.has_view_permission(request)):
                raise PermissionDenied
            key = unquote(object_id)
            row = self.get_object(request, key) or self.not_there_yet(key)
            # Whether it applies is asked of the page alone: the same form sent again is as good as once, and
            # the verb refuses by itself what does not fit.
            if row is None or (request.method != "POST" and verb not in self.verbs_on(row, staff)):
                raise Http404
            form = self._form(verb.form, request, row)
            if request.method == "POST" and form.is_valid():
                if done := self._run(verb, request, row, form):
                    return done
            return self.verb_page(verb, request, row, form)

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
            return TemplateResponse(request, "admin/secret.html", context)
        messages.success(request, act.told)
        if addition.has_secret:
            messages.warning(request, SENT_BEFORE)
        return HttpResponseRedirect(self._row_url(act.row_id))

    def _run(
        self, verb: Verb, request: HttpRequest, row: models.Model, form: ReasonForm
    ) -> HttpResponse | None:
        staff = cast(User, request.user)

        def run() -> Done:
            done = verb.run(row, form.cleaned_data, staff)
            return done if isinstance(done, Done) else Done(row, done, self.about(row))

        with refusals_shown_on(form):
            act = self.perform(verb, request, form, run)
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
