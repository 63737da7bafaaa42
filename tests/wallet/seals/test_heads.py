"""The seal file: written whole or not at all, never over another file, and refused if it was changed."""

import gc
import gzip
import io
import json
import stat
import warnings
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from tests.wallet import racing
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from tests.wallet.seals.samples import WALLETS, made_export, made_seals, rows_of, run, write_rows, write_seals
from tests.wallet.seals.test_merkle import defined_root
from wallet.models import Seal, TableSeal
from wallet.seals import heads, sealing
from wallet.seals.files import FileRefused, NotAsWritten

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module", autouse=True)
def nothing_left_of_other_tests() -> None:
    """Collect their garbage now: a socket that one of them left open warns when it goes, here as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.mark.parametrize("name", ["seals.jsonl", "seals.jsonl.gz"])
def test_the_file_has_the_last_seal_of_each(sealed, tmp_path, name):
    summary = write_seals(tmp_path / name)
    first, *lines, last = rows_of(tmp_path / name)
    assert last == summary
    assert (first["file"], first["format"]) == ("seals", 1)
    tables, wallets = lines[: summary["tables"]], lines[summary["tables"] :]
    assert [row["wallet"] for row in wallets] == WALLETS == sorted(WALLETS, key=str.encode)
    for row in wallets:
        seal = Seal.objects.filter(wallet_id=row["wallet"]).latest("after")
        assert (row["sequence"], row["hash"]) == (seal.sequence, bytes(seal.hash).hex())
    names = sorted(set(TableSeal.objects.values_list("table_name", flat=True)))
    assert [row["table"] for row in tables] == names
    for row in tables:
        newest = TableSeal.objects.filter(table_name=row["table"]).latest("after")
        assert (row["key"], row["hash"]) == (newest.key, bytes(newest.hash).hex())


def test_the_root_is_that_of_the_rfc_over_the_canonical_text(sealed, tmp_path):
    root = write_seals(tmp_path / "seals")["root"]
    leaves = []
    for row in rows_of(tmp_path / "seals")[1:-1]:
        kind, place = ("wallet", "sequence") if "wallet" in row else ("table", "key")
        texts = [kind, row[kind], str(row[place]), row["hash"]]
        leaves.append(b"".join(b"%d:%b" % (len(text.encode()), text.encode()) for text in texts))
    assert root == defined_root(leaves).hex()


def test_it_is_read_again(sealed, tmp_path):
    summary = write_seals(tmp_path / "seals.gz")
    file = heads.SealFile(str(tmp_path / "seals.gz"))
    assert [head.name for head in file if head.kind == "wallet"] == WALLETS
    assert (file.wallets, file.tables, file.root.hex()) == tuple(summary.values())


@pytest.mark.breaks_the_books
@pytest.mark.django_db
def test_the_heads_are_found_without_reading_all_seals():
    columns = "wallet_id, after, sequence, format, entries_digest, hash, sealed_at"
    sql(
        f"INSERT INTO wallet_seal ({columns}) SELECT 'usr_' || wallet, after, after + 1, 1, '', '', now()"
        " FROM generate_series(1, 5) wallet, generate_series(0, 999) after"
    )
    sql("ANALYZE wallet_seal")
    [(text,)] = sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {heads.WALLETS}")
    plan = (text if isinstance(text, list) else json.loads(text))[0]["Plan"]
    assert plan["Actual Rows"] == 5
    assert rows_read(plan) <= 10


def rows_read(plan: dict[str, Any]) -> int:
    """How many rows a plan reads from tables and indexes."""
    read = 0
    if "Relation Name" in plan:
        read = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return read + sum(rows_read(part) for part in plan.get("Plans", []))


def test_without_seals_the_file_has_no_heads(transactional_db, tmp_path):
    summary = write_seals(tmp_path / "seals")
    assert (summary["wallets"], summary["tables"]) == (0, 0)
    file = heads.SealFile(str(tmp_path / "seals"))
    assert list(file) == []
    assert file.root.hex() == summary["root"]


def test_the_same_seals_give_the_same_root_and_more_seals_another(sealed, tmp_path):
    first, second = write_seals(tmp_path / "1"), write_seals(tmp_path / "2")
    racing.charge(1, user_id="Z")
    assert write_seals(tmp_path / "3") == first == second
    sealing.seal()
    assert write_seals(tmp_path / "4")["root"] != first["root"]


def after_three_heads(monkeypatch, call):
    """Let something happen while a file is written."""
    of_books = heads.of_books

    def watched():
        for number, head in enumerate(of_books()):
            if number == 3:
                call()
            yield head

    monkeypatch.setattr(heads, "of_books", watched)


def test_a_file_is_written_whole_or_not_at_all(sealed, tmp_path, monkeypatch):
    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        after_three_heads(patch, stop)
        with pytest.raises(KeyboardInterrupt):
            write_seals(tmp_path / "seals")
    assert list(tmp_path.iterdir()) == []
    write_seals(tmp_path / "seals")
    assert stat.S_IMODE((tmp_path / "seals").stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["seals"]


def test_a_file_is_never_overwritten(sealed, tmp_path, monkeypatch):
    path = tmp_path / "seals"
    after_three_heads(monkeypatch, lambda: path.write_text("by another process"))
    with pytest.raises(FileRefused, match="is never overwritten"):
        write_seals(path)
    with pytest.raises(FileRefused, match="Choose another name"):
        write_seals(path)
    assert path.read_text() == "by another process"
    assert [each.name for each in tmp_path.iterdir()] == ["seals"]


def test_a_minus_is_stdout(sealed, tmp_path):
    stdout = io.StringIO()
    heads.write("-", stdout=stdout)
    (tmp_path / "seals").write_text(stdout.getvalue())
    assert len(list(heads.SealFile(str(tmp_path / "seals")))) == stdout.getvalue().count("\n") - 2
    assert stdout.getvalue().isascii()


def test_a_name_with_control_characters_is_shown_escaped(sealed, tmp_path):
    with transaction.atomic(), resting_triggers():
        sql(
            "INSERT INTO wallet_seal (wallet_id, after, sequence, format, entries_digest, hash, sealed_at)"
            " SELECT E'\\x1b[2J', after, sequence, format, entries_digest, hash, sealed_at"
            " FROM wallet_seal WHERE wallet_id = 'Z'"
        )
    write_seals(tmp_path / "seals")
    shown = [str(head) for head in heads.SealFile(str(tmp_path / "seals")) if head.kind == "wallet"]
    assert shown[0] == 'wallet "\\u001b[2J"'


def test_the_command_writes_its_sentences_elsewhere_than_the_file(sealed, tmp_path, capsys):
    racing.charge(1, user_id="Z")
    assert run("seal_ledger", "--to", "-") == 0
    out, err = capsys.readouterr()
    (tmp_path / "seals").write_text(out)
    file = heads.SealFile(str(tmp_path / "seals"))
    assert [head.name for head in file if head.kind == "wallet"] == WALLETS
    assert "1 entry of 1 wallet" in err
    assert run("seal_ledger", "--to", str(tmp_path / "again")) == 0
    assert file.root.hex() in capsys.readouterr().out


# --- Files that are not as written ------------------------------------------------------------------


def reading(path: Path) -> str:
    """Why a file is refused."""
    with pytest.raises(NotAsWritten) as refusal:
        list(heads.SealFile(str(path)))
    return str(refusal.value)


ROWS = made_seals(made_export())
SWAPPED = [*ROWS[:3], ROWS[4], ROWS[3], *ROWS[5:]]
LAST = {**ROWS[-1]}


@pytest.mark.parametrize(
    ("rows", "why"),
    [  # The second column is what follows the name of the file.
        (ROWS[:-1], "line 6: the file breaks off: its last line is missing."),
        (ROWS[1:], "line 1: not the first line of a file of seals."),
        ([{**ROWS[0], "file": "export"}, *ROWS[1:]], "line 1: not the first line of a file of seals."),
        ([{**ROWS[0], "format": 2}, *ROWS[1:]], "line 1: a format that this release does not know."),
        ([{**ROWS[0], "format": True}, *ROWS[1:]], "line 1: a format that this release does not know."),
        (
            [{**ROWS[0], "made_at": "today"}, *ROWS[1:]],
            "line 1: made_at is no time in UTC with microseconds.",
        ),
        ([*ROWS, ROWS[-1]], "line 8: the file goes on after its last line."),
        (SWAPPED, "line 5: the wallet usr_1 is out of order, or there twice."),
        ([*ROWS[:4], *ROWS[3:]], "line 5: the wallet usr_1 is out of order, or there twice."),
        (
            [ROWS[0], *ROWS[3:6], *ROWS[1:3], LAST],
            "line 5: the table accounts_act is out of order",
        ),
        (ROWS[:4] + ROWS[5:], "line 6: the counts or the root are not those of the heads in this file."),
        (
            [*ROWS[:-1], {**LAST, "root": "0" * 64}],
            "line 7: the counts or the root",
        ),
        ([*ROWS[:-1], {**LAST, "wallets": 4}], "line 7: the counts or the root"),
        ([*ROWS[:-1], {**LAST, "more": 4}], "line 7: has other fields than wallets, tables, root."),
        (
            [*ROWS[:3], {**ROWS[3], "sequence": "6"}, *ROWS[4:]],
            "line 4: sequence is no whole number",
        ),
        ([*ROWS[:3], {**ROWS[3], "hash": "A" * 64}, *ROWS[4:]], "line 4: hash is no SHA-256"),
        ([*ROWS[:3], {**ROWS[3], "wallet": 7}, *ROWS[4:]], "line 4: wallet is no text."),
        ([*ROWS[:3], {"hash": "0" * 64}, *ROWS[4:]], "line 4: has other fields than table, key, hash."),
    ],
)
def test_a_file_that_was_changed_is_refused_with_the_line(tmp_path, rows, why):
    assert reading(write_rows(tmp_path / "seals", rows)).startswith(f"{tmp_path / 'seals'}, {why}")


def test_an_empty_file_is_refused(tmp_path):
    assert reading(write_rows(tmp_path / "seals", [])) == f"{tmp_path / 'seals'}: the file is empty."


def test_every_changed_head_is_noticed(tmp_path):
    for index, row in enumerate(ROWS[1:-1], start=1):
        for name, value in row.items():
            changed = value + 1 if isinstance(value, int) else value[:-1] + chr(ord(value[-1]) + 1)
            rows = [*ROWS[:index], {**row, name: changed}, *ROWS[index + 1 :]]
            assert reading(write_rows(tmp_path / "seals", rows))


def test_a_file_that_cannot_be_opened_is_no_damaged_file(tmp_path):
    for path in (tmp_path / "none", tmp_path, "with\0nul"):
        with pytest.raises(FileRefused) as refusal:
            heads.SealFile(str(path))
        assert not isinstance(refusal.value, NotAsWritten)


def test_a_damaged_compressed_file_is_refused(tmp_path):
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode())
    for octets in (
        whole[:-9],
        whole[:60],
        whole[:12],
        whole[:-6] + b"\0" * 6,
        whole[:40] + b"\0" + whole[41:],
    ):
        (tmp_path / "seals").write_bytes(octets)
        assert reading(tmp_path / "seals")
