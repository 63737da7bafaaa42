"""How a list of the back-office is read: a page of rows in one query, however many rows there are.

Rows are counted up to a ceiling, filtered by what their list declares and sorted by what an index serves; an
address that asks for anything else shows the list as it is. Nothing here writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast

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
from django.urls import reverse
from django.utils.text import capfirst

from backoffice.lists.facts import in_plain_words, instant, moment_in_words

# No list counts further than this, and none has pages beyond it.
CEILING = 10_000
WORDS = {"exact": "is", "gte": "from", "lt": "before"}


# --- What is asked for ----------------------------------------------------------------------------------


def is_private(term: str) -> bool:
    """Whether a search names somebody's e-mail address, which no address of ours may hold."""
    return "@" in term


def searched(request: HttpRequest) -> str:
    """What a request searches for. A term sent by POST is put where the list looks for it."""
    if request.method == "POST":
        query = request.GET.copy()
        query[SEARCH_VAR] = request.POST.get(SEARCH_VAR, "").strip()
        query.pop(PAGE_VAR, None)
        request.GET = query  # type: ignore[assignment]
    return request.GET.get(SEARCH_VAR, "")


def address_with(request: HttpRequest, term: str) -> str:
    """The address of this list, filtered as it is, with this search."""
    query = request.GET.copy()
    for name in (SEARCH_VAR, PAGE_VAR, ERROR_FLAG):
        query.pop(name, None)
    if term:
        query[SEARCH_VAR] = term
    return f"{request.path}?{query.urlencode()}" if query else request.path


def lookups_of(opts: Any, list_filter: Sequence[Any]) -> Iterator[str]:
    """The parameters that a list's filters read."""
    for each in list_filter:
        if isinstance(each, str):
            field = opts.get_field(each)
            target = f"__{field.target_field.name}" if field.is_relation else ""
            yield f"{each}{target}__exact"
        else:
            yield each.parameter_name


# --- The list -------------------------------------------------------------------------------------------


class CappedPaginator(Paginator):
    """Counts rows up to CEILING, in the order of the list, so that the index that sorts them counts them."""

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


@dataclass(frozen=True)
class Column:
    """A column of a list: where its head leads, and how it is sorted now ("" for not)."""

    name: str
    label: str
    is_figure: bool
    sort_url: str
    sorted: str


@dataclass(frozen=True)
class Cell:
    """What a row says in a column; `url` leads to the row's page, "" where nothing does."""

    column: Column
    shown: str
    url: str


@dataclass(frozen=True)
class Narrowed:
    """A filter that an address asks for, in words, and the address without it."""

    words: str
    url: str


