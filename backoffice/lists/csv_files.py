"""Lists of the back-office as files: CSV that runs nothing in a spreadsheet, for whoever may take them."""

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

# How many rows a file holds at most.
ROWS_MAX = 10_000


def answer(
    request: HttpRequest,
    rows: models.QuerySet[Any],
    *,
    name: str,
    fields: Sequence["models.Field[Any, Any]"],
    same: Mapping[str, str],
) -> HttpResponse:
    """A file of these rows, in their order, a column for each field and then those that all have alike.

    At most ROWS_MAX of them: where there are more, a last line says so. Amounts are integers in their
    smallest unit, instants are in UTC. Who took which list is logged, and not what was asked of it.
    """
    columns = [field.attname for field in fields]
    # All of them at once: a database that goes away halfway would leave half a file that looks whole.
    found = list(rows.values_list(*columns)[: ROWS_MAX + 1])
    logger.info("%s took %s as a file: %d rows.", request.user.pk, name, min(len(found), ROWS_MAX))
    header = [*(field.attname for field in fields), *same]
    response = HttpResponse(
        spreadsheets.rows_as_csv(header, _lines(found, len(columns), tuple(same.values()))),
        content_type="text/csv; charset=utf-8",
    )
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    response["Content-Disposition"] = f'attachment; filename="{stem}-{timezone.now():%Y-%m-%d}.csv"'
    return response


def _lines(found: list[tuple[Any, ...]], columns: int, same: tuple[str, ...]) -> Iterator[tuple[Cell, ...]]:
    for row in found[:ROWS_MAX]:
        yield (*(_cell(value) for value in row), *same)
    if len(found) > ROWS_MAX:
        said = f"Only the first {ROWS_MAX:,} rows are here. Narrow the list for the others."
        yield (said, *[None] * (columns + len(same) - 1))


def _cell(value: Any) -> Cell:
    """A value as a file has it: true and false as words, instants in UTC, lists and objects as JSON."""
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
