"""History that was changed with the triggers off: what the seals name, and what only the seal file names.

Each case is one corruption, made after the history was sealed in stretches of four.
"""

import pytest
from django.db import connection

from monetization.privacy import erasure
from tests.wallet import racing
from tests.wallet.entries import sql
from tests.wallet.resting import rest, wake
from tests.wallet.seals import history
from tests.wallet.seals.history import found, unsealed
from wallet.models import Entry, Wallet
from wallet.seals import heads, sealing
from wallet.seals.checking import CHAIN, CHANGED, HEADS, WORDS

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


@pytest.fixture
def sealed(give, article_rate, monkeypatch):
    """Written and sealed history; from here on no trigger works."""
    monkeypatch.setattr(sealing, "STRETCH_MAX", 4)
    history.of_wallets(give)
    history.of_tables()
    sealing.seal()
    assert (found(), unsealed()) == ([], (0, 0))
    connection.check_constraints()  # The deferred laws look at what was written before, and not at this.
    rest()


@pytest.fixture
def kept(sealed):
    """The heads in the seal file that was kept elsewhere."""
    return list(heads.of_books())


def seal_anew():
    """Make all seals anew, as an attacker who can write everything."""
    sql("DELETE FROM wallet_seal")
    sql("DELETE FROM wallet_tableseal")
    sealing.seal()


def renumber(*pairs):
    """Give entries of usr_1 other numbers, with the moves of lots."""
    for table in ("wallet_entry", "wallet_lotmove"):
        for old, new in pairs:
            sql(f"UPDATE {table} SET sequence = %s WHERE wallet_id = 'usr_1' AND sequence = %s", new, old)


def recompute_balances():
    sql(
        "UPDATE wallet_entry e SET balance_after = added.balance FROM ("
        " SELECT id, sum(credits) OVER (ORDER BY sequence) AS balance FROM wallet_entry"
        " WHERE wallet_id = 'usr_1') added WHERE added.id = e.id"
    )
    sql(
        "UPDATE wallet_wallet SET (balance, entries_count) = ("
        " SELECT sum(credits), count(*) FROM wallet_entry WHERE wallet_id = user_id) WHERE user_id = 'usr_1'"
    )


# --- One column -------------------------------------------------------------------------------------

ONE_ENTRY = [
    "feature = 'mail.send'",
    "count = 4",
    "idempotency_key = 'another'",
    "idempotency_key = ''",
    "actor = 'service:wsk_other'",
    "reason = 'nicer'",
    "created_at = created_at - interval '1 microsecond'",
    "effective_at = effective_at + interval '1 year'",
    "product = 'mail'",
    "kind = 'expiry'",
    "id = 'txn_other'",
    "held = held + 1",
    "credits = credits - 1",
    "balance_after = balance_after + 1",
    "stripe_session_id = 'cs_1'",
    "reverses_id = NULL, reason = reason || ' '",
]


@pytest.mark.parametrize("change", ONE_ENTRY)
def test_a_column_of_an_entry(sealed, change):
    sql(f"UPDATE wallet_entry SET {change} WHERE wallet_id = 'usr_1' AND sequence = 5")
    assert found() == [
        (
            CHANGED,
            "usr_1",
            "entries 5 to 8: 4 entries, as many as were sealed, but changed, replaced or renumbered",
        )
    ]
    assert found("usr_2") == []


AROUND = [
    ("wallet_lotmove", "credits = credits - 1", 5),
    ("wallet_lotmove", "remaining_after = remaining_after + 1", 9),
    ("wallet_lot", "expires_at = expires_at + interval '1 day'", 1),
    ("wallet_lot", "reason = 'nicer'", 1),
    ("wallet_lot", "credits = credits + 1", 1),
    ("wallet_giveback", "available = available + 1", 1),
    ("wallet_giveback", "requested = NULL", 1),
    ("wallet_hold", "actor = 'service:wsk_other'", 5),
    ("wallet_hold", "count = count + 1", 5),
    ("wallet_hold", "captured_count = 1", 5),
    ("wallet_hold", "available_before = available_before + 1", 5),
    ("wallet_hold", "ended_at = ended_at - interval '1 microsecond'", 5),
    ("wallet_holdpart", "credits = credits + 1", 5),
]


