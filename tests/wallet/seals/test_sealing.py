"""Sealing: what each round covers, several at once, while products charge, and what cannot be sealed yet."""

import re
import threading
from datetime import timedelta
from functools import partial
from importlib import import_module
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.migrations.exceptions import IrreversibleError

from accounts.models import Act, Redaction
from tests.crowd import at_once, begin, second_connection, wallet_locked_by_another
from tests.factories import StaffFactory
from tests.wallet import racing
from tests.wallet.books.guards import refuser
from tests.wallet.entries import sql
from tests.wallet.resting import rest, wake
from tests.wallet.seals import history
from tests.wallet.seals.history import found, seals, unsealed
from wallet.management.commands import seal_ledger
from wallet.models import Entry, Seal, TableSeal
from wallet.prices import rates
from wallet.seals import formats, sealing, tables

pytestmark = pytest.mark.django_db
WALLETS = [f"usr_{number}" for number in range(1, 31)]


@pytest.fixture
def written(give, article_rate):
    history.of_wallets(give)
    history.of_tables()


def test_the_first_seal_covers_all_of_the_past_and_the_next_what_came_since(written):
    done = sealing.seal()
    assert (done.wallets, done.entries, done.failed) == (2, 13, {})
    assert seals() == [("usr_1", 1, 11), ("usr_2", 1, 2)]
    assert unsealed() == (0, 0)
    racing.charge(1)
    assert unsealed() == (1, 0)
    assert sealing.seal().entries == 1
    assert seals() == [("usr_1", 1, 11), ("usr_1", 12, 12), ("usr_2", 1, 2)]
    again = sealing.seal()
    assert (again.wallets, again.entries, again.rows) == (0, 0, 0)
    assert found() == []


def test_a_round_that_follows_another_looks_at_the_wallets_that_moved_since(written):
    began_at = sealing.seal().began_at
    assert began_at is not None
    connection.check_constraints()
    rest()
    sql("UPDATE wallet_entry SET created_at = %s WHERE wallet_id = 'usr_2'", began_at - timedelta(days=1))
    sql("DELETE FROM wallet_seal")  # So both wallets have entries without a seal.
    wake()
    assert sealing.seal(since=began_at).wallets == 1
    assert seals() == [("usr_1", 1, 11)]
    assert sealing.seal().wallets == 1
    assert [wallet for wallet, *_ in seals()] == ["usr_1", "usr_2"]


@pytest.mark.parametrize(("failed", "is_full"), [({}, False), ({"wallet 'usr_1'": "too long"}, True)])
def test_the_watching_command_looks_at_all_wallets_at_first_every_hour_and_after_a_failure(
    db, monkeypatch, failed, is_full
):
    command, rounds = seal_ledger.Command(stdout=StringIO(), stderr=StringIO()), []
    command.to = None
    seal = sealing.seal

    def noted(*, since, **options):
        rounds.append(since)
        done = seal(since=since, **options)
        done.failed |= failed
        return done

    monkeypatch.setattr(sealing, "seal", noted)
    hours = iter([0, 0.5, 1.5])
    monkeypatch.setattr(seal_ledger, "time", SimpleNamespace(monotonic=lambda: 3600 * next(hours)))
    for _ in range(3):
        command.work()
    assert rounds[0] is None
    assert (rounds[1] is None) == is_full
    assert rounds[2] is None


def test_every_registered_table_is_sealed(written):
    names = {table.name for table in tables.registered()}
    assert names == {
        "accounts_act",
        "accounts_planchange",
        "accounts_redaction",
        "monetization_erasure",
        "monetization_refund",
        "monetization_subscriptionevent",
        "wallet_audit",
        "wallet_ratechange",
    }
    sealing.seal()
    assert set(TableSeal.objects.values_list("table_name", flat=True)) == names
    for table in tables.registered():
        [(count, last)] = sql(f"SELECT count(*), max({table.key}) FROM {table.name}")
        assert count >= 1, table.name
        seal = TableSeal.objects.get(table_name=table.name)
        assert (seal.after, seal.key, seal.rows) == (0, last, count)


def _as_written(rows, row, table):
    """The text of a row with the digest of its words before their first redaction."""
    redacted = Redaction.objects.filter(table_name=table.name, key=row[table.key]).order_by("id").first()
    if redacted is None:
        return rows.text(row)
    present, first = (digest.hex().encode() for digest in (rows.digest_of_words(row), bytes(redacted.before)))
    return rows.text(row).replace(present, first)


