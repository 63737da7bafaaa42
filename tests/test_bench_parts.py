"""The parts of the bench that need no run: what counts as right, the goals, the plot, the part of README."""

from xml.etree import ElementTree

import pytest

from bench import limit, plan, plot, readme
from bench.client import Answers
from bench.figures import Spread
from bench.goals import GOALS, Goal, Result
from bench.outcome import Outcome, ProcessorTime, Turn
from bench.plan import (
    BATCH,
    BATCHES,
    EVERY_THREAD,
    HOT,
    MANY,
    OURS,
    REFUSAL,
    REPLAY,
    SCENARIOS,
    SELECT_FOR_UPDATE,
)
from tests.source import ROOT, imports_of, is_within

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
REPLAYED = HEAD + b"Idempotent-Replayed: true\r\n"
ALLOWED, DENIED = b'"allowed":true', b'"allowed":false'
MACHINE = {"Processor": "A processor, 2 cores for client, web server and database together"}


@pytest.mark.parametrize(
    ("variant", "answer", "is_right"),
    [
        (OURS, HEAD + b"\r\n" + ALLOWED, True),
        (OURS, HEAD + b"\r\n" + DENIED, False),
        (OURS, REPLAYED + b"\r\n" + ALLOWED, False),
        (REPLAY, REPLAYED + b"\r\n" + ALLOWED, True),
        (REPLAY, HEAD + b"\r\n" + ALLOWED, False),
        (REFUSAL, HEAD + b"\r\n" + DENIED, True),
        (REFUSAL, HEAD + b"\r\n" + ALLOWED, False),
        (BATCHES, HEAD + b"\r\n" + ALLOWED * BATCH, True),
        (BATCHES, HEAD + b"\r\n" + ALLOWED * (BATCH - 1) + DENIED, False),
    ],
)
def test_an_answer_is_right_only_if_it_is_the_expected_one(variant, answer, is_right):
    assert variant.is_right(answer) == is_right


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_variant_is_first_in_one_of_so_many_rounds(scenario):
    rounds = [list(scenario.order(number)) for number in range(len(scenario.variants))]
    assert {order[0] for order in rounds} == set(scenario.variants)
    assert all(set(order) == set(scenario.variants) for order in rounds)


@pytest.mark.parametrize(
    ("measured", "at_most", "is_met"),
    [(3.9, False, False), (4.0, False, True), (4.0, True, True), (4.1, True, False)],
)
def test_a_goal_is_met_at_its_bound(measured, at_most, is_met):
    goal = Goal("", 4, lambda outcome: [], at_most=at_most)
    assert Result(goal, Spread.of([measured])).is_met == is_met


def turns_of(rates: dict[plan.Variant, int]) -> Outcome:
    """One round in which each answer took 10 ms, with so many answers a second of each variant."""
    nothing = ProcessorTime(0, 0, 0)
    return Outcome(
        [
            Turn(scenario, variant, Answers(1.0, 0.0, [0.01] * rates.get(variant, 100)), nothing)
            for scenario in SCENARIOS
            for variant in scenario.variants
        ]
    )


def test_the_goals_compare_rates_of_charges():
    outcome = turns_of({OURS: 400, SELECT_FOR_UPDATE: 200, BATCHES: 36})
    measured = {goal.title: goal.result(outcome).measured.median for goal in GOALS}
    assert measured == {
        f"charge / usual wallet, {EVERY_THREAD} connections": 2.0,
        "charge / usual wallet, one caller": 2.0,
        "charge / no-op view with the same middleware": 4.0,
        "one hot wallet / many wallets": 1.0,
        "batches of 100, one wallet / single calls": 9.0,
        f"p99 / p50 of the charge, {EVERY_THREAD} connections": 1.0,
        "p99 / p50 of the charge, one hot wallet": 1.0,
    }


def test_a_goal_compares_rates_of_the_same_round():
    outcome = Outcome(turns_of({OURS: 400}).turns + turns_of({OURS: 100}).turns)
    (hot,) = [goal for goal in GOALS if goal.title.startswith("one hot wallet")]
    assert list(hot.of(outcome)) == [1.0, 1.0]
    assert [turn.per_second for turn in outcome.of(HOT, OURS)] == [400, 100]


