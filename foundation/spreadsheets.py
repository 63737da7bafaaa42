"""Tables as CSV files in which a spreadsheet finds no formula to run."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

Cell = str | int | None

# A spreadsheet reads a cell that begins so as a formula. Some read the wide forms in the same way.
FORMULA_STARTS = frozenset(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    "\N{FULLWIDTH COMMERCIAL AT}"
)
# Some spreadsheets drop these and then read the rest.
DROPPED_STARTS = frozenset("\t\r\n\0")
# A spreadsheet that does not separate by commas would begin a new cell here.
HIDDEN_FORMULA = re.compile(rf"(?<!^)([;|\t]\s*)([{re.escape(''.join(sorted(FORMULA_STARTS)))}])")
PIECE_CHARACTERS = 16_384


def rows_as_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """A CSV file (RFC 4180, lines end in CRLF) in pieces of some kilobytes, as the rows come.

    Text that a spreadsheet would read as a formula begins with an apostrophe. Integers are numbers, with a
    hyphen as minus; None is an empty cell. Send it as UTF-8 without a byte order mark, which a program would
    read as part of the first column's name.
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
    # Some spreadsheets drop leading blanks.
    return text[:1] in DROPPED_STARTS or text.lstrip()[:1] in FORMULA_STARTS
