"""Reads a list of the back-office. One query reads one page of rows, and is not slower for a large table.

Rows are counted up to CEILING. Only declared filters are accepted: a URL with another filter shows the
whole list. Rows are sorted by columns with an index, and by others if the list has at most CEILING rows. This
module changes no data.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast
from urllib.parse import parse_qsl

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import (
    display_for_field,
    display_for_value,
    get_fields_from_path,
    label_for_field,
    lookup_field,
)
from django.contrib.admin.views.main import (
    ERROR_FLAG,
    IGNORED_PARAMS,
    ORDER_VAR,
    PAGE_VAR,
    SEARCH_VAR,
    ChangeList,
)
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst

from backoffice import kept_searches
from backoffice.lists.columns import when
from backoffice.lists.facts import STATES, in_plain_words, instant, moment_in_words
from backoffice.lists.totals import Totals
from foundation import states
from foundation.text import middle_cut
from foundation.words import count

# No list counts or shows more rows than this.
CEILING = 10_000
# The URL parameter with the token of a search for an e-mail address (backoffice/kept_searches.py).
SEARCH_TOKEN = "search"  # noqa: S105 (a name)
# The choice of a filter's menu that leaves the filter out.
ANY = ""
# The columns with ids, which are shortened.
ID_COLUMNS = {"id", "fact"}
# The places of a row of two lines. The title and the figure are in its first line.
PLACES = ("title", "figure", "when", "state")
WORDS = {"exact": "is", "in": "is", "gte": "from", "lt": "before"}


# --- The request ---------------------------------------------------------------------------------------


def is_private(term: str) -> bool:
    """Whether a search term may be an e-mail address, which must not be part of a page's URL."""
    return "@" in term


def address_with(request: HttpRequest, term: str) -> str:
    """The URL of this list with its filters and this search term, or the token of a private term."""
    query = request.GET.copy()
    for name in (SEARCH_VAR, SEARCH_TOKEN, PAGE_VAR, ERROR_FLAG):
        query.pop(name, None)
    if is_private(term):
        query[SEARCH_TOKEN] = kept_searches.keep(request.session, term)
    elif term:
        query[SEARCH_VAR] = term
    return f"{request.path}?{query.urlencode()}" if query else request.path


def leave_out_any(request: HttpRequest, names: Iterable[str]) -> None:
    """Take the filters with these names out of the request if they are set to ANY."""
    query = request.GET.copy()
    for name in names:
        if query.get(name) == ANY:
            del query[name]
    request.GET = query  # type: ignore[assignment]


def read_token(request: HttpRequest) -> str:
    """The token of a search in the URL; "" without one. The text is put where Django reads it.

    Raises IncorrectLookupParameters if the session does not have the search.
    """
    token = request.GET.get(SEARCH_TOKEN)
    if token is None:
        return ""
    query = request.GET.copy()
    del query[SEARCH_TOKEN]
    query[SEARCH_VAR] = kept_searches.text_of(request.session, token)
    if not query[SEARCH_VAR]:
        raise IncorrectLookupParameters
    request.GET = query  # type: ignore[assignment]
    return token


def lookups_of(opts: Any, list_filter: Sequence[Any]) -> Iterator[str]:
    """The names of the URL parameters that the filters of a list read."""
    for each in list_filter:
        if isinstance(each, str):
            field = opts.get_field(each)
            target = f"__{field.target_field.name}" if field.is_relation else ""
            yield f"{each}{target}__exact"
        else:
            yield each.parameter_name


# --- The list -------------------------------------------------------------------------------------------


