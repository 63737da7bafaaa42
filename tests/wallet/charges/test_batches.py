"""Many charges in one call: what each becomes, beside the same charges one by one, and what stops some."""

import hypothesis
import pytest
from django.db import connection, transaction
from hypothesis import strategies as st

from accounts import service_keys
from accounts.errors import InvalidServiceKey, MissingRight, ProductStopped
from accounts.models import Right
from accounts.service_keys import issue_service_key
from foundation.errors import BillingError
from tests.crowd import begin, wait_until_another_waits, wallet_locked_by_another
from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.granted import grant, set_budget
from tests.wallet.held import hold
from tests.wallet.resting import resting_triggers
from wallet.books import laws, ledger
from wallet.books.funds import available_of
from wallet.charges import batches, deductions
from wallet.charges.batches import Item, deduct_all
from wallet.charges.deductions import Charge
from wallet.models import Entry, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

ARTICLE, VIDEO = "blog.article.generate", "blog.video"


@pytest.fixture
def blog(db):
    return issue_service_key(product="blog", feature_prefixes=["blog."])[0]


def item(key="k", count=1, user_id="usr_1", feature=ARTICLE):
    return Item(user_id, feature, count, key)


def told(outcome):
    """What an outcome says, without ids and times."""
    match outcome:
        case Charge(entry=entry, replayed=replayed):
            return entry.available_before, entry.available_after, entry.charged, replayed
        case BillingError():
            return type(outcome).__name__, str(outcome)
    return outcome


# --- Beside single charges ----------------------------------------------------------------------------

ITEMS = st.lists(
    st.builds(
        Item,
        user_id=st.sampled_from(["usr_1", "usr_2", "usr_none"]),
        feature=st.sampled_from([ARTICLE, ARTICLE, VIDEO, "blog.none", "blog.old", "mail.send"]),
        count=st.integers(1, 4),
        key=st.sampled_from([f"key:{n}" for n in range(8)]),
    ),
    min_size=1,
    max_size=25,
)
STANDINGS = {
    "plain": lambda: None,
    "held": lambda: hold("usr_1", count=5, key="hold"),
    "granted": lambda: grant(credits=5, key="grant"),
    "budget": lambda: set_budget(9),
    "frozen": lambda: ledger.set_frozen("usr_1", frozen=True),
}


def rows():
    """All that the books say but ids and times, in the order of each wallet."""
    columns = "wallet_id sequence kind credits balance_after held feature count product idempotency_key actor"
    entries = Entry.objects.order_by("wallet_id", "sequence").values_list(*columns.split())
    return list(entries), list(
        Wallet.objects.order_by("pk").values("pk", "balance", "entries_count", "granted")
    )


def one_by_one(blog, items):
    """The same charges as single calls, in an order in which a batch may make them."""
    outcomes: dict[int, batches.Outcome] = {}
    for place, each in sorted(enumerate(items), key=lambda numbered: numbered[1].user_id):
        try:
            outcomes[place] = deductions.deduct(
                service=blog, user_id=each.user_id, feature=each.feature, count=each.count, key=each.key
            )
        except BillingError as error:
            outcomes[place] = error
    return [told(outcomes[place]) for place in range(len(items))]


@pytest.mark.parametrize("standing", STANDINGS)
def test_any_batch_says_and_writes_what_single_charges_do(blog, give, article_rate, monkeypatch, standing):
    monkeypatch.setattr(batches, "ITEMS_OF_TRANSACTION_MAX", 5)
    for feature, active in ((VIDEO, True), ("blog.old", False)):
        rates.set_rate(feature=feature, label="V", credits=3, unit="v", active=active, actor="test")
    give("usr_1", 20)
    give("usr_2", 7)
    STANDINGS[standing]()
    used = deductions.deduct(service=blog, user_id="usr_2", feature=ARTICLE, count=2, key="key:1").entry
    by_hand.give_back(entry=used, reason="It failed", key="refund", actor="test")

    @hypothesis.settings(max_examples=25, database=None)
    @hypothesis.given(ITEMS)
    def same(items):
        found = []
        for make in (lambda: [told(each) for each in deduct_all(service=blog, items=items)],
                     lambda: one_by_one(blog, items)):  # fmt: skip
            with transaction.atomic():
                found.append((make(), rows()))
                connection.check_constraints()
                assert laws.violations() == []
                transaction.set_rollback(True)
        assert found[0] == found[1]

    same()


def test_several_transactions_of_one_wallet_are_committed(give, article_rate, blog):
    give("usr_1", 200)
    outcomes = deduct_all(service=blog, items=[item(f"k{n}") for n in range(120)])
    assert [told(each)[1] for each in outcomes] == [199 - n for n in range(120)]
    connection.check_constraints()
    assert available_of("usr_1") == 80


# --- What changed since the key was read --------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda key: service_keys.revoke_service_key(key), InvalidServiceKey),
        (lambda key: sql("UPDATE accounts_servicekey SET expires_at = now()"), InvalidServiceKey),
        (lambda key: service_keys.set_rights(key, [Right.READ]), MissingRight),
        (lambda key: service_keys.stop_product("blog"), ProductStopped),
    ],
    ids=["revoked", "expired", "without the right", "stopped"],
)
def test_each_transaction_looks_at_the_key_again(blog, give, article_rate, change, error):
    """The request has read the key before, or a process has kept it."""
    give("usr_1", 10)
    change(blog)
    outcomes = deduct_all(service=blog, items=[item("a"), item("b")])
    assert [type(each) for each in outcomes] == [error, error]
    assert available_of("usr_1") == 10


