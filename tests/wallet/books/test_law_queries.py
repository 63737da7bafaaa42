"""The laws as queries: each tells of its own violation, of nothing else, and the command reports them.

The books are broken as only an operator with a superuser's rights could: triggers rest, a constraint is
dropped. Most of it is rolled back; what was committed, the flush takes away.
"""

import json
import os
import re
import subprocess
import sys
import threading
from io import StringIO

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, models, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import ServiceKey
from foundation.operators import snapshot
from tests.crowd import begin, second_connection
from tests.wallet import by_hand
from tests.wallet.entries import insert_entry, sql
from tests.wallet.lawless import SUMS, found, the
from tests.wallet.resting import rest
from wallet.books import laws
from wallet.books.laws import in_force
from wallet.charges import deductions
from wallet.models import Audit, Entry, Wallet

BALANCE = "A wallet's balance is the sum of its entries"
COUNT = "A wallet counts its entries, numbered from 1 without a gap"
CHAIN = "Each balance_after is the one before plus the entry's credits"
TIMES = "Along a wallet's entries the time never falls"
OVERDRAWN = "Only clawbacks and captures take paid credits below zero"
REVERSALS = "The reversals of an entry never come to more than the entry"
ORPHAN = "No entry is without a wallet"
CONSTRAINTS = "The constraints that keep the laws are in force"
INDEXES = "The indexes that keep a key, a checkout and a hold to once are in force"

breaks_the_books = pytest.mark.breaks_the_books


@pytest.fixture(scope="module", autouse=True)
def left_clean(django_db_setup, django_db_blocker):
    """Whatever was broken here is whole again for the tests that come after."""
    yield
    with django_db_blocker.unblock():
        assert laws.violations() == []
        assert not Wallet.objects.exists()


# --- Wallets and entries ----------------------------------------------------------------------------


@breaks_the_books
def test_a_balance_that_is_not_the_sum(lawless):
    sql("UPDATE wallet_wallet SET balance = 8 WHERE user_id = 'usr_1'")
    assert found() == [(BALANCE, "usr_1", "balance 8, entries add up to 7")]


@breaks_the_books
def test_a_wallet_that_counts_wrong(lawless):
    sql("UPDATE wallet_wallet SET entries_count = 4 WHERE user_id = 'usr_1'")
    assert found() == [(COUNT, "usr_1", "4 counted, 3 there, last number 3")]


@breaks_the_books
def test_a_gap_in_the_numbers(lawless):
    sql("UPDATE wallet_entry SET sequence = 4 WHERE wallet_id = 'usr_1' AND sequence = 3")
    assert found() == [(COUNT, "usr_1", "3 counted, 3 there, last number 4")]


@breaks_the_books
def test_a_lost_entry(lawless):
    sql("DELETE FROM wallet_entry WHERE kind = 'refund'")
    assert found() == [
        (BALANCE, "usr_1", "balance 7, entries add up to 6"),
        (COUNT, "usr_1", "3 counted, 2 there, last number 2"),
    ]


@breaks_the_books
def test_a_balance_after_that_does_not_chain(lawless):
    charge, back = the("deduct"), the("refund")
    sql("UPDATE wallet_entry SET balance_after = 5 WHERE id = %s", charge)
    assert found() == [(CHAIN, charge, "10 -4 gave 5"), (CHAIN, back, "5 1 gave 7")]


@breaks_the_books
def test_a_time_that_fell(lawless):
    charge = the("deduct")
    sql("UPDATE wallet_entry SET created_at = '2026-03-02Z' WHERE sequence = 1 AND wallet_id = 'usr_1'")
    sql("UPDATE wallet_entry SET created_at = '2026-03-01 12:00Z' WHERE id = %s", charge)
    broken = [(TIMES, charge, "2026-03-01 12:00:00, after 2026-03-02 00:00:00")]
    assert found() == broken
    sql(
        "INSERT INTO wallet_outoforderentry (wallet_id, sequence) VALUES ('usr_1', 3), ('usr_2', 2)"
    )  # Not this entry.
    assert found() == broken


@breaks_the_books
def test_a_first_entry_that_begins_with_something(lawless):
    topup = the("topup", "usr_2")
    sql("UPDATE wallet_entry SET balance_after = 6 WHERE id = %s", topup)
    assert found() == [(CHAIN, topup, "0 5 gave 6")]


@breaks_the_books
def test_a_charge_that_overdrew(lawless):
    sql("ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_leaves_what_is_held")
    sql("INSERT INTO wallet_wallet VALUES ('usr_3', -5, 1, now())")
    entry_id = insert_entry("usr_3", credits=-5, balance_after=-5, sequence=1)
    assert found() == [
        (CONSTRAINTS, "wallet_entry_leaves_what_is_held", "missing or not validated"),
        (OVERDRAWN, entry_id, "adjustment took 5 paid credits and left -5"),
    ]


