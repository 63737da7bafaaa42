"""`check_ledger --seals`: what it prints, its exit codes, and the examination that it stores."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from misar_billing.management.commands.check_ledger import NOT_CLEARED
from tests.wallet import racing
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from tests.wallet.seals import history
from wallet.models import Audit
from wallet.seals import sealing
from wallet.seals.checking import CHANGED, COMPARED, FILE, HEADS
from wallet.seals.heads import SealFile

# The command reads in a transaction of its own.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.breaks_the_books]


@pytest.fixture
def sealed(give, article_rate):
    history.of_wallets(give)
    history.of_tables()
    sealing.seal()


@pytest.fixture
def seal_file(sealed, tmp_path):
    path = tmp_path / "heads.jsonl"
    call_command("seal_ledger", to=str(path), stdout=StringIO())
    return path


def run(*options):
    """The exit code, and what was printed to stdout and in the error."""
    out = StringIO()
    try:
        call_command("check_ledger", *options, stdout=out)
    except SystemExit as end:
        return end.code, out.getvalue(), ""
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), ""


@transaction.atomic
def without_triggers(query):
    with resting_triggers():
        sql(query)


def test_clean_history_and_what_is_not_sealed(sealed):
    racing.charge(1)
    code, printed, _ = run("--seals")
    assert code == 0
    assert printed.endswith(
        "0 differences from the seals. Younger than the last seals: 1 entry and 0 other rows.\n"
    )
    audit = Audit.objects.latest("id")
    assert (audit.kind, audit.outcome, audit.seen_count, audit.found_count) == ("seals", "clean", 2, 0)


def test_a_difference_is_named_and_stored(sealed):
    without_triggers("UPDATE wallet_entry SET actor = 'x' WHERE wallet_id = 'usr_2' AND sequence = 2")
    named = "entries 1 to 2: 2 entries, as many as were sealed, but changed, replaced or renumbered"
    code, printed, _ = run("--seals")
    assert code == 1
    assert printed.startswith(f"{CHANGED}: usr_2: {named}\n")
    assert "1 difference from the seals." in printed
    assert Audit.objects.latest("id").findings == [{"law": CHANGED, "subject": "usr_2", "detail": named}]
    code, printed, _ = run("--seals", "--json")
    report = json.loads(printed)
    assert (code, report["clean"], report["violations_count"]) == (1, False, 1)
    assert report["violations"] == [{"law": CHANGED, "subject": "usr_2", "detail": named}]
    # The examination before this one.
    assert report["unsealed"] == {"entries": 0, "rows": 1}


def test_one_user_alone(sealed):
    without_triggers("UPDATE wallet_entry SET actor = 'x' WHERE wallet_id = 'usr_2' AND sequence = 2")
    assert run("--seals", "--user", "usr_1")[0] == 0
    assert run("--seals", "--user", "usr_2")[0] == 1
    assert run("--seals", "--user", "usr_unknown")[0] == 2


def test_history_written_anew_is_named_with_the_file(seal_file):
    assert run("--seals", "--file", str(seal_file))[0] == 0
    without_triggers("UPDATE wallet_entry SET actor = 'x' WHERE wallet_id = 'usr_2' AND sequence = 2")
    without_triggers("DELETE FROM wallet_seal")
    sealing.seal()
    assert run("--seals")[0] == 0
    code, printed, _ = run("--seals", "--file", str(seal_file))
    assert code == 1
    assert f"{HEADS}: usr_2: up to 2: the seal has another hash, so history and seals were written" in printed
    assert "usr_1" not in printed


def test_a_file_that_was_changed_is_named(seal_file):
    seal_file.write_text(seal_file.read_text().replace("usr_2", "usr_3"))
    code, printed, _ = run("--seals", "--file", str(seal_file))
    assert code == 1
    assert f"{HEADS}: usr_3: up to 2: the wallet is gone" in printed
    assert f"{FILE}: {seal_file}" in printed


def test_a_file_that_cannot_be_read(sealed, tmp_path):
    code, _, trouble = run("--seals", "--file", str(tmp_path / "missing"))
    assert (code, trouble.startswith("Could not look")) == (2, True)
    assert Audit.objects.latest("id").outcome == "unfinished"


def test_a_seal_file_goes_with_seals(db):
    assert run("--file", "x") == (2, "", "--file goes with --seals.")


def test_the_wallets_that_moved_lately(sealed):
    assert run("--seals", "--since", "1h")[0] == 0
    without_triggers("UPDATE wallet_entry SET reason = 'x' WHERE wallet_id = 'usr_1' AND sequence = 1")
    code, printed, _ = run("--seals", "--since", "1h")
    assert code == 1
    assert printed.startswith(f"{CHANGED}: usr_1: ")


# --- What an examination with a seal file leaves on record ------------------------------------------


def write_anew():
    """Change history, and make its seals anew."""
    without_triggers("UPDATE wallet_entry SET actor = 'x' WHERE wallet_id = 'usr_2' AND sequence = 2")
    without_triggers("DELETE FROM wallet_seal")
    sealing.seal()


def last_audit():
    return Audit.objects.filter(kind="seals").latest("id")


def test_an_examination_says_which_seal_file_it_compared(seal_file):
    file = SealFile(str(seal_file))
    list(file)
    assert run("--seals", "--file", str(seal_file))[0] == 0
    remark = f"Compared with the seal file of {file.made_at.isoformat()}, root {file.root.hex()}."
    assert (last_audit().outcome, last_audit().remark) == ("clean", remark)
    assert run("--seals")[0] == 0
    assert (last_audit().outcome, last_audit().remark) == ("clean", "")


def test_a_clean_run_without_a_file_does_not_clear_what_one_with_a_file_found(seal_file, capsys):
    write_anew()
    assert run("--seals", "--file", str(seal_file))[0] == 1
    with_file = last_audit()
    assert (with_file.outcome, with_file.remark.startswith(COMPARED)) == ("found", True)
    assert run("--seals")[0] == 0
    assert last_audit() == with_file
    assert NOT_CLEARED in capsys.readouterr().err


def test_a_run_without_a_file_that_finds_something_is_stored_nevertheless(seal_file):
    write_anew()
    run("--seals", "--file", str(seal_file))
    without_triggers("UPDATE wallet_entry SET actor = 'x' WHERE wallet_id = 'usr_1' AND sequence = 2")
    assert run("--seals")[0] == 1
    assert (last_audit().outcome, last_audit().remark) == ("found", "")


def test_a_clean_run_with_a_file_clears_what_one_with_a_file_found(seal_file, tmp_path):
    seal_file.with_name("damaged").write_text(seal_file.read_text().replace("usr_2", "usr_3"))
    assert run("--seals", "--file", str(seal_file.with_name("damaged")))[0] == 1
    assert last_audit().remark == "Compared with the seal file up to a line that is not as it was written."
    assert run("--seals", "--file", str(seal_file))[0] == 0
    assert last_audit().outcome == "clean"
    assert run("--seals")[0] == 0
    assert (last_audit().outcome, last_audit().remark) == ("clean", "")
