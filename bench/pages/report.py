"""The figures of the pages as a table on a terminal, and in bench/PAGES.md."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from bench import report
from bench.pages.loads import Load, Pair

RESULTS = Path(__file__).parents[1] / "PAGES.md"
HOW_TO_READ = Path(__file__).with_name("how_to_read.md")
WIDTH_MIN = 160
TITLE = "Milliseconds until the largest part of the page is there (LCP): median (lowest to highest)"
COLUMNS = ("", "before", "now", "ratio", "asked", "met", "KiB before", "KiB now", "requests")


def show(pairs: Sequence[Pair], machine: Mapping[str, str], console: Console) -> None:
    """Show the table on a terminal."""
    console.width = max(console.width, WIDTH_MIN)
    console.print(report.table(TITLE, COLUMNS, _rows(pairs)))
    report.show_facts(machine, [], console)


def write(pairs: Sequence[Pair], machine: Mapping[str, str]) -> Path:
    """Write the figures to bench/PAGES.md and return its path."""
    lines = ["# How soon a page is there\n", "Written by `python -m bench.pages --against COMMIT --write`.\n"]
    lines += [f"- {name}: {fact}" for name, fact in machine.items()]
    lines += report.section(TITLE, COLUMNS, _rows(pairs))
    lines.append(f"\n{HOW_TO_READ.read_text().rstrip()}")
    RESULTS.write_text("\n".join(lines) + "\n")
    return RESULTS


def _rows(pairs: Sequence[Pair]) -> Iterator[Sequence[str]]:
    for pair in pairs:
        ours, other = pair.loads["ours"], pair.loads["other"]
        yield (
            pair.title,
            _times(other),
            _times(ours),
            f"{pair.ratio:.2f}",
            f"≤ {pair.most}",
            "yes" if pair.ratio <= pair.most else "no",
            f"{other[0].bytes / 1024:.0f}",
            f"{ours[0].bytes / 1024:.0f}",
            f"{other[0].requests} → {ours[0].requests}",
        )


def _times(loads: Sequence[Load]) -> str:
    times = sorted(load.largest_ms for load in loads)
    return f"{times[len(times) // 2]:.0f} ({times[0]:.0f} to {times[-1]:.0f}), {loads[0].largest_element}"
