"""Tables as CSV files. No value in them runs as a formula in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import regex

from foundation.text import BLANK

Cell = str | int | None

# If a cell begins with one of these characters, a spreadsheet reads the cell as a formula. Only some
# spreadsheets do this for the full-width characters.
OPERATORS = (
    "=+\\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    "\N{FULLWIDTH COMMERCIAL AT}"
)
# A cell can begin after each of these. A spreadsheet can be told to use any of these separators and quotes.
# With another separator than the comma, a line break in our quotes begins a new row. Some spreadsheets drop
# blanks at the start of a cell.
BEFORE_A_CELL = rf",;:|\"'{BLANK}"
# The places that need a mark. A single operator between two words, as in "a - b", is a formula in no cell.
# A tab or a carriage return is marked because some spreadsheets drop it, but not the usual end of a line.
FORMULA_START = regex.compile(
    rf"(?<![^{BEFORE_A_CELL}])"
    rf"(?!(?<=[^{BEFORE_A_CELL}{OPERATORS}] )[{OPERATORS}] )"
    rf"(?=[{OPERATORS}\t]|\r(?!\n))"
    r"|\A(?=\r)"
)
# The typographic apostrophe. A spreadsheet can be told that ' is a quote, and then drops it.
MARK = "\N{RIGHT SINGLE QUOTATION MARK}"
PIECE_CHARACTERS = 16_384


def rows_as_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield a CSV file (RFC 4180, lines end in CRLF) in pieces of some kilobytes, while the rows are read.

    In a text, each character that could begin a formula gets the mark ’ in front, whatever separator and
    quotes a spreadsheet uses for the file. Integers are numbers, with a hyphen as the minus sign. None is an
    empty cell. The caller must send the file as UTF-8 without a byte order mark, because a program would read
    this mark as part of the first column's name.
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
    return FORMULA_START.sub(MARK, cell) if isinstance(cell, str) else cell
