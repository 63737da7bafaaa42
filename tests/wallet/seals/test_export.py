"""The export of sealed books, and its verification."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction

from tests import crowd
from tests.wallet import racing
from tests.wallet.entries import sql
from tests.wallet.past import charged, wrote
from tests.wallet.resting import resting_triggers
from tests.wallet.seals.samples import (
    WALLETS,
    Row,
    made_export,
    recomputed,
    rows_of,
    run,
    seal_in_stretches,
    verify,
    write_export,
    write_rows,
    write_seals,
)
from wallet.models import Entry
from wallet.seals import export, sealing
from wallet.seals.export import Scope


def entries_of(path: Path) -> list[dict]:
    return [row["entry"] for row in rows_of(path) if "entry" in row]


@pytest.mark.parametrize("name", ["export.jsonl", "export.jsonl.gz"])
def test_everything_is_in_the_file_and_proven(sealed, tmp_path, name):
    seals, path = tmp_path / "seals", tmp_path / name
    kept = write_seals(seals)
    exported = write_export(path, seals=seals)
    verified = verify(path, seals=seals)
    assert (verified.findings, exported.differences) == ([], [])
    assert exported.root == verified.root == kept["root"]
    assert (exported.entries, exported.wallets, exported.unsealed) == (Entry.objects.count(), len(WALLETS), 0)
    assert (verified.entries, verified.exported_wallets, verified.wallets) == (exported.entries, 7, 7)
    order = [row["wallet"] for row in rows_of(path) if "wallet" in row]
    assert order == WALLETS
    facts = [(each["wallet_id"], each["sequence"], each["id"], each["credits"]) for each in entries_of(path)]
    stored = Entry.objects.values_list("wallet_id", "sequence", "pk", "credits")
    assert sorted(facts) == sorted(stored)
    assert not any("subtree" in row for row in rows_of(path))


def test_the_parts_of_an_entry_come_with_it(sealed, tmp_path):
    write_export(tmp_path / "export")
    theirs = {each["kind"]: each for each in entries_of(tmp_path / "export") if each["wallet_id"] == "usr_1"}
    assert theirs["grant"]["lot"][0]["reason"] == "Für dich: 5:7 – 🪙\n"
    assert [move["credits"] for move in theirs["capture"]["moves"]] == [-7]
    assert theirs["capture"]["hold"][0]["captured_count"] == 11
    assert theirs["capture"]["hold"][0]["parts"][0]["credits"] == 7
    assert theirs["refund"]["give_back"][0]["requested"] == 2
    assert "moves" not in theirs["topup"]
    assert datetime.fromisoformat(theirs["grant"]["created_at"]).utcoffset() == timedelta(0)


def test_one_user(sealed, tmp_path):
    seals, path = tmp_path / "seals", tmp_path / "export"
    write_seals(seals)
    exported = write_export(path, seals=seals, user="usr_10")
    verified = verify(path, seals=seals)
    assert verified.findings == []
    assert (exported.wallets, exported.entries, verified.exported_wallets, verified.wallets) == (1, 3, 1, 7)
    assert verified.user == "usr_10"
    assert {each["wallet_id"] for each in entries_of(path)} == {"usr_10"}
    others = set(WALLETS) - {"usr_10"}
    assert not any(json.dumps(name) in path.read_text() for name in others)
    assert any("subtree" in row for row in rows_of(path))


def test_a_user_without_entries(sealed, tmp_path):
    exported = write_export(tmp_path / "export", user="usr_3")
    assert (exported.entries, exported.unsealed, exported.differences) == (0, 0, [])
    verified = verify(tmp_path / "export", root=exported.root)
    assert (verified.findings, verified.entries) == ([], 0)


# --- Periods ----------------------------------------------------------------------------------------

A_DAY = timedelta(days=1)
BEGINS = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def ten_days(transactional_db, article_rate):
    """A wallet with an entry at the beginning of March, two on each of ten days, and a seal of each three."""
    with transaction.atomic():
        wrote(1000, BEGINS)
        for half in range(1, 21):
            charged(1, BEGINS + half * A_DAY / 2)
        wrote(10, BEGINS, user_id="usr_2")
    seal_in_stretches("usr_1", 3)
    sealing.seal()


def day(number: int) -> datetime:
    return BEGINS + number * A_DAY


@pytest.mark.parametrize(
    ("since", "until"), [(day(0), None), (day(4), day(5)), (day(4), None), (None, day(4)), (day(10), day(12))]
)
def test_a_period_has_its_entries_and_their_neighbours(ten_days, tmp_path, since, until):
    path = tmp_path / "export"
    exported = write_export(path, since=since, until=until, user="usr_1")
    verified = verify(path, root=exported.root)
    assert (verified.findings, exported.unsealed, exported.differences) == ([], 0, [])
    assert (verified.since, verified.until) == (since, until)
    period = Entry.objects.filter(wallet_id="usr_1")
    period = period.filter(created_at__gte=since) if since else period
    period = period.filter(created_at__lt=until) if until else period
    theirs = {each["sequence"] for each in entries_of(path)}
    first, last = period.earliest("sequence").sequence, period.latest("sequence").sequence
    assert theirs >= {max(first - 1, 1), *range(first, last + 1), min(last + 1, 21)}
    assert len(theirs) <= last - first + 3 + 2 * 2  # Of the first seal and of the last, at most two others.


def test_a_wallet_without_entries_in_the_period_is_not_exported(ten_days, tmp_path):
    exported = write_export(tmp_path / "export", since=day(2))
    assert (exported.wallets, exported.unsealed) == (1, 0)
    assert "usr_2" not in (tmp_path / "export").read_text()
    assert verify(tmp_path / "export").findings == []


def test_a_forged_beginning_of_the_period_is_noticed(ten_days, tmp_path):
    """The first exported seal is left out, and its hash is given as that of the seal before the period."""
    exported = write_export(tmp_path / "export", since=day(4), until=day(6), user="usr_1")
    rows = rows_of(tmp_path / "export")
    first, second = [index for index, row in enumerate(rows) if "seal" in row][:2]
    rows[first - 1] |= {"after": rows[first]["seal"], "hash": rows[first]["hash"]}
    path = write_rows(tmp_path / "changed", recomputed(rows[:first] + rows[second:]))
    [finding] = verify(path, root=exported.root).findings
    assert finding.detail == "entry 9 is missing, which shows where the period begins"


def test_a_forged_end_of_the_period_is_noticed(ten_days, tmp_path):
    """The last seal with entries comes without them, as one after the period does."""
    exported = write_export(tmp_path / "export", since=day(4), until=day(6), user="usr_1")
    rows = rows_of(tmp_path / "export")
    last = [index for index, row in enumerate(rows) if row.get("with_entries")][-1]
    rows[last]["with_entries"] = False
    left = rows[: last + 1] + [row for row in rows[last + 1 :] if "entry" not in row]
    [finding] = verify(write_rows(tmp_path / "changed", recomputed(left)), root=exported.root).findings
    assert finding.detail == "the entry is missing that shows where the period ends"


# --- What is not sealed -----------------------------------------------------------------------------


def test_entries_that_no_seal_covers_are_counted(sealed, give, tmp_path):
    give("usr_new", 10)
    racing.charge(1, user_id="usr_1")
    racing.charge(1, user_id="usr_1")
    assert write_export(tmp_path / "1").unsealed == 3
    assert write_export(tmp_path / "2", user="usr_1").unsealed == 2
    assert write_export(tmp_path / "3", user="usr_new").unsealed == 1
    assert write_export(tmp_path / "4", until=datetime(2020, 1, 1, tzinfo=UTC)).unsealed == 0
    assert verify(tmp_path / "1").findings == []


def test_what_was_sealed_after_the_seal_file_is_left_out(sealed, give, tmp_path):
    seals, path = tmp_path / "seals", tmp_path / "export"
    kept = write_seals(seals)
    before = Entry.objects.count()
    give("usr_new", 10)
    racing.charge(1, user_id="usr_1")
    sealing.seal()
    exported = write_export(path, seals=seals)
    assert (exported.entries, exported.unsealed, exported.root) == (before, 2, kept["root"])
    verified = verify(path, seals=seals, root=kept["root"])
    assert (verified.findings, verified.entries) == ([], before)
    now = write_export(tmp_path / "now")
    assert (now.entries, now.unsealed) == (before + 2, 0)
    [finding] = verify(tmp_path / "now", seals=seals).findings
    assert finding.subject == "root"
    assert "made from other seals" in finding.detail


def test_an_export_of_the_same_moment_fits_a_seal_file_that_it_was_not_made_from(sealed, tmp_path):
    write_seals(tmp_path / "seals")
    write_export(tmp_path / "export")
    assert verify(tmp_path / "export", seals=tmp_path / "seals").findings == []


# --- Books that were changed ------------------------------------------------------------------------


@pytest.mark.breaks_the_books
def test_books_that_differ_from_their_seals_are_exported_and_said_to_differ(sealed, tmp_path, capsys):
    write_seals(tmp_path / "seals")
    with transaction.atomic(), resting_triggers():
        sql("UPDATE wallet_entry SET feature = 'mail.send' WHERE wallet_id = 'Z' AND sequence = 2")
        sql("DELETE FROM wallet_entry WHERE wallet_id = 'usr_10' AND sequence = 2")
        sql("DELETE FROM wallet_entry WHERE wallet_id = 'a:b'")
        sql("DELETE FROM wallet_seal WHERE wallet_id = 'usr_2' AND after > 0")
    assert run("export_ledger", "--to", str(tmp_path / "export"), "--seals", str(tmp_path / "seals")) == 1
    said = capsys.readouterr().err
    assert "a:b: it has seals, but no entries." in said
    assert "usr_10: 2 entries from 1 to 3" in said or "usr_10: 1 entries from 1 to 2" in said
    assert "usr_2: the books have no seal up to 4, which the seal file has" in said
    findings = verify(tmp_path / "export", seals=tmp_path / "seals").findings
    found = {each.subject: each.detail for each in findings}
    assert found["wallet Z"] == "entries 1 to 2 are not those that were sealed"
    assert "wallet usr_10" in found
    assert found["wallet usr_2"] == "its seal up to 2 is one up to 4 in the seal file"
    assert "root" in found


# --- The command ------------------------------------------------------------------------------------


def test_the_commands(sealed, tmp_path, capsys):
    path, seals = str(tmp_path / "export.gz"), str(tmp_path / "seals.gz")
    root = write_seals(tmp_path / "seals.gz")["root"]
    assert run("export_ledger", "--to", path, "--seals", seals) == 0
    said, trouble = capsys.readouterr()
    assert said.startswith("22 entries of 7 wallets in ")
    assert f"Root: {root}" in said
    assert trouble == ""
    assert run("verify_export", path) == 0
    assert "Compare the root with the one that was kept." in capsys.readouterr().out
    assert run("verify_export", path, "--seals", seals) == 0
    assert "the root is the one that was kept." in capsys.readouterr().out
    assert run("verify_export", path, "--root", root.upper()) == 0
    capsys.readouterr()
    assert run("verify_export", path, "--root", "0" * 64, "--json") == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["findings"] == [
        {"subject": "root", "detail": f"the heads in this file give {root}, not {'0' * 64}"}
    ]
    assert (facts["entries"], facts["wallets"], facts["proven"]) == (22, 7, False)


def test_a_period_and_a_user_by_options(ten_days, tmp_path, capsys):
    path = str(tmp_path / "export")
    options = ["--user", "usr_1", "--since", "2026-03-05", "--until", "2026-03-06"]
    assert run("export_ledger", "--to", path, *options) == 0
    assert run("verify_export", path, "--json") == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (facts["user"], facts["since"], facts["until"]) == (
        "usr_1",
        "2026-03-05T00:00:00+00:00",
        "2026-03-06T00:00:00+00:00",
    )
    with pytest.raises(CommandError, match="not a date"):
        call_command("export_ledger", "--to", str(tmp_path / "2"), "--since", "yesterday")


def test_a_file_is_never_overwritten(sealed, tmp_path, capsys):
    path = tmp_path / "export"
    path.write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("export", "link", "no folder/export"):
        assert run("export_ledger", "--to", str(tmp_path / name)) == 2
    assert path.read_text() == "kept"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["export", "link"]


def test_a_failed_export_leaves_no_file(sealed, tmp_path):
    assert run("export_ledger", "--to", str(tmp_path / "export"), "--seals", str(tmp_path / "none")) == 2
    broken = rows_of_seals(tmp_path)[:-1]
    write_rows(tmp_path / "broken", broken)
    assert run("export_ledger", "--to", str(tmp_path / "export"), "--seals", str(tmp_path / "broken")) == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["broken", "seals"]


def rows_of_seals(tmp_path: Path) -> list[Row]:
    write_seals(tmp_path / "seals")
    return rows_of(tmp_path / "seals")


def test_a_minus_writes_to_stdout_and_sentences_to_stderr(sealed, tmp_path, capsys):
    assert run("export_ledger", "--to", "-") == 0
    out, err = capsys.readouterr()
    assert "22 entries" in err
    (tmp_path / "export").write_text(out)
    assert verify(tmp_path / "export").findings == []


def test_a_role_that_may_only_read_can_export(sealed, tmp_path):
    role = f"misar_reader_{uuid4().hex[:12]}"
    sql(f"CREATE ROLE {role}")
    try:
        sql(f"GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        sql(f"SET ROLE {role}")
        assert run("export_ledger", "--to", str(tmp_path / "export")) == 0
    finally:
        sql("RESET ROLE")
        sql(f"DROP OWNED BY {role}")
        sql(f"DROP ROLE {role}")
    assert verify(tmp_path / "export").findings == []


def test_one_moment_is_exported_while_charges_and_seals_go_on(sealed, give, tmp_path, monkeypatch):
    """The export stops in its middle until other connections have charged and sealed."""
    monkeypatch.setattr(export, "READ_MAX", 2)
    kept = write_seals(tmp_path / "seals")
    before = Entry.objects.count()

    def charge_and_seal() -> None:
        for name in WALLETS:
            racing.charge(1, user_id=name)
        sealing.seal()

    others: list[int] = []

    def on_entries(count: int) -> None:
        if not others:
            crowd.at_once([charge_and_seal])
            others.append(count)

    exported = export.write(
        str(tmp_path / "export"), stdout=io.StringIO(), scope=Scope(), on_entries=on_entries
    )
    assert others
    assert Entry.objects.count() == before + 7
    assert (exported.entries, exported.unsealed, exported.root) == (before, 0, kept["root"])
    assert verify(tmp_path / "export", root=kept["root"]).findings == []
    assert write_export(tmp_path / "now").entries == before + 7


@pytest.mark.parametrize(
    "setting",
    [
        "DateStyle = 'German'",
        "TimeZone = 'Asia/Kathmandu'",
        "IntervalStyle = 'iso_8601'",
        "bytea_output = 'escape'",
    ],
)
def test_no_setting_of_the_session_changes_the_file(sealed, tmp_path, setting):
    write_export(tmp_path / "1")
    sql(f"SET {setting}")
    try:
        write_export(tmp_path / "2")
    finally:
        sql(f"RESET {setting.split()[0]}")
    assert rows_of(tmp_path / "1")[1:] == rows_of(tmp_path / "2")[1:]


def test_verifying_needs_no_database(tmp_path):
    """In a process whose database cannot be reached."""
    path = write_rows(tmp_path / "export", made_export())
    environment = {"ENVIRONMENT": "sandbox", "SECRET_KEY": "for this test only", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "manage.py", "verify_export", str(path)],
        cwd=settings.BASE_DIR,
        env={**environment, "DATABASE_URL": "postgres://nobody@localhost:1/none", "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("12 entries, ")