def test_the_plot_draws_each_bar_as_long_as_its_value():
    groups = [plot.Group("A & B", [plot.Bar("ours", 3.0, "ours"), plot.Bar("usual", 1.5, "other")])]
    drawn = ElementTree.fromstring(plot.svg("Title", groups, ["A note."]))  # noqa: S314 (written above)
    widths = {
        bar.get("class"): float(bar.attrib["width"]) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")
    }
    assert widths["ours"] == plot.LENGTH_MAX
    assert widths["other"] == plot.LENGTH_MAX / 2
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["Title", "A & B", "ours", "3.0 \N{MULTIPLICATION SIGN}", "usual", *texts[-2:]]


def test_writing_the_figures_changes_only_their_part_of_readme(tmp_path, monkeypatch):
    for name in ("README", "PLOT"):
        monkeypatch.setattr(readme, name, tmp_path / name)
    readme.README.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    readme.write(turns_of({OURS: 400}), MACHINE)
    written = readme.README.read_text()
    assert f"| charge / usual wallet, {EVERY_THREAD} connections | at least 3.5 | 4.00 |" in written
    assert "old" not in written
    assert written.startswith(f"before\n{readme.BEGIN}\n")
    assert written.endswith(f"{readme.END}\nafter\n")
    readme.write(turns_of({OURS: 400}), MACHINE)
    assert readme.README.read_text() == written
    assert "4.0 \N{MULTIPLICATION SIGN}" in readme.PLOT.read_text()


def test_readme_has_a_place_for_the_figures():
    text = (ROOT / "README.md").read_text()
    assert text.index(readme.BEGIN) < text.index(readme.END)


def test_the_usual_wallet_takes_only_the_forms_of_ids_from_the_service():
    """It must not get faster when the code of our charge does."""
    shared = {
        *("accounts.misar_ids", "foundation.identifiers", "wallet.identifiers", "wallet.books.models"),
        "wallet.charges.deductions.COUNT_MAX",
    }
    ours = ("accounts", "foundation", "wallet", "monetization", "misar_billing", "backoffice")
    taken = {
        module
        for path in (ROOT / "bench" / "select_for_update_wallet").glob("*.py")
        for module in imports_of(path)
        if any(is_within(module, app) for app in ours)
    }
    assert {each for each in taken if not any(is_within(each, module) for module in shared)} == set()
    assert taken


def test_a_recorded_statement_gets_a_variable_for_each_value_that_changes():
    values = ("usr_1", 9, "service:wsk_1", None, True, 1, 2, 3, 4, "it's")
    text = limit._with_variables(
        "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $10)", values, {9: ":entries_count"}
    )
    # pgbench would read a variable in a text with a colon.
    assert text == (
        "INSERT INTO t VALUES ('usr_1', :entries_count, E'service\\072wsk_1', NULL, true, 'it''s')"
    )


def test_pgbench_waits_only_for_the_statement_whose_columns_are_needed():
    charge = ["SELECT 1", 'UPDATE w SET a = 1 RETURNING "balance"', "INSERT INTO e VALUES (:balance)"]
    assert list(limit._conversation(charge)) == [
        *(r"\startpipeline", "BEGIN;", "SELECT 1;", r"\endpipeline"),
        r'UPDATE w SET a = 1 RETURNING "balance" \gset',
        *(r"\startpipeline", "INSERT INTO e VALUES (:balance);", "COMMIT;", r"\endpipeline"),
    ]


def test_the_recorded_wallet_becomes_the_one_that_a_load_charges():
    pgbench = limit.Pgbench.__new__(limit.Pgbench)
    pgbench._statements = [f"""UPDATE w SET a = 1 WHERE id = '{limit.SAMPLE}' RETURNING "balance\""""]
    assert "WHERE id = 'bench_hot' " in pgbench._script(["bench_hot"])
    many = pgbench._script([f"bench_{number:05}" for number in range(1000)])
    assert "random(0, 999)" in many
    assert "WHERE id = 'bench_' || lpad(:wallet, 5, '0') " in many
    assert MANY in plan.LIMITED