def refund(user_id, credits, **entry):
    """A consistent entry, but for what it reverses."""
    [(balance, count)] = sql(
        "UPDATE wallet_wallet SET balance = balance + %s, entries_count = entries_count + 1"
        " WHERE user_id = %s RETURNING balance, entries_count",
        credits,
        user_id,
    )
    insert_entry(user_id, credits=credits, balance_after=balance, sequence=count, **entry)


@breaks_the_books
def test_more_given_back_than_was_charged(lawless):
    charge = the("deduct")
    refund("usr_1", 4, kind="refund", reverses_id=charge)
    assert found() == [(REVERSALS, charge, "-4 credits, 5 reversed")]


@breaks_the_books
def test_a_reversal_of_another_wallets_entry(lawless):
    charge = the("deduct")
    refund("usr_2", 1, kind="refund", reverses_id=charge)
    assert found() == [(REVERSALS, charge, "0 credits, 1 reversed")]


@breaks_the_books
def test_a_reversal_of_the_same_sign(lawless):
    topup = the("topup")
    refund("usr_1", 2, reverses_id=topup)
    assert found() == [(REVERSALS, topup, "10 credits, 2 reversed")]


# --- The whole --------------------------------------------------------------------------------------


@breaks_the_books
@pytest.mark.parametrize("user_id", ["usr_1", "usr_2"])
def test_entries_without_a_wallet(lawless, user_id):
    sql("DELETE FROM wallet_wallet WHERE user_id = %s", user_id)
    orphans = Entry.objects.filter(wallet_id=user_id)
    assert set(found()) == {(ORPHAN, entry.pk, user_id) for entry in orphans}


CONSTRAINT_NAMES, INDEX_NAMES = in_force.CONSTRAINTS, in_force.INDEXES


def test_every_constraint_and_unique_index_is_watched(db):
    checks: set[str] = set()
    uniques: set[str] = set()
    for model in apps.get_app_config("wallet").get_models():
        for constraint in model._meta.constraints:
            (checks if isinstance(constraint, models.CheckConstraint) else uniques).add(constraint.name)
    # And foreign keys that Django cannot write: both columns are of the same wallet.
    assert checks | set(FOREIGN_KEYS) == set(CONSTRAINT_NAMES)
    # And those that say unique=True: one checkout one top-up, one top-up one entry, each month once. And the
    # primary keys that Django does not know, or that let a payment be credited once.
    uniques |= {"wallet_topup_stripe_session_id_key", "wallet_topup_entry_id_key", "wallet_payment_pkey"}
    uniques |= {"wallet_closedmonth_month_key", "wallet_closedmoney_month_key"}
    uniques |= {"wallet_stripemovement_pkey", "wallet_payoutitem_pkey"}
    uniques |= {f"wallet_{table}_pkey" for table in ("entry", "hold", "giveback", "lot", "lotmove")}
    uniques |= {
        f"wallet_{table}_pkey" for table in ("holdpart", "budget", "grantedmonth", "seal", "tableseal")
    }
    assert uniques == set(INDEX_NAMES)


# By the unique index that each depends on.
FOREIGN_KEYS = {
    "wallet_entry_reverses_an_entry_of_its_wallet": "wallet_entry_pkey",
    "wallet_giveback_is_of_an_entry_of_its_wallet": "wallet_entry_pkey",
    "wallet_lotmove_is_of_an_entry_of_its_wallet": "wallet_entry_one_per_place",
    "wallet_holdpart_is_of_a_hold_of_its_wallet": "wallet_hold_pkey",
    "wallet_holdpart_is_of_a_lot_of_its_wallet": "wallet_lot_pkey",
}


def table_of(name):
    """The table a trigger, constraint or index is named after."""
    return "_".join(name.split("_")[:2])


@breaks_the_books
@pytest.mark.parametrize("name", CONSTRAINT_NAMES)
def test_a_constraint_that_is_gone(books, name):
    connection.check_constraints()
    sql(f"ALTER TABLE {table_of(name)} DROP CONSTRAINT {name}")
    assert found() == [(CONSTRAINTS, name, "missing or not validated")]


@breaks_the_books
def test_a_constraint_that_was_put_back_without_a_look_at_what_is_there(books):
    connection.check_constraints()
    name = "wallet_entry_moves_something"
    sql(f"ALTER TABLE wallet_entry DROP CONSTRAINT {name}")
    sql(f"ALTER TABLE wallet_entry ADD CONSTRAINT {name} CHECK (credits <> 0) NOT VALID")
    assert found() == [(CONSTRAINTS, name, "missing or not validated")]
    sql(f"ALTER TABLE wallet_entry VALIDATE CONSTRAINT {name}")
    assert found() == []


