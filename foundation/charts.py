"""The data of charts and of tables of figures. Three pages have charts.

`templates/_chart.html` shows the table of a Chart, and `static/js/chart.js` draws the chart from this table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal


@dataclass(frozen=True)
class Cell:
    """A figure as text, and the URL of a list of the rows behind the figure; "" if there is no list."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Column:
    """A column and its heading.

    `color` is 1, 2 or 3. With 0, the column gets the next color in turn. With None, the column is not drawn.
    """

    name: str
    color: int | None = 0


@dataclass(frozen=True)
class Row:
    """One line of a table: its label, and a figure for each column. `day` places the line in the chart."""

    words: str
    cells: Sequence[Cell]
    day: date | None = None


@dataclass(frozen=True)
class Table:
    """Figures in rows and columns. `head` is the heading of the first column, which holds the labels."""

    head: str
    columns: Sequence[Column]
    rows: Sequence[Row]

    @property
    def body(self) -> list[tuple[Row, list[tuple[Column, Cell]]]]:
        """Return each row with its cells, and each cell with its column."""
        return [(row, list(zip(self.columns, row.cells, strict=True))) for row in self.rows]


@dataclass(frozen=True)
class Chart:
    """A chart: its title, a sentence about it, and its table with a caption.

    `drawn` says how the figures are drawn. "bars" stacks the bars of several columns. "steps" keeps the
    value of each point until the next point, and "line" joins the points with straight lines. `decimals` is
    how many decimals the figures have. `has_days` is false if a row is a week, a month or a year.
    """

    title: str
    sentence: str
    caption: str
    table: Table
    drawn: Literal["bars", "steps", "line"]
    unit: str = "credits"
    decimals: int = 0
    has_days: bool = True
