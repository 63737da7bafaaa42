"""The alert rules and the dashboard name metrics that exist, and the documents say what to do."""

import json
import re
import shutil
import subprocess

import pytest

from tests.misar_billing.metrics.exposed import Exposed
from tests.source import ROOT

RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
SCRAPE = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULE_TESTS = ROOT / "tests" / "misar_billing" / "alerts_tested.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "misar-billing.json"
NAME = re.compile(r"\b(?:misar_\w+|up)\b")
ALERT = re.compile(r"^\s+- alert: (\w+)$", re.MULTILINE)
LABELS = re.compile(r"(misar_\w+)\{([^{}]*)\}")
WITHOUT_SAMPLES = "misar_page_exceptions_total"  # Pages have no exceptions here.


def rules() -> dict[str, str]:
    """The text of each alert, by its name."""
    _, *parts = ALERT.split(RULES.read_text())
    return dict(zip(parts[::2], parts[1::2], strict=True))


def panels() -> list[dict]:
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions() -> list[str]:
    of_rules = [text.split("\n        for:")[0].split("\n        labels:")[0] for text in rules().values()]
    return of_rules + [target["expr"] for panel in panels() for target in panel.get("targets", ())]


@pytest.fixture
def shown(as_service, give, article_rate, staff):
    """A reading after some traffic, with an error of the database: a key that is there already."""
    give("usr_1", 2)
    as_service.deduct(idempotency_key="a")
    as_service.deduct(idempotency_key="a")
    as_service.deduct(count=5)
    staff.get("/admin/")
    return Exposed()


def test_each_metric_that_a_rule_or_a_panel_names_exists(shown):
    exist = {sample.name for family in shown.families for sample in family.samples}
    named = {name for expression in expressions() for name in NAME.findall(expression)} - {"up"}
    assert len(named) > 25
    assert named - exist <= {WITHOUT_SAMPLES}
    assert f"# TYPE {WITHOUT_SAMPLES}" in shown.text


def test_each_figure_of_the_database_is_on_the_dashboard_or_in_a_rule(shown):
    """What is not looked at is not worth reading."""
    gauges = {family.name for family in shown.families if family.type == "gauge"}
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert gauges - named == {"misar_check_unfinished"}


def test_each_label_that_an_expression_selects_by_exists(shown):
    labels: dict[str, set[str]] = {}
    for family in shown.families:
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    for expression in expressions():
        for name, selectors in LABELS.findall(expression):
            selected = re.findall(r'(\w+)\s*(?:=~|!=|=)\s*"', selectors)
            assert set(selected) <= labels[name], expression


def test_each_alert_says_how_urgent_it_is_and_the_documents_what_to_do():
    documented = (ROOT / "docs" / "operations.md").read_text().split("\n## Alerts\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \((page|ticket)\) \| (.*) \| (.*) \|$", documented, re.MULTILINE)
    assert [name for name, *_ in rows] == list(rules())
    for name, severity, meaning, what_to_do in rows:
        assert f"severity: {severity}" in rules()[name]
        assert "summary:" in rules()[name]
        assert len(meaning) > 20, name
        assert len(what_to_do) > 20, name


def test_the_documents_name_each_metric(shown):
    described = (ROOT / "docs" / "monitoring.md").read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(misar_\w+)", described))
    families = {family.name + ("_total" if family.type == "counter" else "") for family in shown.families}
    assert named == families


def test_the_dashboard_begins_with_the_money_and_its_panels_do_not_overlap():
    titles = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert titles[0].startswith("Money")
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    assert all(panel["description"] for panel in panels() if panel["type"] != "row")


def promtool(*arguments: str) -> str:
    if not shutil.which("promtool"):
        pytest.skip("There is no promtool here; it is in Debian's package prometheus.")
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_accepts_the_rules_and_the_example():
    assert "SUCCESS" in promtool("check", "rules", str(RULES))
    assert "SUCCESS" in promtool("check", "config", str(SCRAPE))


def test_alerts_fire_when_they_should_and_not_before():
    assert "SUCCESS" in promtool("test", "rules", str(RULE_TESTS))


def test_prometheus_accepts_each_expression_of_the_dashboard(tmp_path):
    """As rules, since promtool reads no dashboards."""
    lines = ["groups:", "  - name: panels", "    rules:"]
    for number, panel_expression in enumerate(
        target["expr"] for panel in panels() for target in panel.get("targets", ())
    ):
        expression = panel_expression.replace("$__rate_interval", "1m")
        lines += [f"      - record: panel:{number}", f"        expr: {json.dumps(expression)}"]
    (tmp_path / "panels.yml").write_text("\n".join(lines) + "\n")
    assert "SUCCESS" in promtool("check", "rules", str(tmp_path / "panels.yml"))


def test_prometheus_accepts_the_exposition(shown):
    if not shutil.which("promtool"):
        pytest.skip("There is no promtool here; it is in Debian's package prometheus.")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=shown.text, capture_output=True, text=True, timeout=120
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