@pytest.mark.parametrize(("table", "change", "first"), AROUND)
def test_a_row_beside_an_entry(sealed, table, change, first):
    of_entry = " AND sequence = %s" if table == "wallet_lotmove" else ""
    sql(f"UPDATE {table} SET {change} WHERE wallet_id = 'usr_1'{of_entry}", *([first] if of_entry else []))
    assert [(law, name, detail.partition(":")[0]) for law, name, detail in found()] == [
        (CHANGED, "usr_1", f"entries {first} to {min(first + 3, 11)}")
    ]


@pytest.mark.parametrize(
    "table", ["wallet_lotmove", "wallet_lot", "wallet_giveback", "wallet_hold", "wallet_holdpart"]
)
def test_a_row_beside_an_entry_removed(sealed, table):
    sql(f"DELETE FROM {table} WHERE wallet_id = 'usr_1'")
    assert [(law, name) for law, name, _ in found()] == [(CHANGED, "usr_1")]


# --- Several rows together --------------------------------------------------------------------------


def amount_with_balances():
    sql("UPDATE wallet_entry SET credits = credits + 1 WHERE wallet_id = 'usr_1' AND sequence = 11")
    recompute_balances()


def two_swapped():
    renumber((6, 1000), (7, 6), (1000, 7))


def two_swapped_with_balances():
    two_swapped()
    recompute_balances()


def two_swapped_with_times():
    times = dict(sql("SELECT sequence, created_at FROM wallet_entry WHERE wallet_id = 'usr_1'"))
    two_swapped_with_balances()
    for sequence in (6, 7):
        query = "UPDATE wallet_entry SET created_at = %s WHERE wallet_id = 'usr_1' AND sequence = %s"
        sql(query, times[sequence], sequence)


def last_deleted():
    sql("DELETE FROM wallet_entry WHERE wallet_id = 'usr_1' AND sequence = 11")
    recompute_balances()


def all_of_the_last_stretch_deleted():
    sql("DELETE FROM wallet_entry WHERE wallet_id = 'usr_1' AND sequence >= 9")
    sql("DELETE FROM wallet_lotmove WHERE wallet_id = 'usr_1' AND sequence >= 9")
    recompute_balances()


def middle_deleted():
    sql("DELETE FROM wallet_entry WHERE wallet_id = 'usr_1' AND sequence = 7")
    renumber(*((number, number - 1) for number in range(8, 12)))
    recompute_balances()


def one_inserted():
    renumber(*((number, number + 1) for number in range(11, 5, -1)))
    columns = [field.column for field in Entry._meta.concrete_fields if field.column != "id"]
    changed = {"sequence": "6", "idempotency_key": "''"}
    values = ", ".join(changed.get(str(column), str(column)) for column in columns)
    sql(
        f"INSERT INTO wallet_entry (id, {', '.join(map(str, columns))}) SELECT 'txn_new', {values}"
        " FROM wallet_entry WHERE wallet_id = 'usr_1' AND sequence = 11"
    )
    recompute_balances()


def moved_to_another_user():
    sql(
        "UPDATE wallet_entry SET wallet_id = 'usr_2', sequence = 3"
        " WHERE wallet_id = 'usr_1' AND sequence = 11"
    )
    recompute_balances()


SAME = "4 entries, as many as were sealed, but changed, replaced or renumbered"
FALL = "4 entries, as many as were sealed, but changed or put in another order: their times fall"
TOGETHER = [
    (amount_with_balances, f"entries 9 to 11: {SAME.replace('4', '3')}"),
    (two_swapped, f"entries 5 to 8: {FALL}"),
    # The balance after the second one is what it was.
    (two_swapped_with_balances, f"entries 5 to 8: {FALL}"),
    (two_swapped_with_times, f"entries 5 to 8: {SAME}"),
    (last_deleted, "entries 9 to 11: 2 entries there, 3 sealed: entries were removed"),
    (all_of_the_last_stretch_deleted, "entries 9 to 11: 0 entries there, 3 sealed: entries were removed"),
    (middle_deleted, f"entries 5 to 8: {SAME}; 1 later seal differs too"),
    (one_inserted, f"entries 5 to 8: {FALL}; 1 later seal differs too"),
    (moved_to_another_user, "entries 9 to 11: 2 entries there, 3 sealed: entries were removed"),
]


