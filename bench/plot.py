"""A bar chart as an SVG file: it needs no library, and follows the reader's light or dark screen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, MARGIN, LABELS, FIGURES = 760, 24, 230, 56
BAR, GAP, HEAD = 20, 8, 34
# Bars grow to the right from here, over so many pixels at most.
LEFT, LENGTH_MAX = MARGIN + LABELS, WIDTH - 2 * MARGIN - LABELS - FIGURES

# The colors of the pages (static/css), for light and for dark screens.
STYLE = """
text { font: 15px system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums }
.title { font-size: 18px; font-weight: 600 }
.head { font-weight: 600 }
.note { font-size: 13px; fill: var(--muted) }
.card { fill: var(--card); stroke: var(--line) }
.axis { stroke: var(--muted) }
.ours { fill: var(--accent) }
.other { fill: var(--quiet) }
.bound { fill: none; stroke: var(--muted); stroke-dasharray: 4 3 }
svg {
  --card: #ffffff; --line: #e4e1da; --ink: #1c1b19; --muted: #605c54; --accent: #0f5e56; --quiet: #a9a49a;
}
@media (prefers-color-scheme: dark) {
  svg {
    --card: #1d1c1b; --line: #383632; --ink: #f1efea; --muted: #a9a49a; --accent: #5cc5b6; --quiet: #6b675f;
  }
}
"""


@dataclass(frozen=True)
class Bar:
    """A bar: its label, its length, and how it looks: `ours`, `other` or `bound` (an outline)."""

    label: str
    value: float
    look: str


@dataclass(frozen=True)
class Group:
    """Bars under a heading."""

    title: str
    bars: Sequence[Bar]


def svg(title: str, groups: Sequence[Group], notes: Sequence[str]) -> str:
    """The text of an SVG file. The figure behind each bar is its value with one decimal and a ×."""
    longest = max(bar.value for group in groups for bar in group.bars)
    lines = list(_lines(title, groups, notes, pixels=LENGTH_MAX / longest))
    height = lines.pop()
    spoken = "; ".join(
        f"{group.title}: " + ", ".join(f"{bar.label} {bar.value:.1f}" for bar in group.bars)
        for group in groups
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(spoken)}</desc>",
            f"<style>{STYLE}</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{int(height) - 1}" rx="10"/>',
            *lines,
            "</svg>\n",
        ]
    )


def _lines(title: str, groups: Sequence[Group], notes: Sequence[str], *, pixels: float) -> Iterator[str]:
    """The elements from top to bottom; the last one is the height of them all."""
    y = MARGIN + 14
    yield _text(MARGIN, y, title, look="title")
    for group in groups:
        y += HEAD
        yield _text(MARGIN, y, group.title, look="head")
        y += GAP + 2
        top = y
        for bar in group.bars:
            length = bar.value * pixels
            yield _text(MARGIN, y + 15, bar.label)
            yield f'<rect class="{bar.look}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
            yield _text(LEFT + length + 8, y + 15, f"{bar.value:.1f} ×")
            y += BAR + GAP
        yield f'<line class="axis" x1="{LEFT}" y1="{top - 4}" x2="{LEFT}" y2="{y - 4}"/>'
    y += HEAD - 10
    for note in notes:
        yield _text(MARGIN, y, note, look="note")
        y += 20
    yield str(y + MARGIN - 16)


def _text(x: float, y: int, words: str, *, look: str = "") -> str:
    styled = f' class="{look}"' if look else ""
    return f'<text{styled} x="{x:.1f}" y="{y}">{escape(words)}</text>'
