"""Answers that a browser saves as a file."""

from collections.abc import Iterable, Sequence

from django.http import StreamingHttpResponse

from foundation.spreadsheets import Cell, rows_as_csv


def csv_file(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """Return a CSV file with this name. It is sent while the rows are read."""
    response = StreamingHttpResponse(rows_as_csv(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
