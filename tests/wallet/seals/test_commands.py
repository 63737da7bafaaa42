"""How the commands of seals and exports end: what they refuse, what stops them, and what they say then."""

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, transaction

from foundation.operators import explained
from tests.wallet.entries import sql
from tests.wallet.past import wrote
from tests.wallet.seals.samples import made_export, run, write_rows, write_seals
from wallet.models import Audit
from wallet.seals import checking, heads

AWAY = {
    "ENVIRONMENT": "sandbox",
    "SECRET_KEY": "for this test only",
    "DATABASE_URL": "postgres://x@127.0.0.1:9/x",
}


def manage(*words: str, environment: dict[str, str], output: int = subprocess.PIPE) -> tuple[int, str, str]:
    """Run a command in a process of its own: the exit code, and what it wrote to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


def refusal(command: str, *options: str) -> tuple[int, str]:
    """The exit code and the sentence of a command that cannot do its work."""
    with pytest.raises(CommandError) as refused:
        call_command(command, *options)
    return refused.value.returncode, str(refused.value)


# --- An auditor ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [{}, {"ENVIRONMENT": "nonsense", "DATABASE_URL": "nonsense"}])
def test_an_export_is_verified_without_any_setting(tmp_path, environment):
    path = str(write_rows(tmp_path / "export", made_export()))
    code, said, trouble = manage("verify_export", path, environment=environment)
    assert (code, trouble) == (0, "")
    assert said.startswith("12 entries, ")


def test_other_commands_still_refuse_to_start_without_settings(tmp_path):
    environment = {"DATA_DIR": str(tmp_path), "DATABASE_URL": AWAY["DATABASE_URL"]}
    code, _, trouble = manage("export_ledger", "--to", str(tmp_path / "x"), environment=environment)
    assert code == 2
    assert trouble.startswith("Production cannot start: SECRET_KEY is not set.")


def test_wallets_that_an_export_hides_are_said_to_be_unproven(sealed, tmp_path, capsys):
    path = str(tmp_path / "export")
    assert run("export_ledger", "--to", path, "--user", "usr_10") == 0
    assert run("verify_export", path) == 0
    hidden = "1 of 7 wallets; the others are hidden and nothing is proven about them."
    assert hidden in capsys.readouterr().out
    assert run("verify_export", path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["hidden_wallets"] == 6
    assert run("export_ledger", "--to", str(tmp_path / "all")) == 0
    assert run("verify_export", str(tmp_path / "all")) == 0
    assert "hidden" not in capsys.readouterr().out


# --- What an export refuses -----------------------------------------------------------------------------


def test_a_wallet_that_never_was_is_not_exported(sealed, tmp_path):
    path = str(tmp_path / "export")
    assert refusal("export_ledger", "--to", path, "--user", "usr_x") == (2, "There is no wallet of 'usr_x'.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("until", ["2026-03-02", "2026-03-01"])
def test_a_period_must_have_a_day(sealed, tmp_path, until):
    options = ["--to", str(tmp_path / "export"), "--since", "2026-03-02", "--until", until]
    assert refusal("export_ledger", *options) == (2, "--since must be before --until.")
    assert list(tmp_path.iterdir()) == []


def test_a_period_without_entries_proves_none(sealed, tmp_path, capsys):
    path = str(tmp_path / "export")
    assert run("export_ledger", "--to", path, "--since", "2999-01-01", "--until", "2999-01-02") == 0
    assert "The file has no entry, so it proves none." in capsys.readouterr().out
    assert run("verify_export", path) == 0
    said = capsys.readouterr().out
    assert "The file has no entry, so it proves none." in said
    assert "Every entry" not in said


@pytest.mark.parametrize("command", ["export_ledger", "seal_ledger"])
def test_a_file_needs_a_name(transactional_db, command):
    assert "the name of the file is empty" in refusal(command, "--to", "")[1]


# --- What stops a command -------------------------------------------------------------------------------


def press_ctrl_c() -> None:
    """Python's answer to SIGINT, which the processes of pytest ignore."""
    raise KeyboardInterrupt


STOPS = {
    "SIGTERM": (lambda: signal.raise_signal(signal.SIGTERM), 143, "It was stopped by SIGTERM."),
    "Ctrl-C": (press_ctrl_c, 130, "It was interrupted."),
}


