"""The figures as a person reads them: on a terminal, and as bench/RESULTS.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.consumption import Memory
from bench.contest import Outcome
from bench.figures import Figures, Spread, figures
from bench.histories import Reading
from bench.ledgers import Page
from bench.plan import SCENARIOS, VARIANTS, Scenario

RESULTS = Path(__file__).with_name("RESULTS.md")
HOW_TO_READ = Path(__file__).with_name("how_to_read.md")
WIDTH_MIN = 120
MEBIBYTE = 1024 * 1024

HISTORIES = "A creator's reads: 200,000 tips and 20,000 subscriptions beside 2,000 and 200"
PAIR_COLUMNS = ("", "short ms", "long ms", "long / short")
LEDGERS = "The back-office: 1,000,000 entries beside 10,000"
COLUMNS = ("", "requests/s", "p50 ms", "p99 ms", "× usual", "× no-op", "CPU ms", "errors")


@dataclass(frozen=True)
class Measured:
    """All that a run found."""

    outcome: Outcome
    readings: Sequence[Reading]
    pages: Sequence[Page]
    machine: Mapping[str, str]

    @property
    def pairs(self) -> dict[str, Sequence[Reading | Page]]:
        """What was read short and long, by title."""
        return {HISTORIES: self.readings, LEDGERS: self.pages}


def show(measured: Measured, console: Console) -> None:
    """Tables on a terminal. A pipe has no width, and a wrapped table is no table."""
    console.width = max(console.width, WIDTH_MIN)
    for scenario in SCENARIOS:
        console.print(_table(scenario.title.capitalize(), COLUMNS, _rows(measured.outcome, scenario)))
    for title, found in measured.pairs.items():
        console.print(_table(title, PAIR_COLUMNS, _pair_rows(found)))
    for name, fact in measured.machine.items():
        console.print(f"[dim]{escape(name)}: {escape(fact)}[/]", highlight=False)
    for sentence in _besides(measured.outcome):
        console.print(escape(sentence), highlight=False, soft_wrap=True)


def write(measured: Measured) -> Path:
    """Put the figures into bench/RESULTS.md; returns where that is."""
    RESULTS.write_text("\n".join(_markdown(measured)) + "\n")
    return RESULTS


def _markdown(measured: Measured) -> Iterator[str]:
    yield "# What a charge costs\n"
    yield "Written by `make bench ARGS=--write`. How to read it is said below the figures.\n"
    yield from (f"- {name}: {fact}" for name, fact in measured.machine.items())
    for scenario in SCENARIOS:
        yield from _section(scenario.title.capitalize(), COLUMNS, _rows(measured.outcome, scenario))
    for title, found in measured.pairs.items():
        yield from _section(title, PAIR_COLUMNS, _pair_rows(found))
    yield "\n## Beside the figures\n"
    yield from (f"- {sentence}" for sentence in _besides(measured.outcome))
    yield "\n" + HOW_TO_READ.read_text().rstrip()


def _section(title: str, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield "| " + " | ".join(columns) + " |"
    yield "| --- " + "| ---: " * (len(columns) - 1) + "|"
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def _table(title: str, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _pair_rows(found: Sequence[Reading | Page]) -> Iterator[Sequence[str]]:
    for each in found:
        yield each.title, f"{each.short_ms:.1f}", f"{each.long_ms:.1f}", f"{each.ratio:.2f}"


def _rows(outcome: Outcome, scenario: Scenario) -> Iterator[Sequence[str]]:
    for variant in VARIANTS:
        found: Figures = figures(outcome, scenario, variant)
        yield (
            variant.title,
            _spread(found.per_second, digits=0),
            f"{found.p50_ms:.1f}",
            f"{found.p99_ms:.1f}",
            _spread(found.to_usual, digits=2),
            _spread(found.to_nothing, digits=2),
            f"{_milliseconds(found.web_cpu_ms)} + {_milliseconds(found.database_cpu_ms)}",
            str(found.errors),
        )


def _spread(value: Spread, *, digits: int) -> str:
    if value.lowest == value.highest:
        return f"{value.median:.{digits}f}"
    return f"{value.median:.{digits}f} ({value.lowest:.{digits}f}–{value.highest:.{digits}f})"


def _milliseconds(value: float) -> str:
    return f"{value:.2f}" if value >= 0.005 else "–"


def _memory(workers: Sequence[Memory]) -> str:
    if not workers:
        return "not to be seen on this system"
    return "; ".join(
        f"{worker.rss / MEBIBYTE:.0f} MiB resident, {worker.pss / MEBIBYTE:.0f} in its part, "
        f"{worker.uss / MEBIBYTE:.0f} its own"
        for worker in workers
    )


def _besides(outcome: Outcome) -> Iterator[str]:
    yield f"Memory of a web worker after the run: {_memory(outcome.memory)}."
    yield f"The client used {outcome.client_ms:.2f} ms of processor time for a request."
    yield (
        f"Others on the machine kept {outcome.cores_of_strangers:.2f} cores busy meanwhile "
        "(PostgreSQL's log writer and the kernel among them)."
    )
    yield _verdict(outcome)


def _verdict(outcome: Outcome) -> str:
    if outcome.errors or outcome.troubles:
        return "These figures are worth nothing: " + "; ".join([*outcome.errors[:3], *outcome.troubles]) + "."
    return "No request failed; the laws of the books hold, and each answer has its entry."