class CappedPaginator(Paginator):
    """Counts rows up to CEILING. It counts in the order of the list, because an index has this order."""

    @cached_property
    def _counted(self) -> int:
        rows = cast("models.QuerySet[Any]", self.object_list)
        first = cast(str, rows.query.order_by[0])
        return rows.order_by(first).values(first.removeprefix("-"))[: CEILING + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self._counted, CEILING)

    @property
    def has_more(self) -> bool:
        """Whether there are more rows than are counted."""
        return self._counted > CEILING

    @property
    def known_count(self) -> int | None:
        """The number of all rows; None if there are more than were counted."""
        return None if self.has_more else self.count

    @property
    def can_be_sorted(self) -> bool:
        """Whether all rows are few enough to be sorted and summed without an index. A subclass may refuse."""
        return not self.has_more

    def totals(self, totals: Totals) -> Sequence[str]:
        """What all rows come to; nothing if they are too many."""
        return totals.of(self.all_rows) if self.can_be_sorted else ()

    @property
    def all_rows(self) -> models.QuerySet[Any]:
        """A query of which the first CEILING + 1 rows are those of the list. A subclass may narrow it."""
        return cast("models.QuerySet[Any]", self.object_list)


@dataclass(frozen=True)
class Column:
    """A column of a list.

    `place` is its place in a row of two lines, on a phone: title, figure, when or state; "" if it is left out
    there. `sort_url` is "" if the list cannot be sorted by the column. `sorted` is "" if the list is now not
    sorted by the column.
    """

    name: str
    label: str
    is_figure: bool
    place: str
    sort_url: str
    sorted: str


@dataclass(frozen=True)
class Filter:
    """A menu of the filters: its name in the URL, its label and its choices.

    A choice has its value, its label, and whether it is chosen.
    """

    name: str
    label: str
    choices: Sequence[tuple[str, str, bool]]

    @property
    def is_active(self) -> bool:
        return not self.choices[0][2]