@pytest.mark.parametrize(("corrupt", "detail"), TOGETHER, ids=lambda each: getattr(each, "__name__", ""))
def test_several_rows_together(sealed, corrupt, detail):
    corrupt()
    assert found() == [(CHANGED, "usr_1", detail)]


@pytest.mark.parametrize("corrupt", [corrupt for corrupt, _ in TOGETHER], ids=lambda each: each.__name__)
def test_with_all_seals_made_anew_only_the_file_names_it(kept, corrupt):
    corrupt()
    seal_anew()
    assert found() == []
    names = {(law, name) for law, name, _ in found(heads=kept)}
    changed = {"usr_1", "usr_2"} if corrupt is moved_to_another_user else {"usr_1"}
    # Seals of tables contain no time, so those of tables that did not change are the same again.
    assert names == {(HEADS, name) for name in changed}


# --- Whole wallets ----------------------------------------------------------------------------------


def erase_wallet():
    tables = ["entry", "lotmove", "lot", "giveback", "hold", "holdpart", "seal", "budget"]
    for table in tables:
        sql(f"DELETE FROM wallet_{table} WHERE wallet_id = 'usr_1'")
    sql("DELETE FROM wallet_wallet WHERE user_id = 'usr_1'")


def begin_wallet(user_id):
    columns = "user_id, balance, entries_count, created_at"
    sql(f"INSERT INTO wallet_wallet ({columns}) VALUES (%s, 0, 0, now())", user_id)


def test_a_whole_wallet_erased(sealed):
    sql("DELETE FROM wallet_entry WHERE wallet_id = 'usr_1'")
    sql("DELETE FROM wallet_wallet WHERE user_id = 'usr_1'")
    assert found() == [
        (
            CHANGED,
            "usr_1",
            "entries 1 to 4: 0 entries there, 4 sealed: entries were removed; 2 later seals differ too",
        )
    ]


def test_a_whole_wallet_erased_with_its_seals_is_named_by_the_file_alone(kept):
    erase_wallet()
    assert found() == []
    assert found(heads=kept) == [(HEADS, "usr_1", "up to 11: the wallet is gone")]
    assert found("usr_1", heads=kept) == [(HEADS, "usr_1", "up to 11: the wallet is gone")]
    assert found("usr_2", heads=kept) == []


def test_a_wallet_begun_anew_is_named_by_the_file_alone(kept, give):
    erase_wallet()
    begin_wallet("usr_1")
    assert found(heads=kept) == [(HEADS, "usr_1", "up to 11: all of its seals are gone")]


# --- Seals ------------------------------------------------------------------------------------------

SEALS = [
    ("UPDATE wallet_seal SET hash = sha256('x') WHERE wallet_id = 'usr_1' AND after = 8",
     CHAIN, "entries 9 to 11: the seal has another hash"),
    ("UPDATE wallet_seal SET hash = sha256('x') WHERE wallet_id = 'usr_1' AND after = 0",
     CHAIN, "entries 1 to 4: the seal has another hash; 1 later seal differs too"),
    ("UPDATE wallet_seal SET entries_digest = sha256('x') WHERE wallet_id = 'usr_1' AND after = 4",
     CHANGED, f"entries 5 to 8: {SAME}"),
    ("UPDATE wallet_seal SET format = 2 WHERE wallet_id = 'usr_1' AND after = 4",
     CHANGED, f"entries 5 to 8: {SAME}"),
    ("UPDATE wallet_seal SET sequence = 7 WHERE wallet_id = 'usr_1' AND after = 4",
     CHANGED, "entries 5 to 7: 3 entries, as many as were sealed, but changed, replaced or renumbered;"
     " 1 later seal differs too"),
    ("DELETE FROM wallet_seal WHERE wallet_id = 'usr_1' AND after = 4",
     CHAIN, "entries 9 to 11: the seal before does not end at 8"),
    ("DELETE FROM wallet_seal WHERE wallet_id = 'usr_1' AND after = 0",
     CHAIN, "entries 5 to 8: the seal before does not end at 4"),
]  # fmt: skip