@pytest.fixture(params=list(STOPS.values()), ids=list(STOPS))
def stop(request) -> Iterator[tuple[Callable[[], None], int, str]]:
    """What stops a command, and the exit code and the sentence then."""
    handler = signal.getsignal(signal.SIGTERM)
    yield request.param
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.parametrize("command", ["export_ledger", "seal_ledger"])
def test_a_stopped_command_leaves_no_part_of_a_file(sealed, tmp_path, monkeypatch, stop, command):
    happens, code, sentence = stop
    of_books = heads.of_books

    def stopped():
        yield next(of_books())
        assert [each.suffix for each in tmp_path.iterdir()] == [".part"]
        happens()

    monkeypatch.setattr(heads, "of_books", stopped)
    assert refusal(command, "--to", str(tmp_path / "file")) == (code, sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_check_is_recorded_as_unfinished(sealed, monkeypatch, stop):
    happens, code, sentence = stop

    def stopped(**options):
        sql("SELECT 1")
        happens()
        yield

    monkeypatch.setattr(checking, "find_differences", stopped)
    assert refusal("check_ledger", "--seals") == (code, sentence)
    audit = Audit.objects.get()
    assert (audit.kind, audit.outcome, audit.remark) == ("seals", "unfinished", sentence)


# --- What cannot be written -----------------------------------------------------------------------------


def closed_pipe() -> int:
    reads, writes = os.pipe()
    os.close(reads)
    return writes


OUTPUTS = {
    "closed pipe": (closed_pipe, "Broken pipe"),
    "full disk": (lambda: os.open("/dev/full", os.O_WRONLY), "No space left on device"),
}


@pytest.mark.parametrize(("opened", "why"), OUTPUTS.values(), ids=OUTPUTS)
def test_a_report_that_cannot_be_written_is_a_sentence(tmp_path, opened, why):
    path = str(write_rows(tmp_path / "export", made_export()))
    output = opened()
    try:
        code, _, trouble = manage("verify_export", path, environment={}, output=output)
    finally:
        os.close(output)
    assert (code, trouble) == (2, f"CommandError: Could not write to stdout: {why}.\n")


@contextmanager
def a_disk_of(octets: int) -> Iterator[None]:
    """A process that may write no larger file: for the writer this is as a full disk."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.parametrize("name", ["file", "file.gz"])
@pytest.mark.parametrize("command", ["export_ledger", "seal_ledger"])
def test_a_full_disk_is_a_sentence_and_leaves_no_file(sealed, tmp_path, command, name):
    path = tmp_path / name
    with a_disk_of(100):
        assert refusal(command, "--to", str(path)) == (2, f"Could not write {path}: File too large.")
    assert list(tmp_path.iterdir()) == []


def test_a_minus_is_called_stdout(sealed, capsys):
    assert run("seal_ledger", "--to", "-") == 0
    assert " stdout has the last seals of 7 wallets" in capsys.readouterr().err


# --- Roles and releases ---------------------------------------------------------------------------------


def test_a_role_that_may_not_write_is_refused_with_the_one_that_may(sealed):
    role = f"misar_reader_{uuid4().hex[:12]}"
    with transaction.atomic():
        wrote(5, "2026-03-01 12:00:00", user_id="usr_new")
    sql(f"CREATE ROLE {role}")
    try:
        sql(f"GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        sql(f"SET ROLE {role}")
        code, sentence = refusal("seal_ledger")
        unclosed = refusal("close_days")
    finally:
        sql("RESET ROLE")
        sql(f"DROP OWNED BY {role}")
        sql(f"DROP ROLE {role}")
    as_operator = "Run it as the operator role (docs/database.md)."
    assert (code, sentence) == (
        2,
        f"Could not seal: permission denied for table wallet_seal. {as_operator}",
    )
    assert unclosed[0] == 2
    assert unclosed[1].startswith("Could not close days: permission denied for table wallet_")
    assert unclosed[1].endswith(as_operator)


def test_a_missing_table_is_a_migration_that_has_not_run(db):
    with pytest.raises(ProgrammingError) as missing, transaction.atomic():
        sql("SELECT 1 FROM wallet_none")
    assert explained(missing.value) == 'relation "wallet_none" does not exist. Run migrate.'


@pytest.mark.parametrize(
    ("words", "purpose"),
    [(["close_days"], "close days"), (["seal_ledger"], "seal"), (["export_ledger", "--to", "x"], "export")],
)
def test_a_database_that_is_away_is_a_sentence(tmp_path, words, purpose):
    code, said, trouble = manage(*words, environment={**AWAY, "DATA_DIR": str(tmp_path)})
    assert (code, said) == (2, "")
    assert trouble.startswith(f"CommandError: Could not {purpose}: ")
    assert "Traceback" not in trouble


# --- Seal files that are damaged --------------------------------------------------------------------------


def test_a_damaged_seal_file_is_named_once(sealed, tmp_path, capsys):
    path = tmp_path / "seals"
    write_seals(path)
    path.write_text(path.read_text().replace("usr_2", "usr_0"))
    assert run("check_ledger", "--seals", "--file", str(path)) == 1
    [said] = [line for line in capsys.readouterr().out.splitlines() if str(path) in line]
    assert said.count(str(path)) == 1
    assert f"{path}: line " in said


def test_a_file_without_a_first_line_is_said_to_have_none(tmp_path, capsys):
    cut = tmp_path / "cut"
    cut.write_bytes(gzip.compress(json.dumps(made_export()).encode())[:20])
    code, sentence = refusal("verify_export", str(cut))
    assert (code, sentence) == (
        2,
        f"Could not verify: {cut}: the file breaks off or is damaged in its first line.",
    )