def test_prices_are_of_the_transaction(blog, give, article_rate):
    give("usr_1", 10)
    rates.set_rate(feature=ARTICLE, label="A", credits=4, unit="u", actor="test")
    assert [told(each)[:3] for each in deduct_all(service=blog, items=[item("a"), item("b")])] == [
        (10, 6, 4),
        (6, 2, 4),
    ]


# --- What cannot be done together ----------------------------------------------------------------------


@pytest.mark.breaks_the_books
def test_what_a_law_refuses_together_is_charged_one_by_one(blog, give, article_rate, caplog):
    """The last entry of this wallet says another balance, so no entry in the middle can follow it."""
    give("usr_1", 10)
    connection.check_constraints()
    with resting_triggers():
        sql("UPDATE wallet_entry SET balance_after = 11")
    assert [told(each) for each in deduct_all(service=blog, items=[item("a"), item("b", count=2)])] == [
        (10, 9, 1, False),
        (9, 7, 2, False),
    ]
    assert "could not be made together" in caplog.text


# --- Out of reach -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_locked_wallet_stops_no_other(blog, give, article_rate):
    for n in (1, 2, 3):
        give(f"usr_{n}", 10)
    asked = [item(f"{turn}", user_id=f"usr_{n}") for turn in range(2) for n in (3, 2, 1)]
    with wallet_locked_by_another("usr_2"):
        outcomes = deduct_all(service=blog, items=asked)
    assert [told(each) for each in outcomes] == [
        (10, 9, 1, False), None, (10, 9, 1, False), (9, 8, 1, False), None, (9, 8, 1, False),
    ]  # fmt: skip
    assert [available_of(f"usr_{n}") for n in (1, 2, 3)] == [8, 10, 8]
    again = deduct_all(service=blog, items=asked)
    assert [told(each)[3] for each in again] == [True, False, True, True, False, True]


@pytest.mark.single_server("it ends the session that waits, which on a cluster is one between nodes")
@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_stops_the_rest(blog, give, article_rate):
    """The server ends the session that waits for the second of three users."""
    for n in (1, 2, 3):
        give(f"usr_{n}", 10)
    asked = [item(key, user_id=f"usr_{n}") for n in (1, 2, 3) for key in "ab"]
    with transaction.atomic():
        sql("SELECT FROM wallet_wallet WHERE user_id = 'usr_2' FOR UPDATE")
        batch = begin(lambda: deduct_all(service=blog, items=asked))
        wait_until_another_waits()
        sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        outcomes = batch.result(timeout=60)
    assert [told(each) for each in outcomes[:2]] == [(10, 9, 1, False), (9, 8, 1, False)]
    assert outcomes[2:] == [None] * 4
    assert [available_of(f"usr_{n}") for n in (1, 2, 3)] == [8, 10, 10]


@pytest.mark.django_db(transaction=True)
def test_a_batch_locks_one_wallet_at_a_time(blog, give, article_rate):
    """While it waits for the second user, the first one can be charged."""
    for n in (1, 2):
        give(f"usr_{n}", 10)
    with transaction.atomic():
        sql("SELECT FROM wallet_wallet WHERE user_id = 'usr_2' FOR UPDATE")
        asked = [item(key, user_id=f"usr_{n}") for n in (1, 2) for key in "ab"]
        batch = begin(lambda: deduct_all(service=blog, items=asked))
        wait_until_another_waits()
        assert available_of("usr_1") == 8
        deductions.deduct(service=blog, user_id="usr_1", feature=ARTICLE, key="c")
    assert [told(each)[:2] for each in batch.result(timeout=60)] == [(10, 9), (9, 8), (10, 9), (9, 8)]
    assert available_of("usr_1") == 7


@pytest.mark.django_db(transaction=True)
def test_a_price_is_read_after_the_lock(blog, give, article_rate):
    give("usr_1", 10)
    with transaction.atomic():
        sql("SELECT FROM wallet_wallet WHERE user_id = 'usr_1' FOR UPDATE")
        batch = begin(lambda: deduct_all(service=blog, items=[item("a"), item("b")]))
        wait_until_another_waits()
        rates.set_rate(feature=ARTICLE, label="A", credits=4, unit="u", actor="test")
    assert [told(each)[2] for each in batch.result(timeout=60)] == [4, 4]


ODD = "50% %s %(a)s %% ' \" \\ {} $1 é"


def test_whatever_names_have_in_them_is_written(give):
    for feature in (ODD, ARTICLE):
        rates.set_rate(feature=feature, label="A", credits=1, unit="u", actor="test")
    service = issue_service_key(product="blog")[0]
    give(ODD, 10)
    asked = [item(f"{ODD}:{n}", user_id=ODD, feature=feature) for n, feature in enumerate((ODD, ARTICLE))]
    assert [told(each)[:2] for each in deduct_all(service=service, items=asked)] == [(10, 9), (9, 8)]
    written = Entry.objects.filter(kind="deduct").order_by("sequence")
    assert list(written.values_list("wallet_id", "feature", "product", "idempotency_key")) == [
        (ODD, ODD, "blog", f"{ODD}:0"),
        (ODD, ARTICLE, "blog", f"{ODD}:1"),
    ]
    assert [told(each)[3] for each in deduct_all(service=service, items=asked)] == [True, True]


def test_batches_of_each_size_are_written_whole(blog, give, article_rate):
    give("usr_1", 1275)
    for size in range(1, 51):
        outcomes = deduct_all(service=blog, items=[item(f"{size}:{n}") for n in range(size)])
        assert all(isinstance(each, Charge) for each in outcomes)
    connection.check_constraints()
    assert available_of("usr_1") == 0
    assert Entry.objects.filter(kind="deduct").count() == 1275
