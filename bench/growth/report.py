"""The figures as tables: on a terminal, and in bench/GROWTH.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench.consumption import Memory
from bench.growth import reads
from bench.growth.commands import Run
from bench.growth.starting import Step
from bench.report import MEBIBYTE, WIDTH_MIN, section, show_facts, table

GROWTH = Path(__file__).parents[1] / "GROWTH.md"
REQUESTS, COMMANDS = "Requests, in milliseconds", "Commands"
STARTING, WORKERS = "A web process as it starts", "Web workers"
HOW_TO_READ = """
The books of each length are written anew, lawfully (bench/growth/books.py), and `check_ledger` finds nothing
in them. One wallet has a tenth of all entries, and all reads of a wallet are of this one. Requests are sent
by one caller, in turn, and each figure is a median. The shortest books are measured before and after the
longest, and the ratio compares with both, since the machine may change meanwhile.

Creators have one tip for each five entries, at most 200,000, and one subscription for ten tips. Commands are
processes of their own: their time includes the start of Python. Their memory is the most that was resident,
and what PostgreSQL's process for them had besides its shared buffers.
"""


@dataclass(frozen=True)
class Measured:
    """What was measured with the books of one length. `milliseconds` are by the title of a request."""

    entries: int
    writing_seconds: float
    milliseconds: Mapping[str, Sequence[float]]
    commands: Mapping[str, Run]
    workers: Sequence[Memory]


@dataclass(frozen=True)
class Growth:
    """All that a run has measured, with the shortest books first."""

    sizes: Sequence[Measured]
    again: Measured | None  # The shortest books, measured once more at the end.
    steps: Sequence[Step]
    machine: Mapping[str, str]

    def milliseconds(self, title: str) -> list[float]:
        """The medians of a request, by length of the books."""
        return [median(size.milliseconds[title]) for size in self.sizes]

    def ratio(self, title: str) -> float:
        """How many times longer a request takes with the longest books than with the shortest."""
        before = [*self.sizes[0].milliseconds[title], *(self.again.milliseconds[title] if self.again else [])]
        return median(self.sizes[-1].milliseconds[title]) / median(before)


def as_json(growth: Growth) -> dict[str, Any]:
    """Everything, for programs."""
    titles = growth.sizes[0].milliseconds
    return {
        "machine": dict(growth.machine),
        "entries": [size.entries for size in growth.sizes],
        "requests": {
            title: {"ms": growth.milliseconds(title), "ratio": growth.ratio(title)} for title in titles
        },
        "depth": [_depth(size) for size in growth.sizes],
        "commands": {
            name: [
                {"seconds": run.seconds, "peak": run.peak, "peak_of_database": run.peak_of_database}
                for run in (size.commands[name] for size in growth.sizes)
            ]
            for name in growth.sizes[0].commands
        },
        "starting": {step.title: step.milliseconds for step in growth.steps},
    }


def _depth(size: Measured) -> float:
    """How many times longer a deep page takes than the first. They were read in turn."""
    pairs = zip(size.milliseconds[reads.DEEP_PAGE], size.milliseconds[reads.FIRST_PAGE], strict=True)
    return median(deep / first for deep, first in pairs)


def show(growth: Growth, console: Console) -> None:
    """Show tables on a terminal."""
    console.width = max(console.width, WIDTH_MIN)
    for title, (columns, rows) in _tables(growth).items():
        console.print(table(title, columns, iter(rows)))
    show_facts(growth.machine, (), console)


def write(growth: Growth) -> Path:
    """Write the tables to bench/GROWTH.md and return its path."""
    GROWTH.write_text("\n".join(_markdown(growth)) + "\n")
    return GROWTH


def _markdown(growth: Growth) -> Iterator[str]:
    yield "# How cost grows\n"
    yield "Written by `python -m bench.growth --write`. How to read the figures is explained below them.\n"
    yield from (f"- {name}: {fact}" for name, fact in growth.machine.items())
    for title, (columns, rows) in _tables(growth).items():
        yield from section(title, columns, iter(rows))
    yield f"\n## How to read it\n{HOW_TO_READ.rstrip()}"


def _tables(growth: Growth) -> dict[str, tuple[Sequence[str], list[Sequence[str]]]]:
    sizes = growth.sizes
    lengths = [f"{size.entries:,} entries" for size in sizes]
    return {
        REQUESTS: (["", *lengths, "longest / shortest"], list(_requests(growth))),
        COMMANDS: (["", *lengths], list(_commands(sizes))),
        STARTING: (["", "CPU ms", "own MiB", "modules"], list(_starting(growth.steps))),
        WORKERS: (
            ["", "resident MiB", "by share", "unshared"],
            [
                (f"worker {number}, {size.entries:,} entries", *_memory(worker))
                for size in sizes
                for number, worker in enumerate(size.workers, 1)
            ],
        ),
    }


def _memory(worker: Memory) -> Iterator[str]:
    return (f"{each / MEBIBYTE:.0f}" for each in (worker.rss, worker.pss, worker.uss))


def _requests(growth: Growth) -> Iterator[Sequence[str]]:
    for title in growth.sizes[0].milliseconds:
        yield title, *(f"{each:.1f}" for each in growth.milliseconds(title)), f"{growth.ratio(title):.2f}"
    yield f"{reads.DEEP_PAGE} / {reads.FIRST_PAGE}", *(f"{_depth(size):.2f}" for size in growth.sizes), ""


def _commands(sizes: Sequence[Measured]) -> Iterator[Sequence[str]]:
    yield "write the books, seconds", *(f"{size.writing_seconds:.0f}" for size in sizes)
    for name in sizes[0].commands:
        runs = [size.commands[name] for size in sizes]
        yield f"{name}, seconds", *(f"{run.seconds:.1f}" for run in runs)
        minutes = [size.entries / run.seconds * 60 / 1_000_000 for size, run in zip(sizes, runs, strict=True)]
        yield f"{name}, million entries a minute", *(f"{each:.1f}" for each in minutes)
        yield (
            f"{name}, peak MiB of the command + of PostgreSQL",
            *(f"{run.peak / MEBIBYTE:.0f} + {run.peak_of_database / MEBIBYTE:.0f}" for run in runs),
        )


def _starting(steps: Sequence[Step]) -> Iterator[Sequence[str]]:
    for each in steps:
        yield each.title, f"{each.milliseconds:.0f}", f"{each.own_bytes / MEBIBYTE:.0f}", str(each.modules)