@pytest.mark.parametrize("table", tables.registered(), ids=lambda table: table.name)
def test_a_seal_of_a_table_is_what_python_makes_of_the_rows(written, table):
    sealing.seal()
    rows = table.formats[1]
    names = [column.name for column in rows.columns + rows.words]
    columns = ", ".join(f"{name}::text" if name == "findings" else name for name in names)
    values = sql(f"SELECT {columns} FROM {table.name} ORDER BY {table.key}")
    seal = TableSeal.objects.get(table_name=table.name)
    texts = [_as_written(rows, dict(zip(names, row, strict=True)), table) for row in values]
    assert bytes(seal.rows_digest) == formats.digest_of(texts)
    facts = (table.name, 0, seal.key, seal.rows, bytes(seal.rows_digest), None)
    assert bytes(seal.hash) == formats.hash_of(1, *facts)


def test_the_columns_that_no_seal_covers_are_those_that_change(written):
    """A new column of history must come into a new format, or into this list."""
    covered = {"wallet_entry": formats.FORMATS[formats.CURRENT].entry}
    covered |= {part.table: part.rows for part in covered["wallet_entry"].parts}
    covered |= {part.table: part.rows for part in covered["wallet_hold"].parts}
    covered |= {table.name: table.formats[table.current] for table in tables.registered()}
    left_out = {}
    for table, rows in covered.items():
        columns = sql("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", table)
        names = {column.name for column in rows.columns + rows.words}
        if others := {column for (column,) in columns} - names:
            left_out[table] = others
    assert left_out == {
        "wallet_lot": {
            *("wallet_id", "entry_id"),  # Those of the entry.
            *("remaining", "held", "expired", "voided_at", "removed", "held_when_voided"),
        },
        "wallet_lotmove": {"wallet_id", "sequence"},
        "wallet_giveback": {"wallet_id", "entry_id"},
        "wallet_hold": {"wallet_id", "state"},  # The state is captured.
        "wallet_holdpart": {"wallet_id", "hold_id"},
    }


def test_a_long_history_is_sealed_in_stretches(written, monkeypatch):
    monkeypatch.setattr(sealing, "STRETCH_MAX", 4)
    done = sealing.seal()
    assert (done.wallets, done.entries) == (2, 13)
    assert seals() == [("usr_1", 1, 4), ("usr_1", 5, 8), ("usr_1", 9, 11), ("usr_2", 1, 2)]
    assert TableSeal.objects.filter(table_name="accounts_act").values_list("rows", flat=True)[:1].get() == 4
    assert (found(), unsealed()) == ([], (0, 0))


def test_a_stretch_that_ends_with_the_history_is_whole(written, monkeypatch):
    monkeypatch.setattr(sealing, "STRETCH_MAX", 2)
    done = sealing.seal()
    assert (done.wallets, done.entries) == (2, 13)
    assert seals()[-2:] == [("usr_1", 11, 11), ("usr_2", 1, 2)]


def test_a_round_that_is_stopped_goes_on_in_the_next(give, article_rate, monkeypatch):
    monkeypatch.setattr(sealing, "ENTRIES_AT_A_TIME", 1)  # A wallet in each batch.
    for user_id in WALLETS[:5]:
        give(user_id, 10)
    sealing.seal()  # The tables.
    for user_id in WALLETS[:5]:
        racing.charge(1, user_id=user_id)
    left = iter([True, True, False])
    assert sealing.seal(go_on=lambda: next(left)).entries == 3
    assert unsealed() == (2, 0)
    batches: list[int] = []
    assert sealing.seal(on_sealed=batches.append).entries == sum(batches) == 2
    assert (found(), unsealed()) == ([], (0, 0))


def test_sealing_stops_within_a_long_wallet(give, monkeypatch):
    sealing.seal()  # The tables.
    for _ in range(5):
        give("usr_1", 1)
    monkeypatch.setattr(sealing, "STRETCH_MAX", 2)
    batches: list[int] = []
    sealing.seal(go_on=lambda: not any(batches), on_sealed=batches.append)
    assert sum(batches) == 2
    assert unsealed()[0] == 3


def test_the_seal_of_a_wallet_is_what_python_makes_of_it(give):
    """(export_ledger and verify_export try this with every kind of entry.)"""
    give("usr_1", 10)
    sealing.seal()
    names = [column.name for column in formats.FORMATS[1].entry.columns]
    [row] = sql(f"SELECT {', '.join(names)} FROM wallet_entry")
    parts: Any = {part.name: [] for part in formats.FORMATS[1].entry.parts}
    text = formats.FORMATS[1].entry.text(dict(zip(names, row, strict=True)) | parts)
    seal = Seal.objects.get()
    assert bytes(seal.entries_digest) == formats.digest_of([text])
    assert bytes(seal.hash) == formats.hash_of(1, "usr_1", 0, 1, bytes(seal.entries_digest), None)


