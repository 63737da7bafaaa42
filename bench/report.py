"""The figures as tables: on a terminal, and in bench/RESULTS.md."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench import goals, readme
from bench.consumption import Memory
from bench.figures import Figures, Spread, figures, limit_figures
from bench.histories import Reading, Timing
from bench.ledgers import Page
from bench.outcome import Outcome
from bench.plan import LIMITED, SCENARIOS, Scenario

RESULTS = Path(__file__).with_name("RESULTS.md")
HOW_TO_READ = Path(__file__).with_name("how_to_read.md")
WIDTH_MIN = 140
MEBIBYTE = 1024 * 1024

HISTORIES = "A creator's reads: 200,000 tips and 20,000 subscriptions compared with 2,000 and 200"
PAIR_COLUMNS = ("", "short ms", "long ms", "long / short")
LEDGERS = "The back-office: 1,000,000 entries compared with 10,000"
COLUMNS = ("", "charges/s", "p50 ms", "p99 ms", "× usual", "× no-op", "CPU ms", "errors")
LIMITS = "PostgreSQL alone: the same statements, sent by pgbench"
LIMIT_COLUMNS = ("", "charges/s", "our charge / PostgreSQL alone")
GOALS = "Goals, and what was measured"
GOAL_COLUMNS = ("", "goal", "measured", "met")


@dataclass(frozen=True)
class Measured:
    """All results of a run."""

    outcome: Outcome
    readings: Sequence[Reading]
    pages: Sequence[Page]
    machine: Mapping[str, str]

    @property
    def pairs(self) -> dict[str, Sequence[Timing]]:
        """The comparisons of short and long, by title; none if only charges were measured."""
        pairs = {HISTORIES: self.readings, LEDGERS: self.pages}
        return {title: timings for title, timings in pairs.items() if timings}


def show(measured: Measured, console: Console) -> None:
    """Show tables on a terminal. They get a least width, since a pipe has none and would wrap them."""
    console.width = max(console.width, WIDTH_MIN)
    for scenario in SCENARIOS:
        console.print(table(scenario.title.capitalize(), COLUMNS, _rows(measured.outcome, scenario)))
    if measured.outcome.limits:
        console.print(table(LIMITS, LIMIT_COLUMNS, _limit_rows(measured.outcome)))
    console.print(table(GOALS, GOAL_COLUMNS, _goal_rows(measured.outcome)))
    for title, comparisons in measured.pairs.items():
        console.print(table(title, PAIR_COLUMNS, _pair_rows(comparisons)))
    show_facts(measured.machine, _notes(measured.outcome), console)


def show_facts(machine: Mapping[str, str], notes: Iterable[str], console: Console) -> None:
    """Show what is below the tables."""
    for name, fact in machine.items():
        console.print(f"[dim]{escape(name)}: {escape(fact)}[/]", highlight=False)
    for sentence in notes:
        console.print(escape(sentence), highlight=False, soft_wrap=True)


def write(measured: Measured) -> Path:
    """Write the figures to bench/RESULTS.md, the most important ones to README.md, and return the path."""
    readme.write(measured.outcome, measured.machine)
    RESULTS.write_text("\n".join(_markdown(measured)) + "\n")
    return RESULTS


def as_json(measured: Measured) -> dict[str, Any]:
    """Everything, for programs."""
    outcome = measured.outcome
    loads = {
        scenario.name: {
            "load": scenario.title,
            "variants": {
                variant.name: asdict(figures(outcome, scenario, variant)) for variant in scenario.variants
            },
        }
        for scenario in SCENARIOS
    }
    return {
        "machine": measured.machine,
        "loads": loads,
        "database_alone": {
            scenario.name: asdict(row) for scenario in LIMITED if (row := limit_figures(outcome, scenario))
        },
        "goals": {each.goal.title: each.as_json() for each in goals.results(outcome)},
        "histories": {reading.title: reading.as_json() for reading in measured.readings},
        "back_office": {page.title: page.as_json() for page in measured.pages},
        "client_cpu_ms": outcome.client_ms,
        "cores_of_others": outcome.cores_of_others,
        "web_workers_bytes": [asdict(worker) for worker in outcome.memory],
        "errors": outcome.errors[:10],
        "troubles": outcome.troubles,
    }


def _markdown(measured: Measured) -> Iterator[str]:
    yield "# What a charge costs\n"
    yield "Written by `make bench ARGS=--write`. How to read the figures is explained below them.\n"
    yield from (f"- {name}: {fact}" for name, fact in measured.machine.items())
    yield from section(GOALS, GOAL_COLUMNS, _goal_rows(measured.outcome))
    for scenario in SCENARIOS:
        yield from section(scenario.title.capitalize(), COLUMNS, _rows(measured.outcome, scenario))
    if measured.outcome.limits:
        yield from section(LIMITS, LIMIT_COLUMNS, _limit_rows(measured.outcome))
    for title, comparisons in measured.pairs.items():
        yield from section(title, PAIR_COLUMNS, _pair_rows(comparisons))
    yield "\n## Also measured\n"
    yield from (f"- {sentence}" for sentence in _notes(measured.outcome))
    yield "\n" + HOW_TO_READ.read_text().rstrip()


def section(title: str, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    """The lines of a heading and a table in Markdown."""
    yield f"\n## {title}\n"
    yield "| " + " | ".join(columns) + " |"
    yield "| --- " + "| ---: " * (len(columns) - 1) + "|"
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def table(title: str, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> Table:
    """A table for a terminal."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _limit_rows(outcome: Outcome) -> Iterator[Sequence[str]]:
    for scenario in LIMITED:
        if row := limit_figures(outcome, scenario):
            yield scenario.title, _spread(row.per_second, digits=0), _spread(row.reached, digits=2)


