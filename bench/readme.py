"""The part of README.md about speed: a table and a plot, both made from the figures of a run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import plot
from bench.figures import figures
from bench.goals import Result, results
from bench.outcome import Outcome
from bench.plan import BATCH, BATCHES, MANY, NOOP, OURS, SCENARIOS, SELECT_FOR_UPDATE, Scenario, Variant

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PLOT = ROOT / "docs" / "pictures" / "speed.svg"
BEGIN = "<!-- The figures below are written by `make bench ARGS=--write`. -->"
END = "<!-- End of the figures. -->"

TITLE = "Charges a second, compared with the usual wallet"
LABELS = {OURS: "this service", SELECT_FOR_UPDATE: "the usual wallet", NOOP: "a view that does nothing"}
LOOKS = {OURS: "ours", SELECT_FOR_UPDATE: "other", NOOP: "bound"}


def write(outcome: Outcome, machine: Mapping[str, str]) -> None:
    """Draw the plot, and put the table into README.md. Raises ValueError if README.md has no place for it."""
    PLOT.write_text(plot.svg(TITLE, list(_groups(outcome)), _notes(outcome, machine)))
    before, begin, rest = README.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{README.name} lacks the line {END}")
    README.write_text(f"{before}{begin}\n\n{_table(results(outcome))}\n{end}{after}")


def _groups(outcome: Outcome) -> Iterator[plot.Group]:
    for scenario in SCENARIOS:
        bars = [
            plot.Bar(LABELS[variant], _times_usual(outcome, scenario, variant), LOOKS[variant])
            for variant in LABELS
        ]
        yield plot.Group(scenario.title.capitalize(), bars)


def _times_usual(outcome: Outcome, scenario: Scenario, variant: Variant) -> float:
    return figures(outcome, scenario, variant).to_select_for_update.median


def _notes(outcome: Outcome, machine: Mapping[str, str]) -> Sequence[str]:
    batches = figures(outcome, MANY, BATCHES).to_ours.median
    return [
        f"{machine['Processor']}.",
        f"With batches of {BATCH} charges of a wallet, this service makes {batches:.0f} times as many "
        "charges a second as with single calls.",
    ]


def _table(measured: Sequence[Result]) -> str:
    lines = ["| median of all rounds | goal | measured |", "| --- | ---: | ---: |"]
    for each in measured:
        lines.append(f"| {each.goal.title} | {each.bound} | {each.measured.median:.2f} |")
    return "\n".join(lines) + "\n"
