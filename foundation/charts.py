"""Charts and tables of figures, as the three pages with charts show them.

`templates/_chart.html` shows a Chart, and `static/js/chart.js` draws it from the table in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal


@dataclass(frozen=True)
class Cell:
    """A figure as text, and the address of the rows that it adds up; "" where there are none."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Column:
    """A heading. `color` is 1, 2 or 3; 0 is the next one in turn, None a column that is not drawn."""

    name: str
    color: int | None = 0


@dataclass(frozen=True)
class Row:
    """One line of a table: what it is about, and a figure for each column. `day` is where it is drawn."""

    words: str
    cells: Sequence[Cell]
    day: date | None = None


@dataclass(frozen=True)
class Table:
    """Figures in rows and columns; `head` is the heading of the first column."""

    head: str
    columns: Sequence[Column]
    rows: Sequence[Row]

    @property
    def body(self) -> list[tuple[Row, list[tuple[Column, Cell]]]]:
        """Each row, and its cells with their columns."""
        return [(row, list(zip(self.columns, row.cells, strict=True))) for row in self.rows]


@dataclass(frozen=True)
class Chart:
    """A chart: its title, the same in a sentence, and its table with a caption.

    Bars of several columns are stacked. A level holds until the next point ("steps") or not ("line").
    `decimals` is how many the figures have. `has_days` is off where a row is a week, a month or a year.
    """

    title: str
    sentence: str
    caption: str
    table: Table
    drawn: Literal["bars", "steps", "line"]
    unit: str = "credits"
    decimals: int = 0
    has_days: bool = True
