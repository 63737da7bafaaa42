"""What the database refuses of lots, budgets and what is granted, whatever goes round the verbs.

The rows and their names are those of `granted_books` (conftest.py); a change is written with these names.
"""

from functools import partial

import pytest
from django.db import Error, IntegrityError, connection, transaction

from tests.wallet.books.conftest import BLOG
from tests.wallet.books.guards import in_a_transaction, refuser
from tests.wallet.entries import sql
from tests.wallet.granted import grant, set_budget
from wallet.books import laws
from wallet.charges import deductions, give_backs
from wallet.models import (
    Budget,
    Entry,
    GiveBack,
    GrantedMonth,
    Hold,
    HoldPart,
    Lot,
    LotMove,
    Wallet,
)

FEATURE = "blog.article.generate"

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(granted_books):
    return granted_books


@pytest.fixture
def refused(rows):
    """Run SQL, written with the names of the rows, that must be refused by the law of this name."""
    refuse = refuser(Wallet, Entry, Hold, GiveBack, Lot, LotMove, HoldPart, Budget, GrantedMonth)

    def refuse_sql(law, statement, error=IntegrityError):
        attempt = statement if callable(statement) else lambda: sql(statement.format(**rows))
        refuse(law, attempt, error)

    return refuse_sql


def insert(table, row):
    places = ", ".join(["%s"] * len(row))
    sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


# --- A lot --------------------------------------------------------------------------------------------

KEPT = "may only be spent, held, written off, and taken back once"
FIXED = (
    "id = 'grant_other'",
    "wallet_id = 'usr_2'",
    "entry_id = '{charge}'",
    "product = 'mail'",
    "reason = 'Nicer'",
    "credits = 11",
    "created_at = created_at - interval '1 microsecond'",
    "expires_at = expires_at + interval '1 microsecond'",
    "expires_at = expires_at - interval '1 microsecond'",
)


def test_what_was_granted_until_when_stays_as_it_is(refused):
    for change in FIXED:
        refused(KEPT, f"UPDATE wallet_lot SET {change} WHERE id = '{{A}}'")


def test_what_was_written_off_is_not_put_back(refused):
    refused(KEPT, "UPDATE wallet_lot SET expired = 3 WHERE id = '{C}'")


def test_a_lot_is_taken_back_once(refused):
    for change in (
        "voided_at = voided_at + interval '1 microsecond'",
        "voided_at = NULL, removed = NULL, held_when_voided = NULL",
        "removed = 3",
        "held_when_voided = 1",
    ):
        refused(KEPT, f"UPDATE wallet_lot SET {change} WHERE id = '{{C}}'")


def test_a_lot_is_taken_back_before_its_end_and_says_what_that_took(refused):
    whole = {"voided_at": "created_at", "removed": "0", "held_when_voided": "0"}
    for wrong in (
        *({name: "NULL"} for name in whole),
        {"voided_at": "NULL", "removed": "NULL"},
        {"voided_at": "NULL", "held_when_voided": "NULL"},
        {"removed": "NULL", "held_when_voided": "NULL"},
        {"removed": "-1"},
        {"held_when_voided": "-1"},
        {"voided_at": "expires_at"},
    ):
        change = ", ".join(f"{name} = {value}" for name, value in (whole | wrong).items())
        refused("wallet_lot_is_voided_before_its_end", f"UPDATE wallet_lot SET {change} WHERE id = '{{A}}'")


def test_the_figures_of_a_lot_add_up(refused):
    """B has 5 left of 9, 3 of them held; C has nothing left of 4, and 4 were written off."""
    for change in (
        "remaining = 10 WHERE id = '{B}'",
        "remaining = 2 WHERE id = '{B}'",
        "held = 6 WHERE id = '{B}'",
        "held = -1 WHERE id = '{B}'",
        "expired = 5 WHERE id = '{B}'",
        "remaining = 1 WHERE id = '{C}'",
        "remaining = -1 WHERE id = '{A}'",
        "expired = 5 WHERE id = '{C}'",
    ):
        refused("wallet_lot_adds_up", f"UPDATE wallet_lot SET {change}")


LOT = {
    "id": "grant_by_sql",
    "wallet_id": "usr_2",
    "product": "blog",
    "reason": "By SQL",
    "credits": 5,
    "remaining": 5,
    "held": 0,
    "expired": 0,
    "created_at": "2020-01-01Z",
    "expires_at": "2020-01-02Z",
}


NO_BEGINNINGS: tuple[tuple[dict[str, object], str], ...] = (
    ({"remaining": 4}, "does not begin whole"),
    ({"remaining": 6}, "does not begin whole"),
    ({"held": 1}, "does not begin whole"),
    ({"remaining": 4, "expired": 1}, "does not begin whole"),
    (
        {"voided_at": "2020-01-01Z", "removed": 5, "held_when_voided": 0},
        "does not begin whole",
    ),
    ({"credits": 0, "remaining": 0}, "wallet_lot_grants_something"),
    ({"expires_at": "2020-01-01Z"}, "wallet_lot_grants_something"),
    ({"removed": 0}, "wallet_lot_is_voided_before_its_end"),
    ({"wallet_id": "usr_unknown"}, "foreign key"),
    ({"id": "D"}, "wallet_lot_pkey"),
    ({"entry_id": "grant of D"}, "wallet_lot_one_per_entry"),
)


