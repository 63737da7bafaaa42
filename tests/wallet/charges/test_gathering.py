"""Requests of one process that charge the same wallet at the same time share a transaction."""

import threading
import time
from collections import Counter

import psycopg
import pytest
from django.db import connection

from accounts.service_keys import find_service_key, remembered, revoke_service_key
from foundation import deadlines
from tests.conftest import product
from wallet.books.funds import available_of
from wallet.charges import batches, gathering
from wallet.charges.budgets import set_budget
from wallet.models import Entry, Wallet

pytestmark = pytest.mark.django_db(transaction=True)

FEATURE = "blog.article.generate"


@pytest.fixture
def service(service_key, article_rate):
    return find_service_key(service_key)


class Callers:
    """Threads that charge, each once. `first` holds the wallet's row until the others wait for it."""

    def __init__(self, service):
        self.service = service
        self.outcomes = {}
        self.threads = []

    def begin(self, key, name=None, user_id="usr_1", seconds_left=3600, **asked):
        name = name or key

        def charge():
            try:
                with deadlines.within(seconds_left):
                    self.outcomes[name] = gathering.deduct(
                        service=self.service, user_id=user_id, **{"feature": FEATURE, "key": key} | asked
                    )
            except Exception as error:
                self.outcomes[name] = error
            finally:
                connection.close()

        thread = threading.Thread(target=charge)
        thread.start()
        self.threads.append(thread)

    def begin_first(self, **options):
        """Begin a charge that is the first of its wallet. Later ones wait for it."""
        self.begin("first", **options)
        while not gathering._waiting:
            assert self.threads[0].is_alive(), self.outcomes

    def wait_until(self, number):
        """Wait until so many charges wait in this process."""
        while sum(map(len, gathering._waiting.values())) < number:
            assert any(thread.is_alive() for thread in self.threads), self.outcomes

    def end(self):
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not gathering._waiting
        return self.outcomes


@pytest.fixture
def locked():
    """Another session that holds the lock of usr_1's wallet until it is left."""
    target = connection.get_connection_params()
    names = {"dbname", "user", "password", "host", "port"}
    with psycopg.connect(**{name: target[name] for name in target.keys() & names}) as other:
        yield other


def hold(other):
    other.execute("SELECT FROM wallet_wallet WHERE user_id = 'usr_1' FOR UPDATE")


def kinds(outcomes):
    return Counter(
        type(each).__name__ if isinstance(each, Exception) else ("replayed" if each.replayed else "charged")
        for each in outcomes.values()
    )


def transactions_of(user_id):
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT xmin::text FROM wallet_entry WHERE wallet_id = %s", [user_id])
        return len(cursor.fetchall())


def gathered(service, locked, *asked):
    """The outcomes of a first charge and of others that wait for it."""
    callers = Callers(service)
    hold(locked)
    callers.begin_first()
    for number, each in enumerate(asked, start=1):
        callers.begin(**each)
        callers.wait_until(number)
    locked.rollback()
    return callers.end()


def test_charges_that_wait_for_one_are_made_in_one_transaction(give, service, locked):
    give("usr_1", 100)
    before = transactions_of("usr_1")
    outcomes = gathered(service, locked, *({"key": f"key:{number}"} for number in range(8)))
    assert kinds(outcomes) == {"charged": 9}
    assert transactions_of("usr_1") == before + 2
    assert available_of("usr_1") == 91


def test_each_charge_of_a_group_is_judged_by_itself(give, service, locked):
    give("usr_1", 10)
    outcomes = gathered(
        service,
        locked,
        {"key": "too much", "count": 50},
        {"key": "unknown", "feature": "no.such.feature"},
        {"key": "good", "count": 3},
        {"key": "first"},
        {"key": "the rest", "count": 6},
        {"key": "nothing left"},
    )
    assert {key: kinds({0: outcome}) for key, outcome in outcomes.items() if key != "first"} == {
        "too much": {"InsufficientCredits": 1},
        "unknown": {"UnknownFeature": 1},
        "good": {"charged": 1},
        "the rest": {"charged": 1},
        "nothing left": {"InsufficientCredits": 1},
    }
    assert available_of("usr_1") == 0
    assert Entry.objects.filter(wallet_id="usr_1", kind="deduct").count() == 3


def test_one_key_many_times_is_one_charge(give, service, locked):
    give("usr_1", 10)
    callers = Callers(service)
    hold(locked)
    callers.begin_first()
    for number in range(1, 6):
        callers.begin("one key", name=f"again:{number}")
        callers.wait_until(number)
    locked.rollback()
    outcomes = callers.end()
    assert kinds(outcomes) == {"charged": 2, "replayed": 4}
    assert available_of("usr_1") == 8


def test_a_charge_without_a_key_waits_for_no_other(give, service, locked):
    give("usr_1", 10)
    hold(locked)
    callers = Callers(service)
    callers.begin_first()
    for number in range(2):
        callers.begin("", name=f"without:{number}")
    assert sum(map(len, gathering._waiting.values())) == 0
    locked.rollback()
    callers.end()
    assert available_of("usr_1") == 7


def test_other_wallets_and_other_keys_do_not_wait(give, service, locked):
    give("usr_1", 10)
    give("usr_2", 10)
    hold(locked)
    callers = Callers(service)
    callers.begin_first()
    charge = gathering.deduct(service=service, user_id="usr_2", feature=FEATURE, key="first")
    assert not charge.replayed
    locked.rollback()
    assert kinds(callers.end()) == {"charged": 1}


