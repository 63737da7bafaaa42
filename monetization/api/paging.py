"""Answer with one page of a list. The body is a bare array; a `Link` header has the URL of the next page."""

import re
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from foundation.errors import InvalidCursor
from foundation.http.views import no_store
from monetization import keyset

LIMIT_MAX = keyset.ROWS_MAX
# At most five digits, so Python never parses a number with thousands of digits.
SMALL_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)


def page(
    request: Request,
    rows: QuerySet[Any],
    *,
    by: str,
    shape: type[serializers.Serializer],
    among: QuerySet[Any] | None = None,
) -> HttpResponse:
    """Return a response with up to `limit` rows, ordered by the field `by` and then by pk.

    A minus before the field name means newest first. The cursor may name any row of `among` (None: `rows`).
    Pass `among` if a row can leave the list between two pages.
    """
    limit, cursor = _limit(request), _single(request, "cursor")
    ordered = rows.order_by(by, "-pk" if by.startswith("-") else "pk")
    try:
        found = keyset.page_of(ordered, among=rows if among is None else among, limit=limit, cursor=cursor)
    except InvalidCursor:
        raise _wrong("cursor", "is not a cursor of this list") from None
    answer = no_store(shape(found.rows, many=True).data)
    if found.next_cursor:
        query = request.query_params.copy()
        query["cursor"] = found.next_cursor
        next_page = request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
        answer["Link"] = f'<{next_page}>; rel="next"'
    return answer


def _limit(request: Request) -> int:
    text = _single(request, "limit")
    if text is None:
        return LIMIT_MAX
    if not SMALL_NUMBER.fullmatch(text) or not 1 <= int(text) <= LIMIT_MAX:
        raise _wrong("limit", f"must be an integer from 1 to {LIMIT_MAX}")
    return int(text)


def _single(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise _wrong(name, "is given twice")
    return values[0] if values else None


def _wrong(name: str, message: str) -> serializers.ValidationError:
    return serializers.ValidationError({name: [message]})
