"""The base of every list and row page in the back-office: staff read everything and edit nothing.

Staff make changes on other pages, which ask for a reason (backoffice/actions/pages.py). change_list.py reads
a list; csv_files.py writes it as a file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse

from backoffice.lists import change_list, csv_files, facts, filters
from backoffice.lists.links import name_of_page
from backoffice.lists.totals import Totals
from foundation.database import standby

EXPORT_PERMISSION = "accounts.export_lists"

# The name of the text in the find box, which also searches in the list of the page.
FIND_BOX = "sought"

T = TypeVar("T")

# No search field is longer. A cluster refuses to compare a longer text with the column that places a row.
KEY_LENGTH_MAX = 255


class ReadOnlyAdmin(admin.ModelAdmin):
    """A list and its row pages, for reading only. Money and history change through domain functions alone."""

    actions = None
    paginator = change_list.CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    # If Django kept the filters, it would put the search term into every link to a row.
    preserve_filters = False
    empty_value_display = "–"
    sortable_by: ClassVar[list[str] | tuple[str, ...] | None] = ()

    # Lookups that the URL of the list may use, besides those of list_filter.
    lookups: ClassVar[Sequence[str]] = ()
    # The indexed field with a row's time. It gives the list a filter: today, 7 days, 30 days, this month.
    instant: ClassVar[str] = ""
    # Columns with numbers, which are aligned to the right.
    figures: ClassVar[Sequence[str]] = ()
    # What a phone shows of a row, in two lines: its title and its figure, its time and its state.
    # The first column must be one of them, because it links to the row.
    two_lines: ClassVar[Sequence[str]] = ()
    # Columns without an index and their fields: a list of few rows is sorted by them too.
    also_sortable_by: ClassVar[Mapping[str, Sequence[str]]] = {}
    # What all rows come to, above them.
    sums: ClassVar[Totals | None] = None
    # Fields that the CSV file leaves out, besides those in `exclude`.
    kept_out_of_files: ClassVar[Sequence[str]] = ()
    # Columns of the CSV file that are no fields: names of annotations of the list's query.
    also_in_files: ClassVar[Sequence[str]] = ()
    # Columns of the CSV file that have the same value in all rows, such as the only currency.
    same_in_files: ClassVar[Mapping[str, str]] = {}
    # Whether the primary must answer: the list shows balances, or its rows depend on the database's clock.
    needs_the_primary: ClassVar[bool] = False
    # The text of an empty list.
    nothing_yet: ClassVar[str] = "There is nothing here yet."

    @property
    def media(self) -> forms.Media:
        """No scripts: these pages have no fields."""
        return forms.Media()

    # --- Permissions ---

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def may_take_files(self, request: HttpRequest) -> bool:
        """Whether this staff member may download the list as a file."""
        return self.has_view_permission(request) and request.user.has_perm(EXPORT_PERMISSION)

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Always False: pages refer to rows by their key only."""
        return False

    # --- Pages ---

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"
        return [path("csv/", self.admin_site.admin_view(self.csv_view), name=name), *super().get_urls()]

    def url_of(self, page: str, *args: Any) -> str:
        """The URL of a page of this list: "changelist", or "change" with the key of a row."""
        return reverse(name_of_page(self.model, page), args=[quote(arg) for arg in args])

    def changelist_view(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """The list. A search is sent by POST, and the answer redirects to a URL with the search term.

        This URL must not hold an e-mail address. If `address_term` finds no id for an e-mail address, the URL
        has the token of the search.
        """
        if request.method == "POST":
            if not self.has_view_permission(request):
                raise PermissionDenied
            if FIND_BOX not in request.POST:
                return HttpResponseNotAllowed(["GET", "HEAD"])
            term = self.address_term(request.POST[FIND_BOX].strip())
            return HttpResponseRedirect(change_list.address_with(request, term), status=303)
        if len(request.GET) > 1 and ERROR_FLAG in request.GET:
            # ERROR_FLAG is about an unknown filter in an earlier URL, not about the filters in this URL.
            query = request.GET.copy()
            del query[ERROR_FLAG]
            request.GET = query  # type: ignore[assignment]
        return self._read(super().changelist_view, request, extra_context)

    def csv_view(self, request: HttpRequest) -> HttpResponse:
        """The list as a CSV file, with the filters and the search of the page."""
        if not self.may_take_files(request):
            raise PermissionDenied
        return self._read(self._file, request)

    def _read(self, view: Callable[..., T], *args: Any) -> T:
        """Run a view, on the standby if that is allowed for this list."""
        return view(*args) if self.needs_the_primary else standby.may_answer(view)(*args)

    def _file(self, request: HttpRequest) -> HttpResponse:
        try:
            rows = self.get_changelist_instance(request).paginator.all_rows
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{self.url_of('changelist')}?{ERROR_FLAG}=1")
        return csv_files.answer(
            request,
            rows,
            name=str(self.opts.verbose_name_plural),
            columns=self.columns_of_files(),
            same=self.same_in_files,
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """A row's page, for reading only. Requests other than GET and HEAD are refused.

        Otherwise, staff who may add rows could send a form that makes Django save this row as a new one,
        without a reason and without an act.
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
        """Answer 404. Django would redirect, and say that the row may have been deleted."""
        raise Http404

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the row's own page, which is also the page of its history."""
        return HttpResponseRedirect(self.url_of("change", unquote(object_id)))

    # --- What a list reads ---

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        menus = change_list.lookups_of(self.opts, self.get_list_filter(request))
        change_list.leave_out_any(request, menus)
        return super().get_changelist_instance(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[change_list.List]:
        return change_list.List

    def get_list_filter(self, request: HttpRequest) -> Any:
        return (*self.list_filter, filters.When) if self.instant else self.list_filter

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow declared lookups only. Others would reveal digests, passwords and addresses bit by bit."""
        assert request is not None, "the list always passes the request"
        return lookup in {*self.lookups, *change_list.lookups_of(self.opts, self.get_list_filter(request))}

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.matching(queryset, term) if term else queryset), False

    def read_more(self, rows: list[Any]) -> None:
        """Read what the columns need besides the rows of a page, for all of them together."""

    def address_term(self, term: str) -> str:
        """The search term for the URL of the list. A subclass may turn an e-mail address into an id."""
        return term

    def matching(self, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        """The rows in which a search field equals the whole term."""
        if len(term) > KEY_LENGTH_MAX:
            return queryset.none()
        matches = Q.create([self.match(lookup, term) for lookup in self.search_fields], connector=Q.OR)
        try:
            return queryset.filter(matches)
        except (ValidationError, ValueError):  # The term cannot be a key of this model.
            return queryset.none()

    def match(self, lookup: str, term: str) -> Q:
        """The condition that a search field equals the term. A subclass may add to it what an index needs."""
        return Q((lookup, term))

    def columns_of_files(self) -> list[str]:
        """The columns of the CSV file: the key, all other fields that may be shown, then `also_in_files`."""
        left_out = {*(self.exclude or ()), *self.kept_out_of_files}
        shown = [field for field in self.opts.concrete_fields if field.name not in left_out]
        shown.sort(key=lambda field: not field.primary_key)
        return [*(field.attname for field in shown), *self.also_in_files]
