"""The laws of the books, by raw SQL: whatever goes round the verbs, the database refuses."""

import pytest
from django.db import Error, IntegrityError, connection, transaction

from tests.wallet import by_hand
from tests.wallet.books.guards import refuser, rows_of
from tests.wallet.entries import insert_entry, move, sql
from tests.wallet.resting import resting_triggers
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.models import Entry, RateChange, TopUp, Wallet


@pytest.fixture
def wallet(give, article_rate):
    """A user with 10 credits from one checkout, one charge of 4 and 1 of it given back: 7 left."""
    give("usr_1", 10, session_id="cs_test_paid")
    charge = debits.debit(
        user_id="usr_1",
        credits=4,
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature=article_rate,
        count=4,
        product="blog",
    )
    by_hand.give_back(entry=charge, credits=1, reason="It failed.", key="refund-1", actor="user:staff:1")
    return Wallet.objects.get(pk="usr_1")


@pytest.fixture
def refused(wallet):
    return refuser(Wallet, Entry, TopUp, RateChange)


def the(kind):
    """The id of the one entry of a kind."""
    return Entry.objects.get(kind=kind).pk


def books():
    return rows_of(Wallet, Entry, TopUp, RateChange)


# --- History stays as it was written ----------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wallet_entry SET credits = 1000",
        "UPDATE wallet_entry SET reason = 'nicer'",
        "UPDATE wallet_entry SET created_at = now()",
        "UPDATE wallet_entry SET wallet_id = 'usr_2'",
        "DELETE FROM wallet_entry WHERE kind = 'deduct'",
        "INSERT INTO wallet_entry SELECT * FROM wallet_entry"
        " ON CONFLICT (id, wallet_id) DO UPDATE SET reason = 'by the back door'",
        "UPDATE wallet_ratechange SET credits = 1000",
        "DELETE FROM wallet_ratechange",
    ],
)
def test_history_is_neither_changed_nor_removed(refused, change):
    refused("is history|does not follow", lambda: sql(change))


@pytest.mark.parametrize(
    "change",
    [
        "TRUNCATE wallet_entry CASCADE",
        "TRUNCATE wallet_wallet CASCADE",  # Takes the entries with it.
        "TRUNCATE wallet_ratechange",
    ],
)
@pytest.mark.django_db(transaction=True)
def test_history_is_not_truncated(refused, change):
    refused("is history: TRUNCATE is refused", lambda: sql(change))


def test_django_cannot_change_history_either(refused):
    entry = Entry.objects.earliest("sequence")
    entry.reason = "nicer"
    refused("is history", entry.save)
    refused("is history", lambda: Entry.objects.filter(pk=entry.pk).update(credits=5))
    refused("is history", lambda: Entry.objects.filter(kind="refund")._raw_delete(using="default"))
    refused("is history", lambda: RateChange.objects.all().delete())


def test_a_wallet_with_a_history_is_not_deleted(refused):
    refused("is history", lambda: sql("DELETE FROM wallet_wallet WHERE user_id = 'usr_1'"))


def test_no_wallet_is_deleted_or_given_to_another_user(refused):
    """Entries have no foreign key to their wallet, because every charge would pay for it."""
    keys = (
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = %s::regclass"
    )
    assert ("wallet_entry",) not in sql(keys, "wallet_wallet")
    Wallet.objects.create(user_id="usr_0")
    refused("is history", lambda: sql("DELETE FROM wallet_wallet WHERE user_id = 'usr_0'"))
    refused("is history", lambda: sql("UPDATE wallet_wallet SET user_id = 'usr_2' WHERE user_id = 'usr_1'"))


# --- An entry follows its wallet --------------------------------------------------------------------


def test_an_entry_without_its_wallet_moving_is_refused(refused):
    refused(
        "wallet_entry_follows_its_wallet",
        lambda: insert_entry("usr_1", credits=5, balance_after=12, sequence=4),
    )
    # Nor one that repeats what the wallet is now.
    refused(
        "wallet_entry_one_per_place", lambda: insert_entry("usr_1", credits=5, balance_after=7, sequence=3)
    )


def test_an_entry_of_no_wallet_is_refused(refused):
    refused(
        "wallet_entry_follows_its_wallet",
        lambda: insert_entry("usr_nobody", credits=5, balance_after=5, sequence=1),
    )


@pytest.mark.parametrize("wrong", [{"balance_after": 13}, {"sequence": 5}, {"sequence": 3}])
def test_an_entry_tells_the_balance_and_the_place_its_wallet_has(refused, wrong):
    refused("wallet_entry_follows_its_wallet", lambda: move("usr_1", 5, **wrong))