class List(ChangeList):
    """One page of a list: its rows, its columns and its links."""

    model_admin: Any  # A ReadOnlyAdmin. Importing this class here would cause an import cycle.
    other_filters: dict[str, list[Any]]

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        self.token = read_token(request)
        super().__init__(request, *args)
        self.title = capfirst(str(self.opts.verbose_name_plural))
        self.was_unknown = ERROR_FLAG in request.GET
        self.may_take_files = self.model_admin.may_take_files(request)
        self.is_private = is_private(self.query)

    def get_filters(self, request: HttpRequest) -> Any:
        self._keep_sortable_order()
        for lookup in self.get_filters_params():
            if not self.model_admin.lookup_allowed(lookup, "", request):
                raise IncorrectLookupParameters
        specs, has_filters, others, may_repeat, has_active = super().get_filters(request)
        self.other_filters = {lookup: self._parsed(lookup, values) for lookup, values in others.items()}
        return specs, has_filters, self.other_filters, may_repeat, has_active

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The rows of the list. No row holds NUL, for which Django would show the whole list."""
        rows = super().get_queryset(request, *args, **kwargs)
        return rows.none() if "\0" in request.GET.get(SEARCH_VAR, "") else rows

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """The query string of this list. Instead of an e-mail address, it has the token of the search."""
        if not is_private(self.query):
            return super().get_query_string(new_params, remove)
        is_kept = self.token and SEARCH_VAR not in (remove or ())
        token = {SEARCH_TOKEN: self.token} if is_kept else {}
        return super().get_query_string({**token, **(new_params or {})}, [*(remove or ()), SEARCH_VAR])

    def get_results(self, request: HttpRequest) -> None:
        """Read one page. A page number out of range gives the nearest page."""
        pages = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        self.paginator = pages
        self.page_num = min(max(1, self.page_num), pages.num_pages)
        self._sort(pages)
        self.result_count, self.full_result_count = pages.count, None
        self.show_full_result_count = self.show_admin_actions = self.can_show_all = False
        self.multi_page = pages.num_pages > 1
        self.result_list = list(pages.page(self.page_num).object_list)
        self.model_admin.read_more(self.result_list)

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        """The order in which an index has the rows. Another order is set when the rows are counted."""
        params = self.params
        if self.also_sorted_by:
            self.params = {name: value for name, value in params.items() if name != ORDER_VAR}
        try:
            return super().get_ordering(request, queryset)
        finally:
            self.params = params

    # --- For the template ---

    @cached_property
    def totals(self) -> Sequence[str]:
        """What all rows come to, in words; nothing if the list has no totals or too many rows."""
        if self.model_admin.sums is None or not self.result_count:
            return ()
        return cast("Sequence[str]", self.paginator.totals(self.model_admin.sums))

    @property
    def has_no_totals(self) -> bool:
        """Whether the list has totals, but not of so many rows."""
        return self.model_admin.sums is not None and not self.totals

    @property
    def unfiltered_url(self) -> str:
        """The URL of this list without the filters that have a menu."""
        return self.get_query_string(remove=[PAGE_VAR, *(each.name for each in self.filters)])

    @property
    def counted(self) -> str:
        """How many rows there are, such as "1 tip" or "10,000+ tips"."""
        number = self.paginator.known_count
        if number is None:
            return f"{CEILING:,}+ {self.opts.verbose_name_plural}"
        return count(number, str(self.opts.verbose_name), str(self.opts.verbose_name_plural))

    @property
    def is_cut(self) -> bool:
        """Whether this is the last page of the list, although the table has more rows."""
        return bool(self.paginator.has_more and self.page_num == self.paginator.num_pages)

    @property
    def is_narrowed(self) -> bool:
        """Whether a search or a filter may leave out rows."""
        return bool(self.query or self.get_filters_params())

    @cached_property
    def narrowed(self) -> list[tuple[str, str]]:
        """Each active filter that has no menu on the page, in words, with the URL of the list without it."""
        return [
            (self._in_words(lookup, values), self.get_query_string(remove=[lookup]))
            for lookup, values in self.other_filters.items()
        ]

    @property
    def csv_url(self) -> str:
        """The URL of this list as a CSV file."""
        return str(self.model_admin.url_of("csv")) + self.get_query_string(remove=[ORDER_VAR])

    @cached_property
    def filters(self) -> list[Filter]:
        """The filters with a menu. The first choice of each leaves the filter out."""
        return [self._menu(spec) for spec in self.filter_specs]

    @property
    def filters_active(self) -> int:
        return sum(each.is_active for each in self.filters)

    @cached_property
    def kept(self) -> list[tuple[str, str]]:
        """What the URL has besides the filters with a menu, such as the order."""
        url = self.get_query_string(remove=[PAGE_VAR, *(each.name for each in self.filters)])
        return parse_qsl(url.removeprefix("?"), keep_blank_values=True)

    @property
    def search_url(self) -> str:
        """The URL that a search is sent to: this list with its filters."""
        return self.get_query_string(remove=[SEARCH_VAR])

    @cached_property
    def pages(self) -> list[tuple[int | str, str]]:
        """The pages to choose from, each with its URL. The current page and the gaps have the URL ""."""
        if not self.multi_page:
            return []
        return [
            (
                page,
                self.get_query_string({PAGE_VAR: page})
                if page not in (self.page_num, self.paginator.ELLIPSIS)
                else "",
            )
            for page in self.paginator.get_elided_page_range(self.page_num, on_each_side=2, on_ends=1)
        ]

    @cached_property
    def columns(self) -> list[Column]:
        """The columns, in order."""
        sorted_by = self.get_ordering_field_columns()
        return [
            self._column(place, name, sorted_by.get(place, ""))
            for place, name in enumerate(self.list_display)
        ]

    @cached_property
    def rows(self) -> list[tuple[str, list[tuple[Column, str]]]]:
        """Each row: the URL of its page, and its text in each column."""
        return [
            (self.url_for_result(row), [(column, self._shown(row, column.name)) for column in self.columns])
            for row in self.result_list
        ]

    # --- Internal ---

    def _keep_sortable_order(self) -> None:
        """Keep only the first sort column of the request, and drop it too if the list is not sorted by it."""
        order = self.params.pop(ORDER_VAR, "").split(".")[0]
        self.filter_params.pop(ORDER_VAR, None)
        self.also_sorted_by: Sequence[str] = ()
        place = order.removeprefix("-")
        if place.isascii() and place.isdigit() and int(place) < len(self.list_display):
            column = self.list_display[int(place)]
            self.also_sorted_by = self.model_admin.also_sortable_by.get(column, ())
            if self.also_sorted_by or column in (self.sortable_by or ()):
                self.params[ORDER_VAR] = order
                self.filter_params[ORDER_VAR] = [order]

    def _sort(self, pages: CappedPaginator) -> None:
        """Sort the rows by a column without an index, if they are few."""
        if not self.also_sorted_by:
            return
        if pages.can_be_sorted:
            sign = "-" if self.params[ORDER_VAR].startswith("-") else ""
            fields = [field if field == "currency" else sign + field for field in self.also_sorted_by]
            pages.object_list = self.queryset = self.queryset.order_by(*fields, "-pk")
        else:
            del self.params[ORDER_VAR]

    def _parsed(self, lookup: str, values: Any) -> list[Any]:
        """The values of a lookup. A time without a time zone is in UTC."""
        values = values if isinstance(values, list) else [values]
        try:
            field = get_fields_from_path(self.model, lookup.rpartition("__")[0])[-1]
        except FieldDoesNotExist:
            raise IncorrectLookupParameters from None
        return [instant(value) for value in values] if isinstance(field, models.DateTimeField) else values

    def _in_words(self, lookup: str, values: Sequence[Any]) -> str:
        field_path, _, word = lookup.rpartition("__")
        # Use the label of the path's first field, such as "creator": it says what the user is to the row.
        field = get_fields_from_path(self.model, field_path)[0]
        if word == "in":
            values, names = values[0], dict(field.flatchoices)
            values = [names.get(value, value) for value in values]
        shown = (
            f"{moment_in_words(value)} UTC" if isinstance(value, datetime) else str(value) or "empty"
            for value in values
        )
        return f"{capfirst(str(field.verbose_name))} {WORDS[word]} {' or '.join(shown)}"

    def _menu(self, spec: Any) -> Filter:
        """The menu of a filter of Django, whose choices are URLs."""
        choices, name = [], spec.expected_parameters()[0]
        for choice in spec.choices(self):
            query = dict(parse_qsl(choice["query_string"].removeprefix("?"), keep_blank_values=True))
            choices.append((query.get(name, ANY), str(choice["display"]), bool(choice["selected"])))
        return Filter(name, capfirst(str(spec.title)), choices)

    def _column(self, place: int, name: Any, sorted_now: str) -> Column:
        label, _ = label_for_field(name, self.model, model_admin=self.model_admin, return_attr=True)
        sort_url, is_figure = "", name in self.model_admin.figures
        is_also_sorted = name in self.model_admin.also_sortable_by and self.paginator.can_be_sorted
        if is_also_sorted or name in (self.sortable_by or ()):
            # The first click on a figure shows the largest ones.
            descends = sorted_now == "asc" or (is_figure and not sorted_now)
            sort_url = self.get_query_string({ORDER_VAR: f"-{place}" if descends else str(place)}, [PAGE_VAR])
        return Column(
            name=name,
            label="ID" if label == "id" else capfirst(str(label)),
            is_figure=is_figure,
            place=dict(zip(self.model_admin.two_lines, PLACES, strict=False)).get(name, ""),
            sort_url=sort_url,
            sorted={"asc": "ascending", "desc": "descending"}.get(sorted_now, ""),
        )

    def _shown(self, row: models.Model, name: str) -> str:
        empty = self.model_admin.get_empty_value_display()
        field, _, value = lookup_field(name, row, self.model_admin)
        if name in ID_COLUMNS and value:
            return format_html('<code title="{}">{}</code>', value, middle_cut(str(value)))
        if field is not None and name in STATES:
            return states.tag(display_for_field(value, field, empty))
        if (plain := in_plain_words(field, value)) is not None:
            return plain
        if isinstance(value, datetime):
            return when(value)
        if field is None:
            return display_for_value(value, "" if value == "" else empty)
        return display_for_field(value, field, empty)


assert PAGE_VAR not in IGNORED_PARAMS, "Django's list removes the page number before filters read the rest"
