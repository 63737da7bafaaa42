"""What the database refuses of holds and of what is held, whatever goes round the verbs."""

from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import Error, IntegrityError, OperationalError, connection, transaction

from tests.wallet.books.guards import refuser, rows_of
from tests.wallet.entries import move, sql
from tests.wallet.granted import grant, set_budget
from wallet.books import laws, ledger
from wallet.books.funds import funds_of
from wallet.models import Entry, GiveBack, Hold, Wallet

FEATURE = "blog.article.generate"

pytestmark = pytest.mark.django_db


@pytest.fixture
def refused(held_books):
    return refuser(Wallet, Entry, Hold, GiveBack)


def books():
    return rows_of(Wallet, Entry, Hold, GiveBack)


def hold_of(key):
    return Hold.objects.get(idempotency_key=key).pk


# --- A hold ends once and is never removed ----------------------------------------------------------

FINAL = "it may only end, once, or get a later end"
NOT_THE_END = (
    "credits = 8",
    "count = 8",
    "product = 'mail'",
    "feature = 'mail.send'",
    "idempotency_key = 'other'",
    "wallet_id = 'usr_2'",
    "id = 'hold_other'",
    "available_before = 1000",
    "ttl_seconds = 901",
    "actor = 'other'",
    "created_at = created_at - interval '1 second'",
    "expires_at = expires_at - interval '1 microsecond'",
    "state = 'expired', expires_at = expires_at + interval '1 second',"
    " ended_at = expires_at + interval '1 second'",
)
ENDED = (
    "state = 'open', ended_at = NULL, captured_count = NULL",
    "state = 'voided', captured_count = NULL",
    "state = 'expired', ended_at = expires_at, captured_count = NULL",
    "state = 'captured', captured_count = 2",
    "expires_at = expires_at + interval '1 second'",
    "credits = credits",
)


def change_of_hold(key, change):
    return lambda: sql(f"UPDATE wallet_hold SET {change} WHERE idempotency_key = %s", key)


def test_only_the_end_of_an_open_hold_changes(refused):
    for change in NOT_THE_END:
        refused(FINAL, change_of_hold("open", change))
    change_of_hold("open", "expires_at = expires_at + interval '1 microsecond'")()


def test_a_hold_that_ended_stays_as_it_is(refused):
    for key in ("captured", "voided"):
        for change in ENDED:
            refused(FINAL, change_of_hold(key, change))


def test_a_hold_is_not_removed(refused):
    for key in ("open", "captured", "voided"):
        refused(
            "holds are history",
            lambda key=key: sql("DELETE FROM wallet_hold WHERE idempotency_key = %s", key),
        )
        refused(
            "holds are history", lambda key=key: Hold.objects.filter(pk=hold_of(key))._raw_delete("default")
        )


@pytest.mark.django_db(transaction=True)
def test_holds_and_answers_are_not_truncated(refused):
    refused("cannot truncate a table referenced", lambda: sql("TRUNCATE wallet_hold"), error=Error)
    for tables in (
        "wallet_hold CASCADE",
        "wallet_giveback",
        "wallet_hold, wallet_entry, wallet_giveback CASCADE",
    ):
        refused("(is|are) history", lambda tables=tables: sql(f"TRUNCATE {tables}"), error=Error)


def test_the_answer_to_a_refund_is_history(refused):
    for change in ("UPDATE wallet_giveback SET refundable = 3", "DELETE FROM wallet_giveback"):
        refused("is history", lambda change=change: sql(change))


def test_a_hold_ends_in_one_way(refused):
    for change in (
        "state = 'voided', ended_at = NULL",
        "state = 'voided', ended_at = expires_at",
        "state = 'voided', ended_at = created_at, captured_count = 1",
        "state = 'expired', ended_at = expires_at - interval '1 microsecond'",
        "state = 'expired', ended_at = NULL",
        "state = 'expired', ended_at = expires_at, captured_count = 1",
        "state = 'captured', ended_at = created_at, captured_count = NULL",
        "state = 'captured', ended_at = created_at, captured_count = 0",
        "state = 'captured', ended_at = created_at, captured_count = 8",
        "state = 'captured', ended_at = expires_at, captured_count = 7",
        "state = 'captured', ended_at = NULL, captured_count = 7",
        "ended_at = created_at",
        "captured_count = 1",
        "state = 'paused'",
    ):
        refused("wallet_hold_ends_once", change_of_hold("open", change))


