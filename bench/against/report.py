"""The figures as tables on a terminal, as JSON, and in bench/RESULTS_AGAINST.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import report
from bench.against.plan import RATIO_MIN, ROUNDS_FOR_A_VERDICT, Turns
from bench.against.turns import Outcome
from bench.against.verdict import Comparison, Cost, Ratio, comparisons, costs

RESULTS = Path(__file__).parents[1] / "RESULTS_AGAINST.md"
HOW_TO_READ = Path(__file__).with_name("how_to_read.md")

WIDTH_MIN = 140  # For the widest table, where the output is no terminal.
COSTS = "Processor time of a charge in milliseconds"
COST_COLUMNS = ("", "web", "PostgreSQL", "both", "charges", "errors")
RATIOS = "Ratios of it"
RATIO_COLUMNS = ("", "web", "PostgreSQL", "both", "at least", "verdict")


@dataclass(frozen=True)
class Measured:
    """All results of a run. `commit` names the other checkout: its short id and its subject."""

    commit: str
    turns: Turns
    outcome: Outcome
    machine: Mapping[str, str]

    @property
    def title(self) -> str:
        return f"A charge now, in this checkout, and before, at {self.commit}"


def show(measured: Measured, console: Console) -> None:
    """Show the tables on a terminal."""
    console.width = max(console.width, WIDTH_MIN)
    console.print(measured.title, highlight=False, markup=False)
    console.print(report.table(COSTS, COST_COLUMNS, _costs(measured.outcome)))
    console.print(report.table(RATIOS, RATIO_COLUMNS, _ratios(measured.outcome)))
    report.show_facts(measured.machine, _notes(measured), console)


def write(measured: Measured) -> Path:
    """Write the figures to bench/RESULTS_AGAINST.md and return its path."""
    RESULTS.write_text("\n".join(_markdown(measured)) + "\n")
    return RESULTS


def as_json(measured: Measured) -> dict[str, Any]:
    """Everything, for programs."""
    outcome = measured.outcome
    return {
        "machine": measured.machine,
        "before": measured.commit,
        "turns": {"rounds": measured.turns.rounds, "seconds": measured.turns.seconds},
        "costs": {each.contestant.name: _named(each) for each in costs(outcome)},
        "ratios": {each.contestant.name: _named(each) for each in comparisons(outcome)},
        "errors": outcome.errors[:10],
        "troubles": outcome.troubles,
    }


def _named(figures: Cost | Comparison) -> dict[str, Any]:
    """The figures as a dict, with the name of a contestant in its place."""
    return {
        name: value["name"] if name in ("base", "contestant") else value
        for name, value in asdict(figures).items()
    }


def _markdown(measured: Measured) -> Iterator[str]:
    yield f"# {measured.title}\n"
    yield f'Written by `make bench ARGS="--against {measured.commit.split()[0]} --write"`.\n'
    yield from (f"- {name}: {fact}" for name, fact in measured.machine.items())
    yield from report.section(COSTS, COST_COLUMNS, _costs(measured.outcome))
    yield from report.section(RATIOS, RATIO_COLUMNS, _ratios(measured.outcome))
    yield ""
    yield from (f"- {sentence}" for sentence in _notes(measured))
    yield "\n" + HOW_TO_READ.read_text().rstrip()


def _costs(outcome: Outcome) -> Iterator[Sequence[str]]:
    for each in costs(outcome):
        milliseconds = (f"{ms:.2f}" for ms in (each.web_ms, each.database_ms, each.both_ms))
        yield each.contestant.title, *milliseconds, str(each.charges), str(each.errors)


def _ratios(outcome: Outcome) -> Iterator[Sequence[str]]:
    for each in comparisons(outcome):
        title = f"{each.base.title} / {each.contestant.title}"
        ratios = map(_ratio, (each.web, each.database, each.both))
        yield title, *ratios, f"{RATIO_MIN:.2f}", each.verdict


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.median:.3f} ({ratio.low:.3f}–{ratio.high:.3f})"


def _notes(measured: Measured) -> Iterator[str]:
    turns = measured.turns
    yield "A ratio of 1 means that both cost the same; below 1, the charge named second costs more."
    pairs = f"Each ratio is the median of {turns.rounds} pairs of turns of {turns.seconds:g} s"
    if turns.rounds < ROUNDS_FOR_A_VERDICT:
        yield f"{pairs}. That is too few for a verdict: it takes {ROUNDS_FOR_A_VERDICT} rounds."
    else:
        yield f"{pairs}. The interval contains the true median with a probability of 95 %."
    yield report.verdict(measured.outcome.errors, measured.outcome.troubles)
