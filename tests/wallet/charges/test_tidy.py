"""The command that ends overdue holds, and what changes when it has run: rows, and no answer."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.crowd import begin
from tests.wallet.clock import Clock
from tests.wallet.entries import sql
from tests.wallet.granted import set_budget, spent
from tests.wallet.held import hold
from tests.wallet.holding import past_hold
from tests.wallet.resting import rest
from tests.wallet.tidying import tidy
from wallet.books import ledger
from wallet.books.funds import available_of
from wallet.charges import lapsing
from wallet.models import Budget, Hold, Wallet


@pytest.mark.django_db(transaction=True)
def test_it_ends_overdue_holds_and_no_others(give, article_rate, as_service):
    for user_id in ("usr_1", "usr_2"):
        give(user_id, 10)
        past_hold(user_id, credits=3)
    past_hold("usr_2", credits=2, key="past:2")
    body = {"user_id": "usr_1", "feature": article_rate, "count": 4, "idempotency_key": "chat:1"}
    made = as_service.post("/io/wallet/holds", body).json()
    before = [available_of("usr_1"), available_of("usr_2")]
    # The new hold ended the one of usr_1, and the second hold of usr_2 the first.
    assert tidy() == (0, "1 overdue hold and 0 grants of 1 wallet ended.", "")
    assert [available_of("usr_1"), available_of("usr_2")] == before == [6, 10]
    ended = Hold.objects.filter(state="expired")
    assert [hold.ended_at == hold.expires_at for hold in ended] == [True] * 3
    assert Hold.objects.get(pk=made["holdId"]).state == "open"
    wallet = Wallet.objects.get(pk="usr_2")
    assert (wallet.held, wallet.open_holds) == (0, 0)
    assert tidy() == (0, "0 overdue holds and 0 grants of 0 wallets ended.", "")


@pytest.mark.django_db(transaction=True)
def test_a_wallet_that_is_locked_is_left_for_the_next_time(give):
    for user_id in ("usr_1", "usr_2"):
        give(user_id, 10)
        past_hold(user_id)
    with transaction.atomic():
        ledger.lock("usr_1")
        assert begin(tidy).result(timeout=120) == (0, "1 overdue hold and 0 grants of 1 wallet ended.", "")
    assert Hold.objects.get(state="open").wallet_id == "usr_1"
    assert tidy() == (0, "1 overdue hold and 0 grants of 1 wallet ended.", "")


@pytest.mark.breaks_the_books
@pytest.mark.django_db(transaction=True)
def test_a_damaged_wallet_does_not_stop_the_others(give):
    for user_id in ("usr_1", "usr_2"):
        give(user_id, 10)
        past_hold(user_id)
    with transaction.atomic():
        rest()
        sql("UPDATE wallet_wallet SET held = 0 WHERE user_id = 'usr_1'")
    code, said, trouble = tidy()
    assert (code, said) == (1, "1 overdue hold and 0 grants of 1 wallet ended.")
    assert "'usr_1' could not be tidied: new row for relation" in trouble
    assert Hold.objects.get(state="open").wallet_id == "usr_1"


def test_it_stops_between_two_wallets(give):
    for user_id in ("usr_1", "usr_2", "usr_3"):
        give(user_id, 10)
        past_hold(user_id)
    answers = iter([True, True, False])
    tidied = lapsing.tidy(go_on=lambda: next(answers))
    assert (tidied.holds, tidied.wallets) == (2, 2)


@pytest.mark.django_db
def test_many_overdue_holds_change_each_budget_once(give, article_rate):
    clock = Clock()
    give("usr_1", 50)
    set_budget(50)
    counts = []
    for number in (1, 5):
        for _ in range(number):
            hold("usr_1", 1)
        assert spent() == [number]
        clock.advance(hours=1)
        with CaptureQueriesContext(connection) as queries:
            assert lapsing.lapse_wallet("usr_1") == (number, 0)
        assert (spent(), Budget.objects.get().spent) == ([0], 0)
        counts.append(len(queries))
    assert counts[0] == counts[1]
