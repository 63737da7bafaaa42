"""The data of charts and of tables of figures. Three pages have charts.

`templates/_chart.html` shows the table of a Chart, and `static/js/chart.js` draws the chart from this table.

A few very high figures would flatten all others, so chart.js cuts them. The rule: sort all figures of a
chart by size, leaving out zeros; a stack of bars counts as one figure. The highest figures are cut if they
are at most three, at most one in five, and each is at least five times the highest figure that stays. The
axis then ends just above that one. A cut bar shows a break, and its figure stands at the cut, below the
drawing and in the table. A line whose last point would be cut is drawn whole: this point is what holds now.
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
    `is_before` marks the figures of the period before, which are drawn as a dashed line: in `color`, which
    is that of the same figures now, or muted without one. Such columns come last. The first day of that
    period stands in the row of the period's first day, and so on.
    """

    name: str
    color: int | None = 0
    is_before: bool = False


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
