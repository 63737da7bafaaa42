"""Tables as files that a spreadsheet opens: CSV that runs nothing there."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

Cell = str | int | None

# What a spreadsheet takes for the beginning of a formula, and the wide forms that some read the same way.
FORMULA_STARTS = frozenset(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    "\N{FULLWIDTH COMMERCIAL AT}"
)
# Some drop these, and then look at what follows.
DROPPED_STARTS = frozenset("\t\r\n\0")
# Where a spreadsheet separates by something else than commas, a cell of ours ends there and another begins.
HIDDEN_FORMULA = re.compile(rf"(?<!^)([;|\t]\s*)([{re.escape(''.join(sorted(FORMULA_STARTS)))}])")
PIECE_CHARACTERS = 16_384


def rows_as_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """A CSV file (RFC 4180, lines end in CRLF) in pieces of some kilobytes, as the rows come.

    Text that a spreadsheet would take for a formula begins with an apostrophe. Integers are numbers, with a
    hyphen for a minus; None is an empty cell. To be sent as UTF-8, without a byte order mark: a program
    would read the mark as a part of the first column's name.
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
    # Blanks before it are looked past: not every spreadsheet keeps them.
    return text[:1] in DROPPED_STARTS or text.lstrip()[:1] in FORMULA_STARTS