# --- A wallet moves with an entry -------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wallet_wallet SET balance = balance + 1",
        "UPDATE wallet_wallet SET entries_count = entries_count + 1",
        "UPDATE wallet_wallet SET balance = balance + 1, entries_count = entries_count + 1",
        "UPDATE wallet_wallet SET balance = 10, entries_count = 1",  # Back to an entry that was.
        "UPDATE wallet_wallet SET balance = 0, entries_count = 0",
        "INSERT INTO wallet_wallet VALUES ('usr_rich', 1000, 1, now())",
    ],
)
@pytest.mark.django_db(transaction=True)
def test_a_wallet_that_moves_without_an_entry_is_refused_at_the_commit(wallet, change):
    before = books()
    after = None

    @transaction.atomic
    def move_alone():
        nonlocal after
        sql(change)
        after = books()

    with pytest.raises(IntegrityError, match="without an entry that says so"):
        move_alone()
    assert books() == before
    assert after not in (None, before)  # It was allowed until the commit.


def test_an_entry_that_says_less_than_what_moved_is_refused(refused):
    refused("without an entry", lambda: move("usr_1", -3, credits=-2))
    refused("without an entry", lambda: move("usr_1", 3, credits=2))


def test_one_entry_does_not_stand_for_two_moves(refused):
    def twice():
        sql("UPDATE wallet_wallet SET balance = balance + 5, entries_count = entries_count + 1")
        move("usr_1", 5)

    refused("without an entry", twice)


def test_a_wallet_does_not_skip_a_number(refused):
    def skip_one():
        sql("UPDATE wallet_wallet SET balance = balance + 5, entries_count = entries_count + 2")
        insert_entry("usr_1", credits=5, balance_after=12, sequence=5)

    refused("without an entry", skip_one)


def test_several_moves_each_with_its_entry_are_fine_in_one_transaction(wallet):
    with transaction.atomic():
        move("usr_1", 5)
        move("usr_1", -12)
        connection.check_constraints()
    assert available_of("usr_1") == 0


def test_a_wallet_begins_with_nothing(refused):
    refused("wallet_wallet_starts_empty", lambda: sql("INSERT INTO wallet_wallet VALUES ('u', 5, 0, now())"))
    refused(
        "wallet_wallet_counts_from_zero", lambda: sql("INSERT INTO wallet_wallet VALUES ('u', 0, -1, now())")
    )


# --- What one entry may say -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deduct", "adjustment"])
def test_a_charge_and_an_adjustment_leave_nothing_less_than_nothing(refused, kind):
    refused(
        "wallet_entry_leaves_what_is_held",
        lambda: move("usr_1", -8, kind=kind, feature="blog.article.generate", count=8),
    )


@pytest.mark.breaks_the_books  # Stripe has reported nothing that would explain the clawback.
def test_a_clawback_may_leave_less_than_nothing_and_what_comes_in_then_is_fine(wallet):
    move("usr_1", -9, kind="clawback", stripe_session_id="cs_test_paid")
    assert available_of("usr_1") == -2
    move("usr_1", 1, kind="reinstatement", stripe_session_id="cs_test_paid")
    assert available_of("usr_1") == -1


@pytest.mark.parametrize(
    ("kind", "credits"),
    [
        *((kind, -1) for kind in ("topup", "refund", "reinstatement", "grant")),
        *((kind, 1) for kind in ("deduct", "clawback", "expiry", "capture")),
        ("gift", 1),  # No such kind.
        ("", 1),
    ],
)
def test_the_sign_of_an_entry_fits_its_kind(refused, kind, credits):
    facts = {"feature": "blog.article.generate", "count": 1, "stripe_session_id": "cs_test_other"}
    if kind == "refund":
        facts["reverses_id"] = the("topup")
    law = "does not fit the hold" if kind == "capture" else "wallet_entry_sign_fits_kind"
    refused(law, lambda: move("usr_1", credits, kind=kind, **facts))


@pytest.mark.parametrize("kind", ["adjustment", "grant", "deduct", "clawback"])
def test_an_entry_moves_something(refused, kind):
    facts = {"feature": "blog.article.generate", "count": 1}
    law = "wallet_entry_moves_something|wallet_entry_sign_fits_kind"
    refused(law, lambda: move("usr_1", 0, kind=kind, **facts))


def test_a_charge_names_what_was_bought(refused):
    refused("wallet_entry_charge_names_its_feature", lambda: move("usr_1", -1, kind="deduct", count=1))
    refused(
        "wallet_entry_charge_names_its_feature",
        lambda: move("usr_1", -1, kind="deduct", feature="blog.article.generate"),
    )
    refused(
        "wallet_entry_charge_names_its_feature",
        lambda: move("usr_1", -1, kind="deduct", count=0, feature="x"),
    )


def test_a_key_makes_one_entry_of_a_kind(refused):
    facts = {"kind": "deduct", "feature": "x", "count": 1, "product": "blog", "idempotency_key": "article:1"}
    move("usr_1", -1, **facts)
    refused("wallet_entry_key_once", lambda: move("usr_1", -1, **facts))
    move("usr_1", -1, **facts | {"product": "mail"})
    move("usr_1", -1, **facts | {"idempotency_key": ""})
    move("usr_1", -1, **facts | {"idempotency_key": ""})