HOLD = {
    "id": "hold_by_sql",
    "wallet_id": "usr_1",
    "product": "blog",
    "feature": FEATURE,
    "count": 2,
    "credits": 2,
    "idempotency_key": "by sql",
    "actor": "sql",
    "available_before": 28,
    "ttl_seconds": 900,
    "state": "open",
    "created_at": "2026-03-01T00:00:00Z",
    "expires_at": "2100-03-01T00:15:00Z",
}


def insert_hold(**columns):
    row = HOLD | columns
    places = ", ".join(["%s"] * len(row))
    sql(f"INSERT INTO wallet_hold ({', '.join(row)}) VALUES ({places})", *row.values())


NO_BEGINNINGS: tuple[tuple[dict[str, object], str], ...] = (
    ({"credits": 0}, "wallet_hold_sets_something_aside"),
    ({"count": 0}, "wallet_hold_sets_something_aside"),
    ({"ttl_seconds": 0}, "wallet_hold_sets_something_aside"),
    ({"idempotency_key": ""}, "wallet_hold_sets_something_aside"),
    ({"available_before": 1}, "wallet_hold_was_covered"),
    ({"idempotency_key": "open"}, "wallet_hold_key_once"),
    ({"idempotency_key": "voided"}, "wallet_hold_key_once"),
    ({"state": "voided", "ended_at": "2026-03-01T00:00:00Z"}, "begins voided"),
    ({"state": "captured", "ended_at": "2026-03-01T00:00:00Z", "captured_count": 2}, "begins captured"),
    ({"wallet_id": "usr_unknown"}, "foreign key"),
)


def test_a_hold_begins_open_and_covered_with_a_key_of_its_own(refused):
    for columns, law in NO_BEGINNINGS:
        refused(law, partial(insert_hold, **columns))


# --- A wallet holds what its open holds hold --------------------------------------------------------

OUT_OF_STEP = (
    "UPDATE wallet_wallet SET held = held + 1 WHERE user_id = 'usr_1'",
    "UPDATE wallet_wallet SET held = 0 WHERE user_id = 'usr_1'",
    "UPDATE wallet_wallet SET open_holds = open_holds + 1 WHERE user_id = 'usr_1'",
    "UPDATE wallet_wallet SET held = 0, open_holds = 0 WHERE user_id = 'usr_1'",
    "UPDATE wallet_wallet SET held = 2, open_holds = 1 WHERE user_id = 'usr_2'",
    "UPDATE wallet_wallet SET held = held - 7 WHERE user_id = 'usr_1';"
    " UPDATE wallet_hold SET state = 'voided', ended_at = created_at WHERE idempotency_key = 'open'",
)


@pytest.mark.django_db(transaction=True)
def test_a_wallet_out_of_step_with_its_holds_is_refused_at_the_commit(held_books):
    before = books()
    changed = []

    @transaction.atomic
    def move_alone(change):
        sql(change)
        changed.append(books())  # It is allowed until the commit.

    for change in OUT_OF_STEP:
        with pytest.raises(IntegrityError, match="and its open holds are"):
            move_alone(change)
        assert books() == before
    assert len(changed) == len(OUT_OF_STEP)
    assert before not in changed


def test_a_wallet_and_its_holds_may_be_out_of_step_until_the_commit(held_books):
    insert_hold()
    sql("UPDATE wallet_wallet SET held = held + 2, open_holds = open_holds + 1 WHERE user_id = 'usr_1'")
    connection.check_constraints()
    assert funds_of("usr_1").held == 14


def test_a_wallet_sets_aside_no_less_than_nothing(refused):
    for column in ("held", "open_holds", "granted", "watch", "budgets"):
        refused(
            "wallet_wallet_sets_aside_no_less_than_nothing",
            partial(sql, f"UPDATE wallet_wallet SET {column} = -1 WHERE user_id = 'usr_2'"),
        )


# --- The entry of a capture fits its hold -----------------------------------------------------------

CAPTURE = {"kind": "capture", "feature": FEATURE, "product": "blog", "count": 2, "held": 5}


def end_the_open_hold(state="captured", captured_count=2):
    """End it and release what it held, as the verb does before it writes the entry."""
    change_of_hold("open", f"state = '{state}', ended_at = created_at, captured_count = {captured_count}")()
    sql("UPDATE wallet_wallet SET held = held - 7, open_holds = open_holds - 1 WHERE user_id = 'usr_1'")


