"""Lists of the back-office as CSV files. No value in them runs as a formula in a spreadsheet."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from foundation import spreadsheets
from foundation.spreadsheets import Cell

logger = logging.getLogger(__name__)

# One file holds at most this many rows.
ROWS_MAX = 10_000


def answer(
    request: HttpRequest,
    rows: models.QuerySet[Any],
    *,
    name: str,
    columns: Sequence[str],
    same: Mapping[str, str],
) -> HttpResponse:
    """Return a CSV file of these rows, in their order: the columns, then the columns of `same`.

    A column is the name of a field or of an annotation. The columns of `same` have the same value in every
    row. The file holds at most ROWS_MAX rows; if there are more, the last line says so. Amounts are integers
    in their smallest unit, and times are in UTC. The log records which staff member took which list, but no
    search and no filter.
    """
    # Read all rows before the answer begins: if the database failed later, half a file would look complete.
    values = list(rows.values_list(*columns)[: ROWS_MAX + 1])
    logger.info("%s took %s as a file: %d rows.", request.user.pk, name, min(len(values), ROWS_MAX))
    response = HttpResponse(
        spreadsheets.rows_as_csv([*columns, *same], _lines(values, len(columns), tuple(same.values()))),
        content_type="text/csv; charset=utf-8",
    )
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    response["Content-Disposition"] = f'attachment; filename="{stem}-{timezone.now():%Y-%m-%d}.csv"'
    return response


def _lines(rows: list[tuple[Any, ...]], columns: int, same: tuple[str, ...]) -> Iterator[tuple[Cell, ...]]:
    for row in rows[:ROWS_MAX]:
        yield (*(_cell(value) for value in row), *same)
    if len(rows) > ROWS_MAX:
        note = f"Only the first {ROWS_MAX:,} rows are here. Filter the list to get the others."
        yield (note, *[None] * (columns + len(same) - 1))


def _cell(value: Any) -> Cell:
    """Return a value as the file shows it: `true` or `false`, times in UTC, lists and objects as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
