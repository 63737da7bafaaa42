"""Lists of the dashboard as files."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from foundation import money, spreadsheets
from foundation.spreadsheets import Cell
from monetization.dashboard.paging import user_of


def moment(at: datetime | None) -> str:
    """A moment in UTC, ISO 8601, whole seconds; empty for none."""
    # strftime would write the year 999 with three digits.
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z" if at else ""


def amount(smallest_units: int | None, currency: str) -> tuple[Cell, Cell]:
    """An amount, never negative, in the smallest unit and as plain decimal text; both empty for none."""
    if smallest_units is None:
        return None, None
    return smallest_units, money.decimal_text(smallest_units, currency)


def csv_answer(
    request: HttpRequest, name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> StreamingHttpResponse:
    """A file of a list, as its rows come."""
    response = StreamingHttpResponse(
        spreadsheets.rows_as_csv(header, rows), content_type="text/csv; charset=utf-8"
    )
    who = re.sub(r"[^A-Za-z0-9_-]+", "-", user_of(request).pk)[:64].strip("-") or "creator"
    response["Content-Disposition"] = f'attachment; filename="{name}-{who}-{timezone.now():%Y-%m-%d}.csv"'
    return response