# --- Several processes, and charges meanwhile -------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_several_sealers_one_seals_each_stretch(give, article_rate, monkeypatch):
    monkeypatch.setattr(sealing, "ENTRIES_AT_A_TIME", 3)
    monkeypatch.setattr(sealing, "STRETCH_MAX", 2)
    for user_id in WALLETS:
        give(user_id, 10)
        for _ in range(2):
            racing.charge(1, user_id=user_id)
    done = at_once([sealing.seal] * 4)
    assert sum(each.entries for each in done) == 3 * len(WALLETS)
    assert all(each.failed == {} for each in done)
    assert len(seals()) == 2 * len(WALLETS)
    assert (found(), unsealed()) == ([], (0, 0))


@pytest.mark.django_db(transaction=True)
def test_charges_and_sealers_do_not_disturb_each_other(give, article_rate):
    users = WALLETS[:4]
    for user_id in users:
        give(user_id, 1000)
    ended = threading.Event()

    def seal_until_the_end():
        rounds = 0
        while not ended.is_set():
            sealing.seal()
            rounds += 1
        return rounds

    def charge_often(user_id):
        for _ in range(25):
            racing.charge(1, user_id=user_id)

    sealers = [begin(seal_until_the_end) for _ in range(2)]
    try:
        at_once([partial(charge_often, user_id) for user_id in users])
    finally:
        ended.set()
    assert all(sealer.result(timeout=60) > 0 for sealer in sealers)
    sealing.seal()
    assert Entry.objects.count() == 26 * len(users)
    assert (found(), unsealed()) == ([], (0, 0))
    assert len(seals()) > len(users)  # They did seal while the charges ran.


@pytest.mark.django_db(transaction=True)
def test_sealing_waits_for_no_charge_and_no_charge_for_sealing(give, article_rate):
    give("usr_1", 10)
    with wallet_locked_by_another("usr_1"):
        assert sealing.seal().entries == 1
    racing.charge(1)
    with transaction.atomic():
        assert sealing.seal().entries == 1  # Not committed yet.
        assert begin(partial(racing.charge, 1)).result(timeout=60).sequence == 3
    assert sealing.seal().entries == 1
    assert found() == []


# --- Rows that may still come -----------------------------------------------------------------------


def act(staff, words="An act"):
    return Act.objects.create(staff=staff, verb="plan", label="Change", model="x", row_id="y", told=words)


@pytest.fixture
def open_act(transactional_db):
    """An act in a transaction of another connection that has not ended, below the key of a later one."""
    staff = StaffFactory.create()
    facts = (
        "INSERT INTO accounts_act (staff_id, verb, label, model, row_id, about, told, reason, form_key,"
        " content, created_at) VALUES (%s, 'plan', 'Change', 'x', 'y', '', 'Late', '', '', '', now())"
    )
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(facts, [staff.pk])
        act(staff, "Early")
        yield cursor


def acts_sealed():
    seals = TableSeal.objects.filter(table_name="accounts_act").order_by("after")
    return list(seals.values_list("rows", flat=True))


def test_a_table_is_left_for_the_next_round_while_rows_may_still_come_below_its_key(open_act, monkeypatch):
    monkeypatch.setattr(sealing, "SETTLING_SECONDS_MAX", 0)
    assert list(sealing.seal().failed) == ["accounts_act"]
    assert acts_sealed() == []
    assert unsealed()[1] >= 1
    open_act.execute("COMMIT")
    assert sealing.seal().failed == {}
    assert acts_sealed() == [2]
    assert found() == []


def test_sealing_waits_for_rows_that_come_below_the_key(open_act, monkeypatch):
    monkeypatch.setattr(sealing, "SETTLING_SECONDS_MAX", 60)
    sealer = begin(sealing.seal)
    open_act.execute("COMMIT")
    assert sealer.result(timeout=60).failed == {}
    sealing.seal()  # The sealer may have begun after the commit, or before the act was there.
    assert sum(acts_sealed()) == 2
    assert found() == []


def test_a_key_that_was_never_used_is_no_difference(open_act):
    open_act.execute("ROLLBACK")
    sealing.seal()
    assert acts_sealed() == [1]
    assert found() == []