# --- Reversals --------------------------------------------------------------------------------------


def test_reversals_never_come_to_more_than_the_whole(refused):
    charge = the("deduct")  # 4, of which 1 has been given back.
    law = "reverses more than"
    refused(law, lambda: move("usr_1", 4, kind="refund", reverses_id=charge))
    move("usr_1", 3, kind="refund", reverses_id=charge)
    refused(law, lambda: move("usr_1", 1, kind="refund", reverses_id=charge))


def test_a_reversal_is_of_the_same_wallet(refused, give):
    give("usr_2", 5)
    charge = the("deduct")
    refused("reverses more than", lambda: move("usr_2", 1, kind="refund", reverses_id=charge))


def test_a_reversal_goes_the_other_way(refused):
    topup, charge = the("topup"), the("deduct")
    refused("reverses more than", lambda: move("usr_1", 1, reverses_id=topup))
    refused("reverses more than", lambda: move("usr_1", -1, reverses_id=charge))


def test_a_reversal_of_nothing_that_is_there_is_refused(refused):
    refused("reverses more than", lambda: move("usr_1", 1, kind="refund", reverses_id="txn_nothing"))
    refused("wallet_entry_refund_names_its_charge", lambda: move("usr_1", 1, kind="refund"))


# --- Top-ups ----------------------------------------------------------------------------------------


def test_a_top_up_names_its_checkout(refused):
    refused("wallet_entry_topup_names_its_checkout", lambda: move("usr_1", 5, kind="topup"))


def test_a_checkout_tops_up_a_wallet_once(refused):
    again = {"kind": "topup", "stripe_session_id": "cs_test_paid"}
    refused("wallet_entry_checkout_once", lambda: move("usr_1", 5, **again))


def test_a_checkout_belongs_to_one_user(refused, give):
    refused("stripe_session_id", lambda: give("usr_2", 10, session_id="cs_test_paid"))
    refused(
        "stripe_session_id",
        lambda: TopUp.objects.create(user_id="usr_2", stripe_session_id="cs_test_paid", state="created"),
    )
    open_one = TopUp.objects.create(user_id="usr_2", stripe_session_id="cs_test_open", state="created")
    refused(
        "stripe_session_id",
        lambda: TopUp.objects.filter(pk=open_one.pk).update(stripe_session_id="cs_test_paid"),
    )


@pytest.mark.breaks_the_books  # Stripe has reported nothing that would explain the clawback.
def test_adjustments_that_name_no_checkout_are_free(wallet):
    move("usr_1", 1)
    move("usr_1", -1)
    # What follows a payment names its session too, and is neither of the two.
    move("usr_1", -5, kind="clawback", stripe_session_id="cs_test_paid")


def test_an_entry_stands_for_one_top_up(refused):
    entry_id = the("topup")
    refused(
        "entry_id",
        lambda: TopUp.objects.create(
            user_id="usr_1", stripe_session_id="cs_test_2", state="paid", paid_cents=1000, entry_id=entry_id
        ),
    )


@pytest.mark.parametrize(
    "change",
    [
        "entry_id = NULL",
        "state = 'failed'",
        "paid_cents = NULL",
        "paid_cents = 0",
        "paid_cents = 2501",
        "amount_cents = 5",
        "paid_at = now()",
        "user_id = 'usr_2'",
        "stripe_session_id = NULL",
        "stripe_session_id = 'cs_2'",
        "payment_intent_id = 'pi_2'",
    ],
)
def test_a_paid_top_up_is_final(refused, change):
    refused("is history", lambda: sql(f"UPDATE wallet_topup SET {change}"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wallet_topup SET entry_id = NULL",
        "UPDATE wallet_topup SET state = 'failed'",
        "UPDATE wallet_topup SET paid_cents = NULL",
        "UPDATE wallet_topup SET paid_cents = 0",
        "UPDATE wallet_topup SET stripe_session_id = NULL",
        "INSERT INTO wallet_topup (id, user_id, product, state, payment_intent_id, remark, created_at,"
        " paid_cents, stripe_session_id) VALUES ('top_1', 'usr_1', '', 'paid', '', '', now(), 500, 'cs_2')",
    ],
)
def test_paid_means_an_entry_and_an_entry_means_paid(refused, change):
    with resting_triggers():
        refused("wallet_topup_is_paid_with_an_entry", lambda: sql(change))


def test_the_entry_of_a_top_up_is_not_lost(refused):
    refused("is history", lambda: sql("DELETE FROM wallet_entry WHERE kind = 'topup'"))


# --- Rates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credits", [0, 1_000_000_001])
def test_a_rate_is_never_free_and_never_absurd(refused, credits):
    refused("wallet_rate_is_never_free", lambda: sql("UPDATE wallet_rate SET credits = %s", credits))


def test_a_negative_rate_is_refused(wallet):
    with pytest.raises(Error), transaction.atomic():
        sql("UPDATE wallet_rate SET credits = -1")
