"""An entry as a line of a file: the fields of its canonical text under their names, and no others.

So what a seal proves is what a reader of the file sees. Times are texts in UTC; lists that are empty are left
out.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from wallet.seals import files
from wallet.seals.files import NUMBER_MAX, NotAsWritten, Row
from wallet.seals.formats import EPOCH, INTEGER, TEXT, TIME, Kind, Rows


def time_from(octets: bytes) -> str:
    """Return a time as files have it, for its canonical text."""
    return files.time_text(EPOCH + timedelta(microseconds=int(octets)))


FROM_CANONICAL: Mapping[Kind, Callable[[bytes], Any]] = {TEXT: bytes.decode, INTEGER: int, TIME: time_from}


def from_canonical(rows: Rows, octets: bytes) -> Row:
    """Return the line of the row with this canonical text. Raises ValueError for other texts."""
    row, end = _read(rows, octets, 0)
    if end != len(octets):
        raise ValueError("the text goes on")
    return row


def _read(rows: Rows, octets: bytes, at: int) -> tuple[Row, int]:
    row: Row = {}
    for column in rows.columns:
        value, at = _value(octets, at)
        row[column.name] = None if value is None else FROM_CANONICAL[column.kind](value)
    for part in rows.parts:
        length, at = _value(octets, at)
        for _ in range(int(length or 0)):
            each, at = _read(part.rows, octets, at)
            row.setdefault(part.name, []).append(each)
    return row, at


def _value(octets: bytes, at: int) -> tuple[bytes | None, int]:
    if octets.startswith(b"-", at):
        return None, at + 1
    colon = octets.index(b":", at)
    end = colon + 1 + int(octets[at:colon])
    return octets[colon + 1 : end], end


def canonical(rows: Rows, line: Row) -> bytes:
    """Return the canonical text of the row that a line shows.

    Raises NotAsWritten if it has other fields than a row has, or values of other types.
    """
    try:
        return rows.text(_typed(rows, line))
    except UnicodeEncodeError as error:
        raise NotAsWritten("a field is no text.") from error
    except TypeError as error:
        raise NotAsWritten(f"{error}.") from error


def _typed(rows: Rows, line: Row) -> Row:
    """Return the line with times for their texts, and with a list for each part."""
    row = {**line}
    for column in rows.columns:
        if column.name not in row:
            raise NotAsWritten(f"{column.name} is missing.")
        if column.kind is TIME and row[column.name] is not None:
            row[column.name] = files.moment(row, column.name)
        elif column.kind is INTEGER and not _is_bounded(row[column.name]):
            raise NotAsWritten(f"{column.name} is out of range.")
    for part in rows.parts:
        parts = row.setdefault(part.name, [])
        if not isinstance(parts, list) or not all(isinstance(each, dict) for each in parts):
            raise NotAsWritten(f"{part.name} is no list of objects.")
        row[part.name] = [_typed(part.rows, each) for each in parts]
    if len(row) != len(rows.columns) + len(rows.parts):
        raise NotAsWritten("has fields that no entry has.")
    return row


def _is_bounded(value: object) -> bool:
    return not isinstance(value, int) or -NUMBER_MAX - 1 <= value <= NUMBER_MAX