def test_wallets_are_sealed_before_anything_else_is_waited_for(open_act, give, monkeypatch):
    monkeypatch.setattr(sealing, "SETTLING_SECONDS_MAX", 0)
    give("usr_1", 1)
    batches: list[int] = []
    sealing.seal(go_on=lambda: not any(batches), on_sealed=batches.append)
    assert (sum(batches), seals(), TableSeal.objects.count()) == (1, [("usr_1", 1, 1)], 0)


def test_all_tables_together_wait_for_a_limited_time(open_act, monkeypatch):
    """The clock only goes on while sealing sleeps."""
    open_act.execute("LOCK TABLE wallet_ratechange IN ROW EXCLUSIVE MODE")
    facts: Any = {"label": "Send", "unit": "1000 emails", "actor": "user:staff:1"}
    rates.set_rate(feature="mail.send", credits=3, **facts)
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(sealing, "time", clock)
    assert list(sealing.seal().failed) == ["accounts_act", "wallet_ratechange"]
    assert sum(slept) <= sealing.SETTLING_SECONDS_MAX + sealing.PAUSE_SECONDS


# --- What the database refuses ----------------------------------------------------------------------


@pytest.mark.parametrize("table", ["wallet_seal", "wallet_tableseal", "accounts_redaction"])
@pytest.mark.parametrize("attempt", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {}"])
def test_seals_and_redactions_are_history(written, table, attempt):
    sealing.seal()
    column = "after = after" if table == "accounts_redaction" else "format = 1"
    refuse = refuser(Seal, TableSeal, Redaction)
    refuse("is history", lambda: sql(attempt.format(table, column)))


def test_only_one_seal_continues_another(written):
    sealing.seal()
    columns = "wallet_id, after, sequence, format, entries_digest, hash, sealed_at"
    again = f"INSERT INTO wallet_seal ({columns}) SELECT {columns} FROM wallet_seal"
    refuser(Seal)("wallet_seal_pkey", lambda: sql(again))


@pytest.mark.single_server("an administrator of a cluster first allows changes of triggers, as migrate does")
@pytest.mark.breaks_the_books  # The guards of seals are off at the end.
def test_the_migration_backwards_refuses_to_drop_seals(written):
    module = import_module("wallet.migrations.0027_seals")
    assert module.Migration.operations[-1].reverse_code is module.refuse_to_drop_seals
    editor = SimpleNamespace(connection=connection)
    module.refuse_to_drop_seals(apps, editor)
    sealing.seal()
    with pytest.raises(IrreversibleError, match=r"seal_ledger --to FILE"):
        module.refuse_to_drop_seals(apps, editor)
    for statement in re.findall(r"(?:ALTER|DELETE)[^;]+", module.KEPT):
        sql(statement)
    module.refuse_to_drop_seals(apps, editor)


# --- The command ------------------------------------------------------------------------------------


def run(*options):
    out, err = StringIO(), StringIO()
    try:
        call_command("seal_ledger", *options, stdout=out, stderr=err)
    except SystemExit as end:
        return end.code, out.getvalue(), err.getvalue()
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), err.getvalue()


def test_the_command_says_what_it_sealed(written):
    rows = sum(sql(f"SELECT count(*) FROM {table.name}")[0][0] for table in tables.registered())
    said = f"13 entries of 2 wallets and {rows} rows of other history sealed.\n"
    assert run() == (0, said, "")
    assert run() == (0, "0 entries of 0 wallets and 0 rows of other history sealed.\n", "")


def test_the_command_names_what_it_could_not_seal(open_act, monkeypatch):
    monkeypatch.setattr(sealing, "SETTLING_SECONDS_MAX", 0)
    code, _, said = run()
    assert (code, "Not sealed: accounts_act: a transaction" in said) == (1, True)


@pytest.mark.django_db(transaction=True)
def test_the_command_writes_the_heads_to_a_new_file(written, tmp_path):
    path = tmp_path / "heads.jsonl"
    code, said, _ = run("--to", str(path))
    assert (code, f"{path} has the last seals of 2 wallets and 8 tables; their root is " in said) == (0, True)
    before = path.read_bytes()
    code, _, said = run("--to", str(path))
    assert (code, "exists" in said, path.read_bytes() == before) == (2, True, True)


def test_a_file_and_watching_do_not_go_together(db, tmp_path):
    code, _, said = run("--to", str(tmp_path / "x"), "--watch")
    assert (code, "Use either" in said) == (2, True)
    assert list(tmp_path.iterdir()) == []
