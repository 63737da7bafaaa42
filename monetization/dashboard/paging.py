"""What the dashboard's lists share: reading what the address asks for, and turning pages.

What a creator searches for may be a reader's e-mail address, and addresses stay out of URLs, which end up in
logs and histories. So a search comes by POST and is answered at once; nothing of it is kept, in the session
either, where an erasure would not find it. Every other filter is in the address, to be kept and sent on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from accounts.models import User
from monetization import keyset
from monetization.errors import InvalidCursor

ROWS_A_PAGE = 50
SEARCH = "search"


def user_of(request: HttpRequest) -> User:
    """Whose page it is."""
    assert isinstance(request.user, User), "the view lets nobody else in"
    return request.user


@dataclass(frozen=True)
class Asked:
    """What somebody asked to see: filters by name, the place to begin at, and whether they searched."""

    filters: dict[str, str]
    cursor: str

    @property
    def is_search(self) -> bool:
        """Whether the answer is to a POST, so that all that follows from it must be one too."""
        return bool(self.filters.get(SEARCH))

    @property
    def in_address(self) -> dict[str, str]:
        """The filters that an address may hold."""
        return {name: value for name, value in self.filters.items() if name != SEARCH}


def asked_of(request: HttpRequest, names: Iterable[str]) -> Asked:
    """The filters of these names and the cursor; a search only from a form that was sent."""
    given = request.POST if request.method == "POST" else request.GET
    filters = {name: value for name in names if (value := given.get(name, "").strip())}
    if request.method != "POST":
        filters.pop(SEARCH, None)
    return Asked(filters, given.get("cursor", ""))


def address(page: str, query: Mapping[str, str] | None = None) -> str:
    """A page of the dashboard by its name, with what is asked of it; "" takes a part out."""
    kept = {name: value for name, value in (query or {}).items() if value}
    return reverse(f"dashboard:{page}") + (f"?{urlencode(kept)}" if kept else "")


def without_search(page: str, asked: Asked) -> HttpResponseRedirect:
    """Where a form without a search leads: to an address that can be kept."""
    return HttpResponseRedirect(address(page, asked.in_address), status=303)


def context_of(page: str, asked: Asked, queryset: QuerySet[Any]) -> dict[str, Any]:
    """One page of a list, and the ways on from it. `rows` are its records.

    A search goes on by forms, which carry `kept`; everything else by links.
    """
    lost = False
    try:
        found = keyset.page_of(queryset, limit=ROWS_A_PAGE, cursor=asked.cursor or None)
    except InvalidCursor:
        found, lost = keyset.page_of(queryset, limit=ROWS_A_PAGE), True
    older = found.next_cursor or ""
    is_further = bool(asked.cursor) and not lost
    return {
        "records": found.rows,
        "page_is_lost": lost,
        "is_search": asked.is_search,
        "kept": list(asked.filters.items()),
        "list_url": address(page),
        "csv_url": address(f"{page}-csv", asked.in_address),
        "older_cursor": older,
        "older_url": address(page, asked.in_address | {"cursor": older}) if older else "",
        "newest_url": address(page, asked.in_address) if is_further else "",
        "is_filtered": bool(asked.filters),
    }