def _goal_rows(outcome: Outcome) -> Iterator[Sequence[str]]:
    for each in goals.results(outcome):
        met = "yes" if each.is_met else "no"
        yield each.goal.title, each.bound, _spread(each.measured, digits=2), met


def _pair_rows(comparisons: Sequence[Timing]) -> Iterator[Sequence[str]]:
    for each in comparisons:
        yield each.title, f"{each.short_ms:.1f}", f"{each.long_ms:.1f}", f"{each.ratio:.2f}"


def _rows(outcome: Outcome, scenario: Scenario) -> Iterator[Sequence[str]]:
    for variant in scenario.variants:
        row: Figures = figures(outcome, scenario, variant)
        yield (
            variant.title,
            _spread(row.per_second, digits=0),
            f"{row.p50_ms:.1f}",
            f"{row.p99_ms:.1f}",
            _spread(row.to_select_for_update, digits=2),
            _spread(row.to_noop, digits=2),
            f"{_milliseconds(row.web_cpu_ms)} + {_milliseconds(row.database_cpu_ms)}",
            str(row.errors),
        )


def _spread(value: Spread, *, digits: int) -> str:
    if value.lowest == value.highest:
        return f"{value.median:.{digits}f}"
    return f"{value.median:.{digits}f} ({value.lowest:.{digits}f}–{value.highest:.{digits}f})"


def _milliseconds(value: float) -> str:
    return f"{value:.2f}" if value >= 0.005 else "–"


def _memory(workers: Sequence[Memory]) -> str:
    if not workers:
        return "unknown on this system"
    return "; ".join(
        f"{worker.rss / MEBIBYTE:.0f} MiB resident, {worker.pss / MEBIBYTE:.0f} by share, "
        f"{worker.uss / MEBIBYTE:.0f} unshared"
        for worker in workers
    )


def _notes(outcome: Outcome) -> Iterator[str]:
    yield f"Memory of a web worker after the run: {_memory(outcome.memory)}."
    yield f"The client used {outcome.client_ms:.2f} ms of processor time per charge."
    yield (
        f"Other processes kept {outcome.cores_of_others:.2f} cores busy meanwhile "
        "(PostgreSQL's log writer and the kernel included)."
    )
    yield verdict(outcome.errors, outcome.troubles)


def verdict(errors: Sequence[str], troubles: Sequence[str]) -> str:
    """Whether the figures can be trusted, in a sentence."""
    if errors or troubles:
        return "Do not trust these figures: " + "; ".join([*errors[:3], *troubles]) + "."
    return "No request failed, no law of the books is violated, and each answer has its entry."
