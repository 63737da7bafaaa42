"""The list of a tab: one page of the records that match the filters, or all these records as a CSV file.

A search may contain a reader's e-mail address. No URL may contain an address, because logs and browser
histories store URLs. So the browser sends a search by POST, and the answer to this POST is the list. The
search is not stored, not even in the session: an erasure would not find it there. All other filters are in
the URL, so a creator can bookmark the list.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View

from accounts.decorators import page_of_the_user
from accounts.models import User
from foundation import money
from foundation.database import standby
from foundation.errors import InvalidCursor
from foundation.http.fields import Moment
from foundation.http.files import csv_file
from foundation.spreadsheets import Cell
from monetization import keyset
from monetization.dashboard import curl
from monetization.dashboard.filters import SEARCH, SORT, FilterForm

ROWS_A_PAGE = 50


def user_of(request: HttpRequest) -> User:
    """Return the signed-in user, who owns the page."""
    assert isinstance(request.user, User), "the view admits signed-in users only"
    return request.user


def address(page: str, query: Mapping[str, str] | None = None) -> str:
    """Return the URL of the dashboard page with this name. Empty values of the query are left out."""
    kept = {name: value for name, value in (query or {}).items() if value}
    return reverse(f"dashboard:{page}") + (f"?{urlencode(kept)}" if kept else "")


@dataclass(frozen=True)
class Head:
    """The head of a column that can be sorted. A click on it shows the list at `url`, sorted by `sort`.

    `direction` is "ascending", "descending", or "" if the list is sorted by another column.
    """

    sort: str
    url: str
    direction: str


@method_decorator(page_of_the_user, name="dispatch")
class RecordList(View):
    """A list of records with filters. Each tab declares its list as a subclass.

    `tab` is the name of the list's URL, of its template and of its file. The file's URL is named `<tab>-csv`.
    `columns` has the file's column titles. The value of a title is the name of the record's attribute, or a
    function of the record and the current time. After a title that ends in `_cents`, a second column has the
    same amount as decimal text.
    """

    http_method_names = ["get", "head", "post"]
    tab: str
    filter_form: type[FilterForm]
    columns: Mapping[str, str | Callable[[Any, datetime], Any]]
    is_file = False

    def more_context(self, form: FilterForm, records: list[Any]) -> dict[str, Any]:
        """Return further values for the template. `records` are the page's records."""
        return {}

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Return the list or the file. A search in the URL is ignored."""
        query = {name: request.GET[name] for name in request.GET if name != SEARCH}
        return self._list(request, self.filter_form(query, user_of(request)), query.get("cursor", ""))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Return the file, or the list for a search. Without a search, redirect to the list's URL.

        A creator can bookmark that URL.
        """
        form = self.filter_form(request.POST, user_of(request))
        if self.is_file or form.is_search:
            return self._list(request, form, request.POST.get("cursor", ""))
        return self._page_by_get(form)

    def _list(self, request: HttpRequest, form: FilterForm, cursor: str) -> HttpResponseBase:
        if not self.is_file:
            return self._page(request, form, cursor)
        # If a filter is not valid, redirect to the page: the page shows the error.
        return self._file(form) if form.is_valid() else self._page_by_get(form)

    def _page_by_get(self, form: FilterForm) -> HttpResponseRedirect:
        return HttpResponseRedirect(address(self.tab, form.in_address), status=303)

    @standby.may_answer
    def _page(self, request: HttpRequest, form: FilterForm, cursor: str) -> HttpResponseBase:
        records, is_lost = form.records(), False
        try:
            page = keyset.page_of(records, among=form.mine, limit=ROWS_A_PAGE, cursor=cursor or None)
        except InvalidCursor:
            page, is_lost = keyset.page_of(records, among=form.mine, limit=ROWS_A_PAGE), True
        older = page.next_cursor or ""
        context = {
            "tab": self.tab,
            "filters": form,
            "records": page.rows,
            "page_is_lost": is_lost,
            "list_url": address(self.tab),
            "unfiltered_url": address(self.tab, {SORT: form.data.get(SORT, "")}),
            "order_words": form.orders[form.order].label.lower(),
            "heads": self._heads(form),
            "csv_url": address(f"{self.tab}-csv", form.in_address),
            "older_cursor": older,
            "older_url": address(self.tab, form.in_address | {"cursor": older}) if older else "",
            "newest_url": address(self.tab, form.in_address) if cursor and not is_lost else "",
            "curl": curl.line_for(request, self.tab, form.currencies),
        }
        context |= self.more_context(form, page.rows)
        return render(request, f"monetization/{self.tab}.html", context)

    def _heads(self, form: FilterForm) -> dict[str, Head]:
        """Return the heads of the columns that can be sorted, by the column's name.

        The first click on a head gives the first of the column's orders, the next click the other one.
        """
        heads: dict[str, Head] = {}
        for column in dict.fromkeys(name.removeprefix("-") for name in form.orders):
            names = [name for name in form.orders if name.removeprefix("-") == column]
            direction = ""
            if form.order in names:
                direction = "descending" if form.order.startswith("-") else "ascending"
                names.remove(form.order)
            sort = names[0] if names else form.order
            sort = "" if sort == form.default_order else sort
            heads[column] = Head(sort, address(self.tab, form.in_address | {SORT: sort}), direction)
        return heads

    def _file(self, form: FilterForm) -> StreamingHttpResponse:
        header = [name for title in self.columns for name in (title, *_decimal(title))]
        rows = (list(self._cells(record, form.now)) for record in keyset.every_row(form.records()))
        who = re.sub(r"[^A-Za-z0-9_-]+", "-", form.creator.pk)[:64].strip("-") or "creator"
        return csv_file(f"{self.tab}-{who}-{form.now:%Y-%m-%d}.csv", header, rows)

    def _cells(self, record: Any, now: datetime) -> Iterator[Cell]:
        for title, value in self.columns.items():
            cell = getattr(record, value) if isinstance(value, str) else value(record, now)
            yield Moment().to_representation(cell) if isinstance(cell, datetime) else cell
            for _ in _decimal(title):
                yield None if cell is None else money.decimal_text(cell, record.currency)


def _decimal(title: str) -> list[str]:
    """Return the title of an amount's second column in a list: ["price"] for `price_cents`; otherwise []."""
    return [title.removesuffix("_cents")] if title.endswith("_cents") else []