@pytest.mark.parametrize(("corrupt", "law", "detail"), SEALS)
def test_a_seal(sealed, corrupt, law, detail):
    sql(corrupt)
    assert found() == [(law, "usr_1", detail)]


def test_the_last_seal_removed_is_named_by_the_file_and_its_entries_are_unsealed(kept):
    sql("DELETE FROM wallet_seal WHERE wallet_id = 'usr_1' AND after = 8")
    assert (found(), unsealed()) == ([], (3, 0))
    assert found(heads=kept) == [(HEADS, "usr_1", "up to 11: no seal ends there; the one before ends at 8")]


def test_a_seal_of_a_table_removed(sealed):
    sql("DELETE FROM wallet_tableseal WHERE table_name = 'accounts_planchange' AND after = 0")
    [(law, name, detail)] = found()
    assert (law, name, "the seal before does not end at" in detail) == (CHAIN, "accounts_planchange", True)


# --- Other tables -----------------------------------------------------------------------------------

TABLES = {
    "accounts_act": ["about = 'usr_9'", "label = 'Other'", "form_key = 'f'", "created_at = now()"],
    "accounts_planchange": ["fee_bps = 1", "key_limit = NULL", "actor = 'x'", "slug = 'max'"],
    "accounts_redaction": [
        "key = key + 1",
        "before = sha256('x')",
        "created_at = created_at - interval '1 s'",
    ],
    "monetization_erasure": ["tips = tips + 1", "actor = 'x'"],
    "monetization_refund": ["amount_cents = 1", "fee_returned_cents = 0", "actor = 'x'", "key = 'x'"],
    "monetization_subscriptionevent": ["kind = 'created'", "yearly_cents_delta = 1", "occurred_at = now()"],
    "wallet_audit": ["outcome = 'found'", "findings = '[]'", "found_count = 7", "remark = 'x'"],
    "wallet_ratechange": ["credits = 9", "actor = 'x'", "active = NOT active", "created_at = now()"],
}
KEYS = {"monetization_refund": "number"}
CHANGES = [(table, change) for table, changes in TABLES.items() for change in changes]


def last_of(table):
    key = KEYS.get(table, "id")
    return f"{key} = (SELECT max({key}) FROM {table})"


@pytest.mark.parametrize(("table", "change"), CHANGES)
def test_a_column_of_another_table(sealed, table, change):
    sql(f"UPDATE {table} SET {change} WHERE {last_of(table)}")
    named = [
        (law, name, "as many as were sealed, but changed or replaced" in detail)
        for law, name, detail in found()
    ]
    assert (CHANGED, table, True) in named
    # A changed redaction also no longer explains the words of its row.
    others = {name for _, name, _ in named} - {table}
    assert table == "accounts_redaction" or not others


@pytest.mark.parametrize("table", TABLES)
def test_a_row_of_another_table_removed(kept, table):
    sql(f"DELETE FROM {table} WHERE {last_of(table)}")
    named = [(law, name) for law, name, detail in found() if "rows were removed" in detail]
    assert named == [(CHANGED, table)]
    seal_anew()
    assert [(law, name) for law, name, _ in found() if law in (CHANGED, CHAIN)] == []
    assert (HEADS, table) in [(law, name) for law, name, _ in found(heads=kept)]


def test_a_row_of_another_table_added_below_the_last_key(sealed):
    sql(
        "INSERT INTO wallet_ratechange (id, feature, label, credits, unit, active, actor, created_at)"
        " SELECT -1, feature, label, credits, unit, active, actor, created_at FROM wallet_ratechange LIMIT 1"
    )
    sql("UPDATE wallet_ratechange SET id = id + 100 WHERE id > (SELECT min(id) + 1 FROM wallet_ratechange)")
    assert (CHANGED, "wallet_ratechange") in [(law, name) for law, name, _ in found()]


# --- Words, and the erasure of a reader -------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("accounts_act", "told = 'Nothing'"),
        ("accounts_act", "told = told || ' (erased)'"),
        ("accounts_act", "reason = 'Because'"),
        ("monetization_refund", "reason = 'Because'"),
    ],
)
def test_words_of_history(sealed, table, change):
    sql(f"UPDATE {table} SET {change} WHERE {last_of(table)}")
    assert [(law, name) for law, name, _ in found()] == [(CHANGED, table)]


