"""Tables as CSV files. No value in them runs as a formula in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

Cell = str | int | None

# If a cell begins with one of these characters, a spreadsheet reads the cell as a formula. Only some
# spreadsheets do this for the full-width characters.
FORMULA_STARTS = frozenset(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    "\N{FULLWIDTH COMMERCIAL AT}"
)
# Some spreadsheets drop these characters at the start of a cell and then read the rest.
DROPPED_STARTS = frozenset("\t\r\n\0")
# A formula character after a semicolon, a bar or a tab. If a spreadsheet uses this separator instead of the
# comma, a new cell begins after it.
HIDDEN_FORMULA = re.compile(rf"(?<!^)([;|\t]\s*)([{re.escape(''.join(sorted(FORMULA_STARTS)))}])")
PIECE_CHARACTERS = 16_384


def rows_as_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield a CSV file (RFC 4180, lines end in CRLF) in pieces of some kilobytes, while the rows are read.

    A text that a spreadsheet would read as a formula gets an apostrophe in front. Integers are numbers, with
    a hyphen as the minus sign. None is an empty cell. The caller must send the file as UTF-8 without a byte
    order mark, because a program would read this mark as part of the first column's name.
    """
    piece = io.StringIO()
    writer = csv.writer(piece, lineterminator="\r\n")
    writer.writerow([_shown(cell) for cell in header])
    for row in rows:
        writer.writerow([_shown(cell) for cell in row])
        if piece.tell() >= PIECE_CHARACTERS:
            yield piece.getvalue()
            piece.seek(0)
            piece.truncate()
    if piece.tell():
        yield piece.getvalue()


def _shown(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    text = HIDDEN_FORMULA.sub(r"\1'\2", cell)
    return f"'{text}" if _could_be_a_formula(text) else text


def _could_be_a_formula(text: str) -> bool:
    # Some spreadsheets drop blanks at the start of a cell.
    return text[:1] in DROPPED_STARTS or text.lstrip()[:1] in FORMULA_STARTS