def test_a_key_that_was_revoked_meanwhile_charges_nothing(give, service, locked):
    give("usr_1", 10)
    callers = Callers(service)
    hold(locked)
    callers.begin_first()
    for number in range(1, 4):
        callers.begin(f"late:{number}")
        callers.wait_until(number)
    revoke_service_key(service)
    locked.rollback()
    outcomes = callers.end()
    del outcomes["first"]  # It may have proven its key before.
    assert kinds(outcomes) == {"InvalidServiceKey": 3}


def test_a_revoked_key_does_not_charge_behind_a_caller_who_looked_it_up_before(
    give, service, service_key, locked
):
    give("usr_1", 10)
    # Charges of a wallet with a budget are made one by one.
    set_budget(user_id="usr_1", set_by="user", product="", period="month", credits=9)
    callers = Callers(service)
    hold(locked)
    callers.begin_first()
    callers.begin("looked up")
    callers.wait_until(1)
    revoke_service_key(service)
    callers.service = remembered(service_key)
    callers.begin("late")
    callers.wait_until(2)
    locked.rollback()
    assert kinds({0: callers.end()["late"]}) == {"InvalidServiceKey": 1}
    assert not Entry.objects.filter(idempotency_key="late").exists()


def test_who_has_waited_too_long_does_not_begin(give, service, locked):
    give("usr_1", 10)
    callers = Callers(service)
    hold(locked)
    callers.begin_first()
    for number in range(1, 4):
        callers.begin(f"late:{number}")
        callers.wait_until(number)
    [[longest, longer, _]] = gathering._waiting.values()
    for each in (longest, longer):
        each.came_at -= gathering.SECONDS_MAX
    locked.rollback()
    outcomes = callers.end()
    assert kinds({0: outcomes["first"], 1: outcomes["late:3"]}) == {"charged": 2}
    assert kinds({0: outcomes["late:1"], 1: outcomes["late:2"]}) == {"TryAgainLater": 2}
    assert available_of("usr_1") == 8


@pytest.mark.parametrize("seconds_left", [0.2, gathering.SECONDS_MAX + 0.2])
def test_a_charge_whose_request_has_little_time_leaves_the_queue(give, service, locked, seconds_left):
    """It does not wait for a charge whose request began later, and is not made later by another thread."""
    give("usr_1", 10)
    callers = Callers(service)
    hold(locked)
    callers.begin_first()
    callers.begin("patient")
    callers.wait_until(1)
    callers.begin("hurried", seconds_left=seconds_left)
    hurried = callers.threads[-1]
    if seconds_left < gathering.SECONDS_MAX:
        hurried.join(60)
        assert not hurried.is_alive()
        assert sum(map(len, gathering._waiting.values())) == 1
    else:
        callers.wait_until(2)
        time.sleep(0.3)
    locked.rollback()
    assert kinds(callers.end()) == {"charged": 2, "TryAgainLater": 1}
    assert available_of("usr_1") == 8


def test_a_wallet_that_is_frozen_meanwhile_refuses_each(give, service, locked):
    give("usr_1", 10)
    callers = Callers(service)
    hold(locked)
    locked.execute("UPDATE wallet_wallet SET frozen = true WHERE user_id = 'usr_1'")
    callers.begin_first()
    for number in range(1, 4):
        callers.begin(f"late:{number}")
        callers.wait_until(number)
    locked.commit()
    assert kinds(callers.end()) == {"WalletFrozen": 4}
    assert Wallet.objects.get(pk="usr_1").balance == 10


def test_if_the_database_does_not_answer_those_who_waited_fail_as_well(give, service, locked, monkeypatch):
    give("usr_1", 10)
    callers = Callers(service)
    hold(locked)
    callers.begin_first()
    for number in range(1, 4):
        callers.begin(f"late:{number}")
        callers.wait_until(number)
    monkeypatch.setattr(batches, "charge_wallet", lambda *args, **options: pytest.fail("it was tried again"))
    ended: list[tuple[bool]] = []
    with connection.cursor() as cursor:
        while not ended:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            ended = cursor.fetchall()
    outcomes = callers.end()
    locked.rollback()
    assert kinds(outcomes) == {"OperationalError": 4}
    assert available_of("usr_1") == 10


def test_if_the_time_of_one_request_is_over_those_who_came_later_go_on(give, service, locked):
    give("usr_1", 10)
    callers = Callers(service)
    hold(locked)
    callers.begin_first(seconds_left=5)  # Enough for the others to come, also on a busy machine.
    for number in range(1, 4):
        callers.begin(f"late:{number}")
        callers.wait_until(number)
    while "first" not in callers.outcomes:
        assert any(thread.is_alive() for thread in callers.threads), callers.outcomes
    locked.rollback()
    outcomes = callers.end()
    assert kinds({0: outcomes.pop("first")}) == {"OperationalError": 1}  # It may still have been charged.
    assert kinds(outcomes) == {"charged": 3}


def test_products_do_not_share_a_transaction(give, service, article_rate, locked):
    give("usr_1", 10)
    other = product("mail")
    hold(locked)
    callers = Callers(service)
    callers.begin_first()
    callers.service = find_service_key(other.headers["x-wallet-service-key"])
    callers.begin("of mail")
    while len(gathering._waiting) < 2:
        pass
    locked.rollback()
    assert kinds(callers.end()) == {"charged": 2}