def test_words_that_were_redacted_before(sealed):
    """The first act was redacted before it was sealed."""
    sql("UPDATE accounts_act SET told = 'Other (erased)' WHERE told LIKE '%%(erased)%%'")
    assert [law for law, _, _ in found()] == [WORDS]


def redact(words, after):
    """Change words by hand, with a redaction that was made up."""
    [(key,)] = sql("SELECT max(id) FROM accounts_act")
    digest = (
        "sha256(convert_to(octet_length({0}) || ':' || {0} || octet_length(reason) || ':' || reason, 'UTF8'))"
    )
    sql(
        "INSERT INTO accounts_redaction (table_name, key, before, after, created_at)"
        f" SELECT 'accounts_act', id, {digest.format('told')}, {digest.format('%s::text')}, clock_timestamp()"
        " FROM accounts_act WHERE id = %s",
        after,
        after,
        key,
    )
    sql("UPDATE accounts_act SET told = %s WHERE id = %s", words, key)
    return f"accounts_act {key}"


def test_a_redaction_made_up_for_other_words(sealed):
    row = redact("Nothing (erased)", after="Something (erased)")
    assert found() == [(WORDS, row, "the words are not what the redaction left")]


def test_a_redaction_made_up_for_words_without_a_mark(sealed):
    row = redact("Nothing", after="Nothing")
    assert found() == [(WORDS, row, "a redaction is recorded, but the words have no mark of one")]


def test_a_redaction_made_up_with_a_mark_is_not_found_but_stays_on_record(sealed):
    """The seals have no words. So there must be an Erasure of that time, which staff can look for."""
    redact("Nothing (erased)", after="Nothing (erased)")
    assert (found(), unsealed()) == ([], (0, 1))


def test_an_erasure_leaves_the_seals_as_they_are(sealed):
    wake()
    erasure.erase("ann@x.co", actor="operator")
    assert sql("SELECT told FROM accounts_act ORDER BY id DESC LIMIT 1") == [("(erased) asked",)]
    assert (found(), unsealed()) == ([], (0, 2))
    sealing.seal()
    erasure.erase("someone@x.co", actor="operator")
    assert (found(), unsealed()) == ([], (0, 1))


# --- What is younger than the last seal -------------------------------------------------------------


@pytest.fixture
def younger(sealed):
    """One entry since the last seal, the twelfth."""
    wake()
    racing.charge(5)
    connection.check_constraints()
    rest()
    assert (found(), unsealed()) == ([], (1, 0))


def test_a_younger_entry_that_was_changed_is_not_found_but_counted(younger):
    sql("UPDATE wallet_entry SET reason = 'nicer' WHERE wallet_id = 'usr_1' AND sequence = 12")
    assert (found(), unsealed()) == ([], (1, 0))


def test_a_younger_entry_that_was_removed_with_the_wallet_set_back_is_not_found(younger):
    sql("DELETE FROM wallet_entry WHERE wallet_id = 'usr_1' AND sequence = 12")
    recompute_balances()
    assert (found(), unsealed()) == ([], (0, 0))


def test_a_younger_entry_cannot_hide_a_change_of_an_older_one(younger):
    """It would have to be between sealed ones."""
    sql("UPDATE wallet_entry SET credits = credits - 1 WHERE wallet_id = 'usr_1' AND sequence IN (11, 12)")
    recompute_balances()
    assert [(law, name) for law, name, _ in found()] == [(CHANGED, "usr_1")]


def test_a_younger_entry_is_found_after_the_next_seal(younger):
    sealing.seal()
    sql("DELETE FROM wallet_entry WHERE wallet_id = 'usr_1' AND sequence = 12")
    recompute_balances()
    assert found() == [
        (CHANGED, "usr_1", "entries 12 to 12: 0 entries there, 1 sealed: entries were removed")
    ]


def test_a_younger_wallet_that_was_erased_is_not_found(sealed):
    begin_wallet("usr_3")
    sql("DELETE FROM wallet_wallet WHERE user_id = 'usr_3'")
    assert found() == []
    assert set(Wallet.objects.values_list("pk", flat=True)) == {"usr_1", "usr_2"}
