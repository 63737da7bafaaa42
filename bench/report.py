"""The figures as a person reads them: on a terminal, and as bench/RESULTS.md."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.consumption import Memory
from bench.contest import Outcome
from bench.figures import Figures, Spread, figures
from bench.histories import Reading
from bench.plan import SCENARIOS, VARIANTS, Scenario

RESULTS = Path(__file__).with_name("RESULTS.md")
HOW_TO_READ = Path(__file__).with_name("how_to_read.md")
WIDTH_MIN = 120
MEBIBYTE = 1024 * 1024

HISTORIES = "A creator's reads: 200,000 tips and 20,000 subscriptions beside 2,000 and 200"
HISTORY_COLUMNS = ("", "short ms", "long ms", "long / short")
COLUMNS = ("", "requests/s", "p50 ms", "p99 ms", "× usual", "× no-op", "CPU ms", "errors")


def show(outcome: Outcome, readings: Sequence[Reading], machine: Mapping[str, str], console: Console) -> None:
    """Tables on a terminal. A pipe has no width, and a wrapped table is no table."""
    console.width = max(console.width, WIDTH_MIN)
    for scenario in SCENARIOS:
        title = scenario.title.capitalize()
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for number, name in enumerate(COLUMNS):
            table.add_column(name, justify="right" if number else "left", no_wrap=True)
        for row in _rows(outcome, scenario):
            table.add_row(*row)
        console.print(table)
    console.print(_history_table(readings))
    for name, fact in machine.items():
        console.print(f"[dim]{escape(name)}: {escape(fact)}[/]", highlight=False)
    for sentence in _besides(outcome):
        console.print(escape(sentence), highlight=False, soft_wrap=True)


def write(outcome: Outcome, readings: Sequence[Reading], machine: Mapping[str, str]) -> Path:
    """Put the figures into bench/RESULTS.md; returns where that is."""
    RESULTS.write_text("\n".join(_markdown(outcome, readings, machine)) + "\n")
    return RESULTS


def _markdown(outcome: Outcome, readings: Sequence[Reading], machine: Mapping[str, str]) -> Iterator[str]:
    yield "# What a charge costs\n"
    yield "Written by `make bench ARGS=--write`. How to read it is said below the figures.\n"
    yield from (f"- {name}: {fact}" for name, fact in machine.items())
    for scenario in SCENARIOS:
        yield f"\n## {scenario.title.capitalize()}\n"
        yield "| " + " | ".join(COLUMNS) + " |"
        yield "| --- " + "| ---: " * (len(COLUMNS) - 1) + "|"
        yield from ("| " + " | ".join(row) + " |" for row in _rows(outcome, scenario))
    yield f"\n## {HISTORIES}\n"
    yield "| " + " | ".join(HISTORY_COLUMNS) + " |"
    yield "| --- | ---: | ---: | ---: |"
    yield from ("| " + " | ".join(row) + " |" for row in _history_rows(readings))
    yield "\n## Beside the figures\n"
    yield from (f"- {sentence}" for sentence in _besides(outcome))
    yield "\n" + HOW_TO_READ.read_text().rstrip()


def _history_table(readings: Sequence[Reading]) -> Table:
    table = Table(title=HISTORIES, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, name in enumerate(HISTORY_COLUMNS):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in _history_rows(readings):
        table.add_row(*row)
    return table


def _history_rows(readings: Sequence[Reading]) -> Iterator[Sequence[str]]:
    for reading in readings:
        yield reading.title, f"{reading.short_ms:.1f}", f"{reading.long_ms:.1f}", f"{reading.ratio:.2f}"


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