def test_a_lot_begins_whole_with_an_entry_of_its_own(refused, rows):
    for columns, law in NO_BEGINNINGS:
        named = {name: rows.get(value, value) for name, value in columns.items()}
        refused(law, partial(insert, "wallet_lot", LOT | {"entry_id": "txn_by_sql"} | named))


# --- History ------------------------------------------------------------------------------------------


def test_lots_moves_and_parts_are_not_removed(refused):
    for table, model in (("wallet_lot", Lot), ("wallet_lotmove", LotMove), ("wallet_holdpart", HoldPart)):
        refused("(is|are) history", f"DELETE FROM {table}")
        refused("(is|are) history", lambda model=model: model.objects.all()._raw_delete("default"))


def test_moves_and_parts_are_not_changed(refused):
    for change in (
        "UPDATE wallet_lotmove SET credits = 1",
        "UPDATE wallet_lotmove SET remaining_after = 1",
        "UPDATE wallet_lotmove SET lot_id = '{A}'",
        "UPDATE wallet_holdpart SET credits = credits + 1",
        "UPDATE wallet_holdpart SET lot_id = '{A}'",
    ):
        refused("is history", change)


def test_lots_moves_and_parts_are_not_truncated(refused):
    refused("cannot truncate a table referenced", "TRUNCATE wallet_lot", error=Error)
    for tables in ("wallet_lot CASCADE", "wallet_lotmove", "wallet_holdpart", "wallet_wallet CASCADE"):
        refused("(is|are) history", f"TRUNCATE {tables}", error=Error)


# --- A move follows its lot ---------------------------------------------------------------------------


def test_a_move_says_what_its_lot_has_become(refused, rows):
    """The charge of usr_1 has number 6. B has 5 left, and D is of usr_2."""
    move_of_b = {
        "wallet_id": "usr_1",
        "sequence": 1,
        "lot_id": rows["B"],
        "credits": 1,
        "remaining_after": 5,
    }
    follows = "does not follow its lot"
    for columns, law in (
        ({"remaining_after": 4}, follows),
        ({"remaining_after": 6}, follows),
        ({"lot_id": rows["A"]}, follows),
        ({"lot_id": rows["D"], "remaining_after": 3}, follows),
        ({"lot_id": "grant_none"}, follows),
        ({"credits": 0}, "wallet_lotmove_moves_something"),
        ({"sequence": 99}, "wallet_lotmove_is_of_an_entry_of_its_wallet"),
        (
            {"wallet_id": "usr_2", "lot_id": rows["D"], "remaining_after": 3, "sequence": 5},
            "wallet_lotmove_is_of",
        ),
        ({"sequence": 3}, "wallet_lotmove_pkey"),  # The grant of B.
    ):
        refused(law, lambda columns=columns: insert("wallet_lotmove", move_of_b | columns))
    with transaction.atomic():
        insert("wallet_lotmove", move_of_b)  # It breaks no guard, and would break a law.
        transaction.set_rollback(True)


def test_a_part_is_of_a_hold_and_a_lot_of_its_wallet(refused, rows):
    part = {"wallet_id": "usr_1", "hold_id": rows["open"], "lot_id": rows["A"], "credits": 1}
    for columns, law in (
        ({"hold_id": "hold_none"}, "wallet_holdpart_is_of_a_hold_of_its_wallet"),
        ({"wallet_id": "usr_2", "lot_id": rows["D"]}, "wallet_holdpart_is_of_a_hold_of_its_wallet"),
        ({"lot_id": rows["D"]}, "wallet_holdpart_is_of_a_lot_of_its_wallet"),
        ({"lot_id": "grant_none"}, "wallet_holdpart_is_of_a_lot_of_its_wallet"),
        ({"credits": 0}, "wallet_holdpart_sets_something_aside"),
        ({"credits": -1}, "wallet_holdpart_sets_something_aside"),
        ({"lot_id": rows["B"]}, "wallet_holdpart_pkey"),
    ):
        refused(law, lambda columns=columns: insert("wallet_holdpart", part | columns))


# --- A wallet keeps what is its own -------------------------------------------------------------------


def test_a_wallet_is_granted_what_its_lots_have_left(refused):
    has = "granted credits, and its lots have"
    for change in (
        "granted = 6 WHERE user_id = 'usr_1'",
        "granted = 0 WHERE user_id = 'usr_1'",
        "granted = granted + 1",
        "granted = 4 WHERE user_id = 'usr_2'",
    ):
        refused(has, f"UPDATE wallet_wallet SET {change}")
    # The lot is spent as well, but not by as much.
    spend = "UPDATE wallet_lot SET remaining = 2 WHERE id = '{D}'"
    refused(has, f"{spend}; UPDATE wallet_wallet SET granted = 1 WHERE user_id = 'usr_2'")