class List(ChangeList):
    """A page of rows, and the ways on from it."""

    model_admin: Any  # ReadOnlyAdmin, which this module cannot import.
    by_hand: dict[str, list[Any]]

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        self.title = capfirst(str(self.opts.verbose_name_plural))
        self.was_unknown = ERROR_FLAG in request.GET
        self.may_take_files = self.model_admin.may_take_files(request)
        self.is_private = is_private(self.query)

    def get_filters(self, request: HttpRequest) -> Any:
        self._keep_to_what_sorts()
        for lookup in self.get_filters_params():
            if not self.model_admin.lookup_allowed(lookup, "", request):
                raise IncorrectLookupParameters
        specs, has_filters, by_hand, may_repeat, has_active = super().get_filters(request)
        self.by_hand = {lookup: self._read(lookup, values) for lookup, values in by_hand.items()}
        return specs, has_filters, self.by_hand, may_repeat, has_active

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """An address of this list, in which no e-mail address stands."""
        dropped = [SEARCH_VAR] if is_private(self.query) else []
        return super().get_query_string(new_params, [*(remove or ()), *dropped])

    def get_results(self, request: HttpRequest) -> None:
        """One page. A page beyond the last, or before the first, is the nearest one."""
        pages = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        self.paginator = pages
        self.page_num = min(max(1, self.page_num), pages.num_pages)
        self.result_count, self.full_result_count = pages.count, None
        self.show_full_result_count = self.show_admin_actions = self.can_show_all = False
        self.multi_page = pages.num_pages > 1
        self.result_list = pages.page(self.page_num).object_list

    # --- What the page says ---

    @property
    def counted(self) -> str:
        """How many rows there are, as far as they are counted."""
        if self.paginator.has_more:
            return f"{CEILING:,}+ {self.opts.verbose_name_plural}"
        noun = self.opts.verbose_name if self.result_count == 1 else self.opts.verbose_name_plural
        return f"{self.result_count:,} {noun}"

    @property
    def is_cut(self) -> bool:
        """Whether this is the last page that there is, and not the last of the rows."""
        return bool(self.paginator.has_more and self.page_num == self.paginator.num_pages)

    @property
    def is_narrowed(self) -> bool:
        """Whether there may be rows that this list leaves out."""
        return bool(self.query or self.get_filters_params())

    @cached_property
    def narrowed(self) -> list[Narrowed]:
        """The filters that no choice on the page stands for."""
        return [
            Narrowed(self._in_words(lookup, values), self.get_query_string(remove=[lookup]))
            for lookup, values in self.by_hand.items()
        ]

    @property
    def csv_url(self) -> str:
        """The file of this list."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_csv"
        return reverse(name) + self.get_query_string(remove=[ORDER_VAR])

    @property
    def search_url(self) -> str:
        """Where a search is sent: this list, filtered as it is."""
        return self.get_query_string(remove=[SEARCH_VAR])

    @cached_property
    def pages(self) -> list[tuple[str, str]]:
        """The pages to choose from, each with its address; "" for this one and for those between."""
        if not self.multi_page:
            return []
        return [
            (str(page), self.get_query_string({PAGE_VAR: page}))
            if isinstance(page, int) and page != self.page_num
            else (str(page), "")
            for page in self.paginator.get_elided_page_range(self.page_num, on_each_side=2, on_ends=1)
        ]

    @property
    def page_now(self) -> str:
        """The number of this page, as `pages` names it."""
        return str(self.page_num)

    @cached_property
    def columns(self) -> list[Column]:
        """The heads of the table."""
        sorted_by = self.get_ordering_field_columns()
        return [
            self._column(place, name, sorted_by.get(place, ""))
            for place, name in enumerate(self.list_display)
        ]

    @cached_property
    def rows(self) -> list[list[Cell]]:
        """The cells of the table, a row each."""
        return [
            [
                Cell(column, self._shown(row, column.name), "" if place else self.url_for_result(row))
                for place, column in enumerate(self.columns)
            ]
            for row in self.result_list
        ]

    # --- Below ---

    def _keep_to_what_sorts(self) -> None:
        """Forget an order that no index serves, wherever it was asked for; of several, keep the first."""
        asked = self.params.pop(ORDER_VAR, "")
        self.filter_params.pop(ORDER_VAR, None)
        place = asked.split(".")[0].removeprefix("-")
        if place.isascii() and place.isdigit() and int(place) < len(self.list_display):
            if self.list_display[int(place)] in (self.sortable_by or ()):
                self.params[ORDER_VAR] = asked.split(".")[0]
                self.filter_params[ORDER_VAR] = [asked.split(".")[0]]

    def _read(self, lookup: str, values: Any) -> list[Any]:
        """The values of a lookup; an instant without a zone is in UTC."""
        values = values if isinstance(values, list) else [values]
        if not isinstance(self._field_of(lookup), models.DateTimeField):
            return values
        return [instant(value) for value in values]

    def _field_of(self, lookup: str) -> Any:
        try:
            return get_fields_from_path(self.model, lookup.rpartition("__")[0])[-1]
        except FieldDoesNotExist:
            raise IncorrectLookupParameters from None

    def _in_words(self, lookup: str, values: Sequence[Any]) -> str:
        field_path, _, word = lookup.rpartition("__")
        # Of a user who is reached through a row, the row's own word says which: the owner, the creator.
        field = get_fields_from_path(self.model, field_path)[0]
        said = (
            f"{moment_in_words(value)} UTC" if isinstance(value, datetime) else str(value) or "empty"
            for value in values
        )
        return f"{capfirst(str(field.verbose_name))} {WORDS[word]} {' or '.join(said)}"

    def _column(self, place: int, name: Any, sorted_now: str) -> Column:
        label, _ = label_for_field(name, self.model, model_admin=self.model_admin, return_attr=True)
        sort_url = ""
        if name in (self.sortable_by or ()):
            sort_url = self.get_query_string({ORDER_VAR: f"-{place}" if sorted_now == "asc" else str(place)})
        return Column(
            name=name,
            label="ID" if label == "id" else capfirst(str(label)),
            is_figure=name in self.model_admin.figures,
            sort_url=sort_url,
            sorted={"asc": "ascending", "desc": "descending"}.get(sorted_now, ""),
        )

    def _shown(self, row: models.Model, name: str) -> str:
        empty = self.model_admin.get_empty_value_display()
        field, _, value = lookup_field(name, row, self.model_admin)
        if (said := in_plain_words(field, value)) is not None:
            return said
        if isinstance(value, datetime):
            return moment_in_words(value)
        if field is None:
            return display_for_value(value, "" if value == "" else empty)
        return display_for_field(value, field, empty)


assert PAGE_VAR not in IGNORED_PARAMS, "the list itself takes the page out of what filters read"
