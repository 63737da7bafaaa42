"""The small lines in tiles. A line only decorates: the chart of the same figures has the numbers."""

from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 120, 28, 2  # In units of the drawing. The line stays EDGE away from top and bottom.


def points_of(values: Sequence[float | None]) -> str:
    """Return the points of an SVG polyline through these values, oldest first; "" if there is nothing to see.

    The lowest place is the lowest value or 0, so that a line does not make a small change look large. Where
    a value is not known (None), the line goes straight on.

    >>> points_of([0, 50, 100])
    '0,26 60,14 120,2'
    >>> points_of([0, 0]), points_of([5]), points_of([None, 50, 100])
    ('', '', '60,14 120,2')
    """
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    if len(known) < 2 or not any(value for _, value in known):
        return ""
    low, high = (pick(0, *(value for _, value in known)) for pick in (min, max))
    across, up = WIDTH / (len(values) - 1), (HEIGHT - 2 * EDGE) / (high - low)
    return " ".join(f"{at * across:.4g},{HEIGHT - EDGE - (value - low) * up:.3g}" for at, value in known)