def test_a_capture_that_fits_is_accepted(held_books):
    end_the_open_hold()
    move("usr_1", -2, **CAPTURE, hold_id=hold_of("open"))
    connection.check_constraints()
    assert laws.violations() == []


def capture_the_open_hold(by, facts):
    end_the_open_hold()
    move("usr_1", by, **facts)


MISFITS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"by": -3}, "does not fit the hold"),
    ({"by": -1}, "does not fit the hold"),
    ({"count": 3}, "does not fit the hold"),
    ({"count": 3, "by": -3}, "does not fit the hold"),
    ({"product": "mail"}, "does not fit the hold"),
    ({"feature": "mail.send"}, "does not fit the hold"),
    ({"hold_id": "hold_of_nothing"}, "does not fit the hold"),
    ({"hold_id": None}, "does not fit the hold"),
    ({"of": "longer"}, "does not fit the hold"),  # It is open.
    ({"of": "voided"}, "does not fit the hold"),
    ({"of": "covered"}, "does not fit the hold"),  # It is of another wallet.
    ({"of": "captured", "count": 3, "by": -3}, "wallet_entry_one_per_hold"),
    ({"kind": "deduct"}, "wallet_entry_capture_names_its_hold"),
)


def test_a_capture_that_does_not_fit_is_refused(refused):
    for entry, law in MISFITS:
        facts = CAPTURE | {"hold_id": hold_of(entry.get("of", "open"))} | entry
        by = facts.pop("by", -2)
        facts.pop("of", None)

        refused(law, partial(capture_the_open_hold, by, facts))


def test_a_hold_that_was_voided_is_not_captured(refused):
    def attempt():
        end_the_open_hold("voided", "NULL")
        move("usr_1", -2, **CAPTURE, hold_id=hold_of("open"))

    refused("does not fit the hold", attempt)


def test_an_entry_that_says_another_sum_is_held_is_refused(refused):
    for held in (11, 13, 0):
        refused("does not follow its wallet", lambda held=held: move("usr_1", 1, held=held))


def test_a_charge_and_an_adjustment_leave_what_is_held(refused):
    charge = {"kind": "deduct", "feature": FEATURE, "count": 29, "product": "blog"}
    for facts in (charge, {"kind": "adjustment"}):
        refused("wallet_entry_leaves_what_is_held", lambda facts=facts: move("usr_1", -29, held=12, **facts))
    move("usr_1", -28, held=12, **charge)
    connection.check_constraints()


# --- The release before this one does not know what is held -----------------------------------------


def entry_of_the_release_before(user_id, credits, kind):
    """Its entries name no column that it does not know, so `held` is NULL."""
    return move(user_id, credits, kind=kind, feature=FEATURE, count=1, product="blog")


def test_the_release_before_moves_a_plain_wallet(held_books):
    for credits, kind in [(20, "adjustment"), (-3, "deduct"), (-1, "adjustment")]:
        entry = Entry.objects.get(pk=entry_of_the_release_before("usr_2", credits, kind))
        assert (entry.held, entry.available_after) == (None, entry.balance_after)
    connection.check_constraints()
    assert funds_of("usr_2").available == 10


@pytest.mark.parametrize("figure", ["held", "granted", "watch", "budgets", "frozen"])
def test_the_release_before_is_refused_where_it_could_be_wrong(held_books, figure):
    """Django raises OperationalError for this SQLSTATE, so that release answers 503."""
    user_id = "usr_1" if figure == "held" else "usr_2"
    match figure:
        case "granted":
            grant("usr_2", 1)
        case "budgets":
            set_budget(1, "usr_2")
        case "watch":
            sql("UPDATE wallet_wallet SET watch = 1 WHERE user_id = 'usr_2'")
        case "frozen":
            ledger.set_frozen("usr_2", frozen=True)
    for credits, kind in [(1, "adjustment"), (-1, "deduct"), (-1, "clawback"), (-1, "adjustment")]:
        with pytest.raises(OperationalError) as failure, transaction.atomic():
            entry_of_the_release_before(user_id, credits, kind)
        assert isinstance(failure.value.__cause__, psycopg.errors.ObjectNotInPrerequisiteState)  # 55000
