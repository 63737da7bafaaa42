"""The figures of a run: a line for each fault as it ends, and a table at the end."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from soak.callers import Batches
from soak.faults import FAULTS
from soak.plan import STORM_TIMES
from soak.tally import Window, percentile

WIDTH_MIN = 130
COLUMNS = (
    "fault",
    "acknowledged",
    "lost",
    "doubled",
    "longest s",
    "refused",
    "median s",
    "cut off",
    "resumed s",
)
TITLES = {fault.name: fault.title for fault in FAULTS}
# Contract 14 and 57, with 0.3 s for the way and the machine.
LONGEST = (("longest answer, batches aside", False, 3.3), ("longest answer to a batch", True, 8.3))
REFUSAL_SECONDS_MAX = 0.1
THROUGHPUT_MIN = 0.9
P99_SECONDS_MAX = 2.5


@dataclass(frozen=True)
class Measured:
    """All results of a run."""

    windows: Sequence[Window]
    differences: Sequence[str]
    broken_laws: Sequence[str]
    machine: Mapping[str, str]
    no_proxy: str

    @property
    def did_not_resume(self) -> list[str]:
        return [
            f"After “{TITLES[window.fault]}” (round {window.round_number}) these had no success: "
            + ", ".join(sorted(set(window.did_not_resume)))
            for window in self.windows
            if window.did_not_resume
        ]

    @property
    def lost(self) -> int:
        return sum(window.lost for window in self.windows)

    @property
    def doubled(self) -> int:
        return sum(window.doubled for window in self.windows)

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.differences or self.broken_laws or self.did_not_resume)

    def of(self, fault: str) -> list[Window]:
        return [window for window in self.windows if window.fault == fault]


def line(window: Window) -> str:
    """One fault of one round, in a line."""
    title = f"{TITLES[window.fault]:34}"
    if window.skipped:
        return f"{title}skipped: {window.skipped}"
    parts = [
        f"{window.acknowledged:6,} acknowledged",
        f"longest answer {window.longest:5.2f} s",
        f"{len(window.refusals):5,} refused" + _median(window.refusals, " (median {:.2f} s)"),
    ]
    if window.cut_off:
        parts.append(f"{window.cut_off} cut off")
    if window.did_not_resume:
        parts.append("DID NOT RESUME")
    elif window.resumed_after is not None:
        parts.append(f"resumed after {window.resumed_after:.1f} s")
    if window.storm:
        parts.append(f"{window.storm.ratio:.2f} of the best throughput, p99 {window.storm.p99:.2f} s")
    return title + ", ".join(parts)


def show(measured: Measured, console: Console) -> None:
    """Show the tables. They get a least width, since a log has none and would wrap them."""
    console.width = max(console.width, WIDTH_MIN)
    table = Table(title="What callers saw", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in _rows(measured):
        table.add_row(*row)
    console.print(table)
    goals = Table(title="What is asked", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, name in enumerate(("", "asked", "measured", "met")):
        goals.add_column(name, justify="right" if number else "left", no_wrap=True)
    for goal in _goals(measured):
        goals.add_row(*goal)
    console.print(goals)
    for name, fact in measured.machine.items():
        console.print(f"{escape(name)}: {escape(fact)}", highlight=False, soft_wrap=True)
    for sentence in _notes(measured):
        console.print(escape(sentence), highlight=False, soft_wrap=True)


def as_json(measured: Measured) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "machine": measured.machine,
        "faults": {name: _figures(windows) for name in TITLES if (windows := measured.of(name))},
        "lost": measured.lost,
        "doubled": measured.doubled,
        "differences": list(measured.differences),
        "broken_laws": list(measured.broken_laws),
        "did_not_resume": measured.did_not_resume,
        "unexpected": _unexpected(measured.windows),
    }


def _figures(windows: Sequence[Window]) -> dict[str, Any]:
    refusals = [seconds for window in windows for seconds in window.refusals]
    of_proxy = [seconds for window in windows for seconds in window.refused_by_proxy]
    resumed = [window.resumed_after for window in windows if window.resumed_after is not None]
    storms = [window.storm for window in windows if window.storm]
    return {
        "skipped": windows[0].skipped,
        "acknowledged": sum(window.acknowledged for window in windows),
        "lost": sum(window.lost for window in windows),
        "doubled": sum(window.doubled for window in windows),
        "longest_seconds": max(window.longest for window in windows),
        "slowest_seconds": {
            caller: max(window.slowest.get(caller, 0.0) for window in windows)
            for caller in sorted({caller for window in windows for caller in window.slowest})
        },
        "refused": len(refusals),
        "refused_median_seconds": percentile(refusals, 50),
        "refused_by_proxy": len(of_proxy),
        "refused_by_proxy_median_seconds": percentile(of_proxy, 50),
        "cut_off": sum(window.cut_off for window in windows),
        "resumed_after_seconds": max(resumed, default=None),
        "throughput": [storm.ratio for storm in storms],
        "p99_seconds": [storm.p99 for storm in storms],
    }


def _rows(measured: Measured) -> Iterator[Sequence[str]]:
    for name, title in TITLES.items():
        if windows := measured.of(name):
            if all(window.skipped for window in windows):
                yield title, *["skipped"] * (len(COLUMNS) - 1)
            else:
                yield _row(title, windows)
    yield _row("in total", measured.windows)


def _row(title: str, windows: Sequence[Window]) -> Sequence[str]:
    figures = _figures(windows)
    resumed = figures["resumed_after_seconds"]
    is_down = any(window.did_not_resume for window in windows)
    return (
        title,
        f"{figures['acknowledged']:,}",
        str(figures["lost"]),
        str(figures["doubled"]),
        f"{figures['longest_seconds']:.2f}",
        f"{figures['refused']:,}",
        f"{figures['refused_median_seconds']:.2f}" if figures["refused"] else "–",
        str(figures["cut_off"]),
        "not" if is_down else "–" if resumed is None else f"{resumed:.1f}",
    )


def _goals(measured: Measured) -> Iterator[Sequence[str]]:
    of_proxy = [seconds for window in measured.of("storm") for seconds in window.refused_by_proxy]
    storms = [window.storm for window in measured.windows if window.storm]
    cut_off = sum(window.cut_off for window in measured.of("server_restarted"))
    for title, is_batch, seconds_max in LONGEST:
        seconds, caller, fault = max(
            (
                (seconds, caller, TITLES.get(window.fault, window.fault))
                for window in measured.windows
                for caller, seconds in window.slowest.items()
                if (caller == Batches.title) == is_batch
            ),
            default=(0.0, "", ""),
        )
        where = f"{seconds:.2f} s ({caller}; {fault})"
        yield title, f"at most {seconds_max} s", where, _met(seconds <= seconds_max)
    if any(not window.skipped for window in measured.of("server_restarted")):
        yield "requests cut off by SIGTERM of one server", "0", str(cut_off), _met(cut_off == 0)
    if of_proxy:
        median = percentile(of_proxy, 50)
        asked = f"at most {REFUSAL_SECONDS_MAX} s"
        yield "median refusal of the proxy", asked, f"{median:.3f} s", _met(median <= REFUSAL_SECONDS_MAX)
    if storms:
        ratio = percentile([storm.ratio for storm in storms], 50)
        p99 = percentile([storm.p99 for storm in storms], 50)
        title = f"throughput under {STORM_TIMES} times the load / best"
        yield title, f"at least {THROUGHPUT_MIN}", f"{ratio:.2f}", _met(ratio >= THROUGHPUT_MIN)
        yield (
            "p99 of answered requests there",
            f"at most {P99_SECONDS_MAX} s",
            f"{p99:.2f} s",
            _met(p99 <= P99_SECONDS_MAX),
        )


def _notes(measured: Measured) -> Iterator[str]:
    for name, reason in {
        window.fault: window.skipped for window in measured.windows if window.skipped
    }.items():
        yield f"Skipped: {TITLES[name]}, because {reason}."
    for text, times in _unexpected(measured.windows).items():
        yield f"Unexpected, {times} times: {text}"
    if given_up := sum(window.given_up for window in measured.windows):
        yield f"{given_up} times a caller gave up after a second, and asked again with the same key."
    yield from measured.did_not_resume
    yield from measured.differences
    yield from measured.broken_laws
    if measured.is_good:
        yield (
            "No acknowledged charge is lost, none is doubled, every sum is that of the books, every law "
            "holds, and every caller was served again after every fault."
        )
    else:
        yield f"NOT GOOD: {measured.lost} lost, {measured.doubled} doubled; see above."


def _unexpected(windows: Sequence[Window]) -> dict[str, int]:
    """The most frequent unexpected answers, with the faults under which they came."""
    counted: Counter[str] = Counter()
    for window in windows:
        for text, times in window.unexpected.items():
            counted[f"{text} ({TITLES.get(window.fault, window.fault)})"] += times
    return dict(counted.most_common(12))


def _median(values: Sequence[float], text: str) -> str:
    return text.format(percentile(values, 50)) if values else ""


def _met(is_met: bool) -> str:
    return "yes" if is_met else "no"
