"""What every list and every row of the back-office has in common: staff look freely and edit nothing.

What they may do is a page of its own, with a reason (backoffice/actions/pages.py). How a list is read is in
change_list.py; how it leaves as a file in csv_files.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse

from backoffice.lists import change_list, csv_files, facts, filters

EXPORT_PERMISSION = "accounts.export_lists"


class ReadOnlyAdmin(admin.ModelAdmin):
    """Look freely, change nothing: money and history move through verbs alone."""

    actions = None
    paginator = change_list.CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    # Filters would travel in every link to a row, and with them what was searched for.
    preserve_filters = False
    empty_value_display = "–"
    sortable_by: ClassVar[list[str] | tuple[str, ...] | None] = ()

    # What an address may ask of this list beside its list_filter: entries of a kind, of a user, since when.
    lookups: ClassVar[Sequence[str]] = ()
    # The field, with an index, that says when a row was made: it offers today, 7 days, 30 days, this month.
    instant: ClassVar[str] = ""
    # Columns of a list whose values stand at the right.
    figures: ClassVar[Sequence[str]] = ()
    # What a file of the list leaves out, beside what the row's page does.
    kept_out_of_files: ClassVar[Sequence[str]] = ()
    # What a file says in a column of its own of all rows alike: the currency, where there is only one.
    same_in_files: ClassVar[Mapping[str, str]] = {}
    # What a list without rows says.
    nothing_yet: ClassVar[str] = "There is nothing here yet."

    @property
    def media(self) -> forms.Media:
        """No scripts: nothing on these pages can be typed into or picked."""
        return forms.Media()

    # --- Who may what ---

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def may_take_files(self, request: HttpRequest) -> bool:
        """Whether this list may leave as a file with whoever asks."""
        return self.has_view_permission(request) and request.user.has_perm(EXPORT_PERMISSION)

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Rows are found by their key alone: no other pages refer to them by anything else."""
        return False

    # --- Pages ---

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"
        return [path("csv/", self.admin_site.admin_view(self.csv_view), name=name), *super().get_urls()]

    def changelist_view(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """The list. A search comes by POST: an e-mail address is answered at once, all else by a link."""
        if request.method == "POST":
            if not self.has_view_permission(request):
                raise PermissionDenied
            if SEARCH_VAR not in request.POST:
                return HttpResponseNotAllowed(["GET", "HEAD"])
            term = change_list.searched(request)
            told = self.told_of(term)
            if not change_list.is_private(told):
                return HttpResponseRedirect(change_list.address_with(request, told), status=303)
        elif len(request.GET) > 1 and ERROR_FLAG in request.GET:
            # The mark of an answer to a filter that is not known, left in an address with others.
            query = request.GET.copy()
            del query[ERROR_FLAG]
            request.GET = query  # type: ignore[assignment]
        return super().changelist_view(request, extra_context)

    def csv_view(self, request: HttpRequest) -> HttpResponse:
        """The list as a file, filtered and searched as it is on the page."""
        if not self.may_take_files(request):
            raise PermissionDenied
        change_list.searched(request)
        try:
            found = cast(change_list.List, self.get_changelist_instance(request))
        except IncorrectLookupParameters:
            url = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
            return HttpResponseRedirect(f"{url}?{ERROR_FLAG}=1")
        return csv_files.answer(
            request,
            found.queryset,
            name=str(self.opts.verbose_name_plural),
            fields=self.fields_of_files(),
            same=self.same_in_files,
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """A row's page, to look at. Nothing can be sent to it.

        The stock page takes a form that asks to be saved as a new row from whoever may add one, and would
        go round the verb that adds.
        """
        if object_id is None or request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        row = kwargs.get("obj")
        if row is not None:
            context["facts"] = list(facts.facts_of(self, context["adminform"], row))
        return super().render_change_form(request, context, *args, **kwargs)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> Any:
        """The stock page leads to the overview and guesses that the row was deleted: none ever is."""
        raise Http404

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was done to a row stands on the row's own page."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return HttpResponseRedirect(reverse(name, args=[quote(unquote(object_id))]))

    # --- What a list reads ---

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[change_list.List]:
        return change_list.List

    def get_list_filter(self, request: HttpRequest) -> Any:
        return (*self.list_filter, filters.When) if self.instant else self.list_filter

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what is declared: a lookup more would guess at digests, passwords and addresses."""
        assert request is not None, "the list always says who asks"
        return lookup in {*self.lookups, *change_list.lookups_of(self.opts, self.get_list_filter(request))}

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.found(queryset, term) if term else queryset), False

    def told_of(self, term: str) -> str:
        """What an address may say instead of an e-mail address that was searched for, if there is such."""
        return term

    def found(self, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        """The rows that what support was given names, whole: no part of it, and no words of it apart."""
        named = Q.create([(lookup, term) for lookup in self.search_fields], connector=Q.OR)
        try:
            return queryset.filter(named)
        except (ValidationError, ValueError):  # No such key can be.
            return queryset.none()

    def fields_of_files(self) -> list["models.Field[Any, Any]"]:
        """The columns of a file: the key, then what else the model holds, without what no page shows."""
        left_out = {*(self.exclude or ()), *self.kept_out_of_files}
        shown = [field for field in self.opts.concrete_fields if field.name not in left_out]
        return sorted(shown, key=lambda field: not field.primary_key)
