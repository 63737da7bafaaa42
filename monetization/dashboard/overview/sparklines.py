"""The small lines in tiles. A line only decorates: the chart of the same figures has the numbers."""

from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 120, 28, 2  # In units of the drawing. The line stays EDGE away from top and bottom.


def points_of(values: Sequence[int]) -> str:
    """Return the points of an SVG polyline through these values, oldest first; "" if there is nothing to see.

    The lowest place is the lowest value or 0, so that a line does not make a small change look large.

    >>> points_of([0, 50, 100])
    '0,26 60,14 120,2'
    >>> points_of([0, 0]), points_of([5])
    ('', '')
    """
    if len(values) < 2 or not any(values):
        return ""
    low, high = min(0, *values), max(0, *values)
    across, up = WIDTH / (len(values) - 1), (HEIGHT - 2 * EDGE) / (high - low)
    return " ".join(
        f"{at * across:.4g},{HEIGHT - EDGE - (value - low) * up:.3g}" for at, value in enumerate(values)
    )
