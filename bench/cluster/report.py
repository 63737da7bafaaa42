"""The figures as tables on a terminal, as JSON, and in bench/CLUSTER.md."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench import report
from bench.cluster.turns import COORDINATOR, SINGLE, WORKERS, Outcome, Turn

RESULTS = Path(__file__).parents[1] / "CLUSTER.md"
HOW_TO_READ = Path(__file__).with_name("how_to_read.md")
WIDTH_MIN = 160
COSTS = "Processor time of a charge in milliseconds, and charges a second"
RATIOS = "Divided by one server, in the same round: median (lowest to highest)"
RATIO_COLUMNS = ("", "CPU, all", "CPU, web", "CPU, PostgreSQL", "charges/s")
GOALS = "Goals, and what was measured"
GOAL_COLUMNS = ("", "goal", "measured", "met")
CPU_MAX, CHARGES_MIN = 2.6, 0.6
# So little of a charge's time is what a server does anyway: its log writer, its checkpointer.
COORDINATOR_MS_MAX = 0.05


def show(outcome: Outcome, machine: Mapping[str, str], console: Console) -> None:
    """Show the tables on a terminal."""
    console.width = max(console.width, WIDTH_MIN)
    for title, columns, rows in _tables(outcome):
        console.print(report.table(title, columns, iter(rows)))
    report.show_facts(machine, _notes(outcome), console)


def write(outcome: Outcome, machine: Mapping[str, str]) -> Path:
    """Write the figures to bench/CLUSTER.md and return its path."""
    lines = ["# A charge on a cluster\n", "Written by `python -m bench.cluster --write`.\n"]
    lines += [f"- {name}: {fact}" for name, fact in machine.items()]
    for title, columns, rows in _tables(outcome):
        lines += report.section(title, columns, iter(rows))
    lines += ["\n## Also measured\n", *(f"- {note}" for note in _notes(outcome))]
    lines.append(f"\n{HOW_TO_READ.read_text().rstrip()}")
    RESULTS.write_text("\n".join(lines) + "\n")
    return RESULTS


def as_json(outcome: Outcome, machine: Mapping[str, str]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "machine": dict(machine),
        "turns": [
            {
                "way": turn.way.title,
                "charges": len(turn.answers.latencies),
                "per_second": turn.per_second,
                "web_ms": turn.web_ms,
                "node_ms": {name: turn.node_ms(name) for name in turn.node_seconds},
            }
            for turn in outcome.turns
        ],
        "errors": outcome.errors[:10],
        "troubles": outcome.troubles,
    }


def _tables(outcome: Outcome) -> Iterator[tuple[str, Sequence[str], list[Sequence[str]]]]:
    nodes = list(dict.fromkeys(node.name for way in outcome.ways for node in way.database.nodes))
    columns = ("", "all", "web", "PostgreSQL", *nodes, "charges/s", "p50 ms", "p99 ms", "errors")
    yield COSTS, columns, [_cost(outcome, way.title, nodes) for way in outcome.ways]
    others = [way.title for way in outcome.ways if way.title != SINGLE]
    yield RATIOS, RATIO_COLUMNS, [_ratio(outcome, way) for way in others]
    yield GOALS, GOAL_COLUMNS, list(_goals(outcome))


def _cost(outcome: Outcome, way: str, nodes: Sequence[str]) -> Sequence[str]:
    turns = outcome.of(way)
    latencies = sorted(each for turn in turns for each in turn.answers.latencies)
    names = turns[0].node_seconds
    return (
        way,
        *(
            f"{outcome.median(way, figure):.2f}"
            for figure in (_all, lambda turn: turn.web_ms, lambda turn: turn.database_ms)
        ),
        *(f"{median(turn.node_ms(name) for turn in turns):.2f}" if name in names else "" for name in nodes),
        f"{outcome.median(way, _per_second):.0f}",
        *(f"{latencies[int(part * (len(latencies) - 1))] * 1000:.1f}" for part in (0.5, 0.99)),
        str(sum(len(turn.answers.errors) for turn in turns)),
    )


def _ratio(outcome: Outcome, way: str) -> Sequence[str]:
    figures: list[Callable[[Turn], float]] = [
        _all,
        lambda turn: turn.web_ms,
        lambda turn: turn.database_ms,
        _per_second,
    ]
    return way, *(_spread(outcome.ratios(way, figure)) for figure in figures)


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _goals(outcome: Outcome) -> Iterator[Sequence[str]]:
    cpu = median(outcome.ratios(WORKERS, _all))
    yield (
        "CPU of a charge through any worker / one server",
        f"≤ {CPU_MAX}",
        f"{cpu:.2f}",
        _met(cpu <= CPU_MAX),
    )
    rate = median(outcome.ratios(WORKERS, _per_second))
    yield (
        "charges/s over HTTP through any worker / one server",
        f"≥ {CHARGES_MIN}",
        f"{rate:.2f}",
        _met(rate >= CHARGES_MIN),
    )
    coordinator = next(way for way in outcome.ways if way.title == COORDINATOR).database.nodes[0].name
    spent = median(turn.node_ms(coordinator) for turn in outcome.of(WORKERS))
    yield (
        "CPU of the coordinator for a charge through any worker, ms",
        f"≤ {COORDINATOR_MS_MAX}",
        f"{spent:.3f}",
        _met(spent <= COORDINATOR_MS_MAX),
    )


def _met(is_met: bool) -> str:
    return "yes" if is_met else "no"


def _notes(outcome: Outcome) -> Iterator[str]:
    yield f"{len(outcome.errors)} requests failed." if outcome.errors else "No request failed."
    yield from outcome.errors[:5]
    yield from outcome.troubles or ["Each answer has its entry."]


def _all(turn: Turn) -> float:
    return turn.all_ms


def _per_second(turn: Turn) -> float:
    return turn.per_second
