"""Lists as bare arrays, page by page: the next page is in a `Link` header, so the body stays the array."""

import re
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.http.cursors import cursor_at, row_id_of
from foundation.http.views import no_store
from monetization import keyset

LIMIT_MAX = 1000
# The bound keeps Python from reading a number of a thousand digits.
SMALL_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)


def page(
    request: Request,
    rows: QuerySet[Any],
    *,
    by: str,
    shape: type[serializers.Serializer],
    among: QuerySet[Any] | None = None,
) -> Response:
    """Up to `limit` rows ordered by a field, equal ones by id; `by` begins with a minus for newest first.

    A cursor names a row of `among`, where rows may leave the list while somebody turns its pages.
    """
    limit, cursor = _limit(request), _single(request, "cursor")
    if cursor is not None:
        rows = rows.filter(_after(rows if among is None else among, cursor, by))
    tie = "-pk" if by.startswith("-") else "pk"
    found = list(rows.order_by(by, tie)[: limit + 1])  # One more tells whether there is a next page.
    more, found = len(found) > limit, found[:limit]
    answer = no_store(shape(found, many=True).data)
    if more:
        query = request.query_params.copy()
        query["cursor"] = cursor_at(found[-1].pk)
        next_page = request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
        answer["Link"] = f'<{next_page}>; rel="next"'
    return answer


def _after(rows: QuerySet[Any], cursor: str, by: str) -> Q:
    """What comes after the row of a cursor, which must be one of these rows."""
    field = by.removeprefix("-")
    row_id = row_id_of(cursor) or ""
    last = rows.filter(pk=row_id).values_list(field, flat=True).first()
    if last is None:
        raise _wrong("cursor", "is not a cursor of this list")
    return keyset.after(by, last, row_id)


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