@breaks_the_books
@pytest.mark.parametrize("name", INDEX_NAMES)
def test_a_unique_index_that_is_gone(books, name):
    connection.check_constraints()
    table = table_of(name)
    dependent = [foreign_key for foreign_key, index in FOREIGN_KEYS.items() if index == name]
    for foreign_key in dependent:
        sql(f"ALTER TABLE {table_of(foreign_key)} DROP CONSTRAINT {foreign_key}")
    sql(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    sql(f"DROP INDEX IF EXISTS {name}")
    assert (INDEXES, name, "missing or not valid") in found()
    [(column,)] = sql(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 LIMIT 1", table
    )
    sql(f"CREATE INDEX {name} ON {table} ({column})")  # Of that name, but not unique.
    gone = {(CONSTRAINTS, foreign_key, "missing or not validated") for foreign_key in dependent}
    assert set(found()) == gone | {(INDEXES, name, "missing or not valid")}


# --- Many wallets -----------------------------------------------------------------------------------


@breaks_the_books
def test_every_wallet_is_seen_whatever_the_batch(db):
    sql("INSERT INTO wallet_wallet SELECT to_char(n, 'FM00000'), 0, 0, now() FROM generate_series(1, 2500) n")
    seen: list[int] = []
    assert list(laws.find_violations(on_wallets=seen.append)) == []
    assert seen == [1000, 1000, 500]
    connection.check_constraints()
    rest()
    wrong = ["00001", "01000", "01001", "02000", "02001", "02500"]
    sql("UPDATE wallet_wallet SET entries_count = 1 WHERE user_id = ANY (%s)", wrong)
    assert found() == [(COUNT, user_id, "1 counted, 0 there, last number 0") for user_id in wrong]


@breaks_the_books
def test_chosen_wallets_that_lie_close_together_are_read_together(give, monkeypatch):
    for number in range(1, 6):
        give(f"usr_{number}", 1)
    connection.check_constraints()
    rest()
    sql("UPDATE wallet_wallet SET balance = 2 WHERE user_id IN ('usr_1', 'usr_5')")
    monkeypatch.setattr(laws, "WALLETS_AT_A_TIME", 3)
    seen: list[int] = []
    with CaptureQueriesContext(connection) as of_one:
        assert list(laws.find_violations_of(["usr_2"], on_wallets=seen.append)) == []
    with CaptureQueriesContext(connection) as of_three:
        found = list(laws.find_violations_of(["usr_2", "usr_4", "usr_5"], on_wallets=seen.append))
    assert [violation.subject for violation in found] == ["usr_5"]
    assert seen == [1, 2, 1]
    assert len(of_three) == 2 * len(of_one)


# --- check_ledger -----------------------------------------------------------------------------------


def check_ledger(*options):
    """The command's exit code and what it wrote."""
    out = StringIO()
    try:
        call_command("check_ledger", *options, stdout=out)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


@breaks_the_books
def test_a_second_look_finds_what_is_still_there(give):
    entries = [give(user_id, 1).pk for user_id in ("usr_1", "usr_2", "usr_3")]
    connection.check_constraints()
    rest()
    paid = dict(sql("SELECT user_id, paid_cents FROM wallet_topup"))
    sql("UPDATE wallet_topup SET paid_cents = 900 WHERE user_id IN ('usr_1', 'usr_2')")
    seen = [each for each in laws.violations() if each.law in laws.LAWS_OF_SEVERAL_NODES]
    assert {each.subject for each in seen} >= set(entries[:2])
    sql("UPDATE wallet_topup SET paid_cents = %s WHERE user_id = 'usr_1'", paid["usr_1"])
    sql("UPDATE wallet_topup SET paid_cents = 900 WHERE user_id = 'usr_3'")
    again = list(laws.found_again(seen))
    assert entries[1] in {each.subject for each in again}
    assert not {entries[0], entries[2]} & {each.subject for each in again}
    assert list(laws.found_again([])) == []


def break_a_balance(other=connection):
    """Committed, and no trigger was there to refuse it."""
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        rest(other)
        cursor.execute("UPDATE wallet_wallet SET balance = 8 WHERE user_id = 'usr_1'")
        cursor.execute("COMMIT")


@pytest.mark.django_db(transaction=True)
def test_clean_books_are_exit_code_0_and_the_report_says_which(books):
    code, text = check_ledger()
    name = connection.settings_dict["NAME"]
    assert code == 0
    assert re.fullmatch(rf"2 wallets in {name} at \S+\. Every law holds\.\n", text)
    code, text = check_ledger("--json")
    report = json.loads(text)
    assert code == 0
    assert report.pop("database").startswith(f"{name} at ")
    assert report == {"wallets": 2, "violations": [], "violations_count": 0, "clean": True}


@breaks_the_books
@pytest.mark.django_db(transaction=True)
def test_violations_are_exit_code_1_each_on_a_line(books):
    break_a_balance()
    code, text = check_ledger()
    *broken, last = text.splitlines()
    assert code == 1
    assert broken == [
        f"{SUMS}: all wallets: entries add up to 12, balances to 13",
        f"{BALANCE}: usr_1: balance 8, entries add up to 7",
    ]
    assert last.startswith("2 wallets in ")
    assert last.endswith(" 2 violations.")
    code, text = check_ledger("--json")
    report = json.loads(text)
    violation = {"law": BALANCE, "subject": "usr_1", "detail": "balance 8, entries add up to 7"}
    assert code == 1
    assert (report["violations"][1:], report["violations_count"], report["clean"]) == ([violation], 2, False)


@breaks_the_books
@pytest.mark.django_db(transaction=True)
def test_one_wallet_and_the_wallets_that_moved_lately(books):
    sql(
        "INSERT INTO wallet_wallet SELECT 'usr_' || n, 0, 0, now() FROM unnest(ARRAY[0, 3]) n"
    )  # Never moved.
    break_a_balance()
    named = [f"{BALANCE}: usr_1: balance 8, entries add up to 7"]
    for options, seen in ((("--user", "usr_1"), 1), (("--since", "1h"), 2)):
        code, text = check_ledger(*options)
        *broken, last = text.splitlines()
        assert (code, broken) == (1, named), options
        assert last.startswith(f"{seen} wallets in "), options
    for options in (("--user", "usr_2"), ("--user", "usr_0"), ("--user", "usr_3")):
        assert check_ledger(*options)[0] == 0, options
    # A run that leaves wallets out is no examination.
    assert not Audit.objects.exists()
    with pytest.raises(CommandError, match="There is no wallet of 'usr_9'") as mistyped:
        check_ledger("--user", "usr_9")
    assert mistyped.value.returncode == 2


@breaks_the_books
@pytest.mark.django_db(transaction=True)
def test_a_report_of_very_many_names_some_and_counts_all():
    with transaction.atomic():
        rest()
        sql("INSERT INTO wallet_wallet SELECT 'usr_' || n, 0, 1, now() FROM generate_series(1, 1200) n")
    code, text = check_ledger("--json")
    report = json.loads(text)
    assert code == 1
    assert (len(report["violations"]), report["violations_count"]) == (1000, 1200)


def test_books_that_cannot_be_reached_are_exit_code_2():
    environment = os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:9/none"}
    command = [sys.executable, "manage.py", "check_ledger", "--json"]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Could not look: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_gone_is_exit_code_2_not_a_violation(books):
    sql("ALTER TABLE wallet_topup RENAME TO wallet_topup_gone")
    try:
        with pytest.raises(CommandError, match="Could not look: ") as trouble:
            call_command("check_ledger")
    finally:
        sql("ALTER TABLE wallet_topup_gone RENAME TO wallet_topup")
    assert trouble.value.returncode == 2


@breaks_the_books
@pytest.mark.django_db(transaction=True)
def test_one_moment_is_looked_at_whatever_is_committed_meanwhile(books):
    with second_connection() as other:
        broken: list[str] = []

        def break_it_meanwhile(execute, query, params, many, context):
            if "FROM wallet_entry" in query and not broken:
                broken.append(query)
                break_a_balance(other)
            return execute(query, params, many, context)

        with connection.execute_wrapper(break_it_meanwhile):
            assert check_ledger()[0] == 0
        assert broken
    assert check_ledger()[0] == 1


@pytest.mark.django_db(transaction=True)
def test_the_books_are_clean_while_charges_go_on(books, article_rate):
    stop = threading.Event()

    def charge():
        charges = 0
        while not stop.is_set():
            user_id = "usr_1" if charges % 2 else "usr_2"
            by_hand.adjust(
                user_id=user_id, credits=1, reason="More", key=f"more-{charges}", actor="user:staff:1"
            )
            service = ServiceKey(product="blog", prefix="wsk_test")
            deductions.deduct(service=service, user_id=user_id, feature=article_rate)
            charges += 1
        return charges

    charging = begin(charge)
    try:
        outcomes = [check_ledger() for _ in range(8)]
    finally:
        stop.set()
    assert charging.result(timeout=120) > 0
    assert {code for code, _ in outcomes} == {0}


@pytest.mark.django_db(transaction=True)
def test_a_look_can_write_nothing(books):
    with pytest.raises(DatabaseError, match="read-only"), snapshot():
        Wallet.objects.create(user_id="usr_3")