def test_a_wallet_without_grants_gets_none_without_a_lot(refused, give):
    give("usr_3", 5)
    refused(
        "granted credits, and its lots have", "UPDATE wallet_wallet SET granted = 1 WHERE user_id = 'usr_3'"
    )


NEW_HOLD = (
    "INSERT INTO wallet_hold (id, wallet_id, product, feature, count, credits, idempotency_key, actor,"
    " available_before, ttl_seconds, state, created_at, expires_at)"
    f" VALUES ('hold_new', 'usr_1', 'blog', '{FEATURE}', 2, 2, 'new', 'sql', 32, 900, 'open', '2020-01-01Z',"
    " '2020-01-01 00:15Z');"
    " UPDATE wallet_wallet SET held = held + 2, open_holds = open_holds + 1, revision = revision + 1"
    " WHERE user_id = 'usr_1';"
)
HOLD_OF_B = "UPDATE wallet_lot SET held = held + 2 WHERE id = '{B}';"


def test_lots_hold_what_open_holds_have_set_aside(refused, rows):
    """A new hold of 2: of paid credits, of the lot B, or of B in one of the two tables alone."""
    others = "its open holds have set others aside"
    part = (
        "INSERT INTO wallet_holdpart (wallet_id, hold_id, lot_id, credits)"
        " VALUES ('usr_1', 'hold_new', '{B}', 2);"
    )
    refused(others, NEW_HOLD + HOLD_OF_B)
    refused(others, NEW_HOLD + part)
    refused(others, NEW_HOLD + HOLD_OF_B + part.replace("2);", "1);"))
    for statements in (NEW_HOLD, NEW_HOLD + HOLD_OF_B + part):
        with transaction.atomic():
            in_a_transaction(partial(sql, statements.format(**rows)))
            transaction.set_rollback(True)


def test_a_hold_that_ends_sets_its_parts_of_lots_free(refused):
    end = (
        "UPDATE wallet_hold SET state = 'voided', ended_at = created_at WHERE id = '{open}';"
        " UPDATE wallet_wallet SET held = 0, open_holds = 0, revision = revision + 1 WHERE user_id = 'usr_1';"
    )
    refused("its open holds have set others aside", end)
    refused("its open holds have set others aside", end + "UPDATE wallet_lot SET held = 1 WHERE id = '{B}'")


# --- Budgets, and what products have granted ----------------------------------------------------------


def test_a_budget_counts_from_zero_and_is_of_who_set_it(refused):
    for change, law in (
        ("credits = -1", "wallet_budget_counts_from_zero"),
        ("spent = -1", "wallet_budget_counts_from_zero"),
        ("alert_percent = 0", "wallet_budget_counts_from_zero"),
        ("alert_percent = 101", "wallet_budget_counts_from_zero"),
        ("product = '' WHERE period = 'month'", "wallet_budget_is_of_who_set_it"),
        ("set_by = 'staff' WHERE period = 'day'", "wallet_budget_is_of_who_set_it"),
        ("wallet_id = 'usr_unknown'", "foreign key"),
    ):
        refused(law, f"UPDATE wallet_budget SET {change}")


def test_a_budget_is_one_of_its_kind(refused):
    columns = "wallet_id, set_by, product, period, credits, alert_percent, starts, spent"
    again = f"INSERT INTO wallet_budget ({columns}) SELECT {columns} FROM wallet_budget WHERE period = 'day'"
    refused("wallet_budget_pkey", again)


def test_a_wallet_with_budgets_is_not_deleted(refused):
    refused(r"wallet_wallet(_\d+)? is history", "DELETE FROM wallet_wallet WHERE user_id = 'usr_1'")


def test_a_month_of_a_product_is_counted_once_from_zero(refused):
    refused("wallet_grantedmonth_counts_from_zero", "UPDATE wallet_grantedmonth SET credits = -1")
    columns = "product, month, credits"
    again = f"INSERT INTO wallet_grantedmonth ({columns}) SELECT {columns} FROM wallet_grantedmonth"
    refused("wallet_grantedmonth_pkey", again)


# --- Refunds of charges that grants paid ----------------------------------------------------------------


@pytest.fixture
def wallets(rows, give, article_rate):
    """usr_1 has grants and budgets, usr_2 grants, usr_3 a budget, usr_4 neither. usr_5 used its grant up."""
    set_budget(5, "usr_3")
    give("usr_4", 10)
    give("usr_5", 10)
    grant("usr_5", 2)
    for user_id in ("usr_4", "usr_5"):
        deductions.deduct(service=BLOG, user_id=user_id, feature=article_rate, count=3, key="charge")
    connection.check_constraints()


def test_a_refund_says_what_went_back_to_grants(wallets):
    for user_id, credits, to_grants in (("usr_4", 3, 0), ("usr_5", 1, 0), ("usr_5", 2, 2)):
        charge = {"idempotency_key": "charge"}
        key = f"undo:{credits}"
        give_backs.refund(service=BLOG, user_id=user_id, charge=charge, credits=credits, key=key)
        answer = GiveBack.objects.filter(wallet_id=user_id).latest("entry_id")
        assert (answer.to_grants, answer.lapsed) == (to_grants, 0)
    assert laws.violations() == []
