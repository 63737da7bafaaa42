"""Races of grants: real threads, each with its own connection. Each lot is spent, given back and ended once.

The laws are checked after each test (tests/conftest.py).
"""

import random
from collections import Counter
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models import Sum

from foundation.errors import BillingError
from tests.crowd import at_once, begin, outcomes_at_once, patiently
from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.granted import grant, lots_of, set_budget, spent
from tests.wallet.granted import void as void_lot
from tests.wallet.racing import (
    at_the_end,
    capture,
    charge,
    errors,
    hold,
    kinds,
    refund,
    void,
    waiting_callers,
)
from tests.wallet.reversed import take_back
from wallet.books.funds import available_of, funds_of
from wallet.charges import budgets, lapsing
from wallet.errors import GrantEndOutOfRange
from wallet.grants import granting
from wallet.grants.caps import Caps
from wallet.models import Entry, GrantedMonth, Hold, Lot, LotMove, Wallet

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 2
SOON = timedelta(milliseconds=500)
NOT_SO_SOON = timedelta(seconds=3)  # Before the race, something is to be done with the lot.
# How long before the end of a lot the first call begins. So the end comes before, among or after the calls.
LEADS = (0, 15, 60)


@pytest.fixture
def for_a_moment(monkeypatch):
    """Grants may last less than a minute."""
    monkeypatch.setattr(granting, "LASTS_MIN", timedelta(0))


def granted(credits=10, user_id="usr_1", **asked):
    return patiently(partial(grant, user_id, credits, **asked))


def granted_for_a_moment(credits, user_id="usr_1", *, lasts):
    """A lot that ends so long after now. It lasts longer if its end had passed before it was written."""
    while True:
        try:
            return granted(credits, user_id, lasts=lasts)
        except GrantEndOutOfRange:
            lasts *= 2


def moves_of(entry):
    """What an entry moved, by lot."""
    moves = LotMove.objects.filter(wallet_id=entry.wallet_id, sequence=entry.sequence)
    return dict(moves.values_list("lot_id", "credits"))


def paid_by_lots(**chosen):
    """The credits that lots paid for entries like this."""
    places = Entry.objects.filter(**chosen).values_list("wallet_id", "sequence")
    moves = [LotMove.objects.filter(wallet_id=wallet, sequence=place) for wallet, place in places]
    return -sum(each.aggregate(sum=Sum("credits"))["sum"] or 0 for each in moves)


def wait_for_the_end(lot):
    at_the_end("wallet_lot", lot.pk, 1, lambda: None)
    assert sql("SELECT clock_timestamp() >= expires_at FROM wallet_lot WHERE id = %s", lot.pk) == [(True,)]


# --- One key, and limits ------------------------------------------------------------------------------


def test_one_key_of_a_grant_from_8_callers_is_one_lot(db):
    """The user has no wallet yet."""
    end = funds_of("usr_1").at + timedelta(days=1)
    facts = {"reason": "Welcome", "key": "welcome", "actor": "service:wsk_blog", "product": "blog"}
    request = partial(by_hand.grant, user_id="usr_1", credits=10, expires_at=end, **facts, caps=Caps(10, 10))
    answers = at_once([partial(patiently, request)] * 8)
    assert Counter(answer.replayed for answer in answers) == {True: 7, False: 1}
    assert {answer.lot.pk for answer in answers} == {Lot.objects.get().pk}
    assert (available_of("usr_1"), GrantedMonth.objects.get().credits) == (10, 10)


def test_one_key_of_a_grant_for_different_credits_has_one_winner(db):
    end = funds_of("usr_1").at + timedelta(days=1)
    outcomes = outcomes_at_once(
        [partial(granted, credits, key="welcome", expires_at=end) for credits in range(1, 9)]
    )
    assert kinds(outcomes) == {"done": 1, "KeyReused": 7}
    assert available_of("usr_1") == Lot.objects.get().credits == GrantedMonth.objects.get().credits


@pytest.mark.parametrize(("credits", "done", "left"), [(10, 5, 0), (7, 7, 1)])
def test_the_cap_of_a_month_is_exact_when_grants_of_8_users_race(db, credits, done, left):
    caps = Caps(grant=10, month=50)
    outcomes = outcomes_at_once([partial(granted, credits, f"usr_{n}", caps=caps) for n in range(8)])
    assert kinds(outcomes) == {"done": done, "OverCap": 8 - done}
    assert {error.facts["left"] for error in errors(outcomes)} == {left}
    assert GrantedMonth.objects.get().credits == credits * done
    # A refused grant leaves nothing behind, not even a wallet.
    assert (Lot.objects.count(), Entry.objects.count(), Wallet.objects.count()) == (done, done, done)


def test_the_first_grants_of_a_month_race(db):
    """There is no row of the month yet, and the cap holds for the first one, too."""
    outcomes = outcomes_at_once([partial(granted, 3, f"usr_{n}", caps=Caps(3, 3)) for n in range(8)])
    assert kinds(outcomes) == {"done": 1, "OverCap": 7}


def test_the_limit_of_grants_of_one_product_is_exact_when_grants_race(db, monkeypatch):
    monkeypatch.setattr(granting, "GRANTS_OF_PRODUCT_MAX", 4)
    granted(1)
    outcomes = outcomes_at_once([partial(granted, 1)] * 8)
    assert kinds(outcomes) == {"done": 3, "TooManyGrants": 5}
    assert granted(1, product="mail").remaining == 1


# --- A grant and a budget come in while charges wait --------------------------------------------------


def test_one_key_while_a_grant_and_a_budget_come_in_is_one_charge(give, article_rate):
    give("usr_1", 5)

    def change():
        grant(credits=4)
        set_budget(20)

    outcomes = waiting_callers(change, calls=[partial(charge, 3, "article:1")] * 10)
    assert {outcome.result().pk for outcome in outcomes} == {Entry.objects.get(kind="deduct").pk}
    assert (lots_of(), spent(), available_of("usr_1")) == ([(1, 0, 0)], [3], 6)


@pytest.mark.parametrize("round", range(ROUNDS))
def test_one_key_beside_a_grant_and_a_budget_is_one_charge(give, article_rate, round):
    """Also if the charge takes all that is there, and other charges take some of it."""
    give("usr_1", 3)
    calls = [
        *[partial(charge, 3, "article:1")] * 6,
        partial(granted, 4),
        partial(patiently, partial(set_budget, 6)),
        *(partial(charge, 3, f"other:{n}") for n in range(3)),
    ]
    random.Random(round).shuffle(calls)  # noqa: S311 (an order, no secret)
    outcomes = outcomes_at_once(calls)
    assert set(kinds(outcomes)) <= {"done", "InsufficientCredits", "BudgetSpent"}
    charged = sum(-entry.credits for entry in Entry.objects.filter(kind="deduct"))
    assert charged in (3, 6)
    assert Entry.objects.filter(idempotency_key="article:1").count() <= 1
    assert (available_of("usr_1"), spent()) == (7 - charged, [charged])


# --- The end of a lot ---------------------------------------------------------------------------------


@pytest.mark.parametrize("paid", [0, 10])
@pytest.mark.parametrize("lead", LEADS)
def test_a_lot_pays_before_its_end_or_ends_and_never_both(give, article_rate, for_a_moment, paid, lead):
    """Charges, holds and the tidier come at the very end of a lot that one of them could use up."""
    if paid:
        give("usr_1", paid)
    lot = granted_for_a_moment(10, lasts=SOON)
    at_its_end = partial(at_the_end, "wallet_lot", lot.pk)
    outcomes = outcomes_at_once(
        [
            *(partial(at_its_end, 5 * n - lead, partial(charge, 10, f"a:{n}")) for n in range(6)),
            *(partial(at_its_end, 5 * n - lead, partial(hold, f"c:{n}", 10)) for n in range(3)),
            *(partial(at_its_end, n, partial(lapsing.lapse_wallet, "usr_1")) for n in range(2)),
        ]
    )
    wait_for_the_end(lot)
    lapsing.lapse_wallet("usr_1")
    taken = kinds(outcomes[:9])["done"]
    lot.refresh_from_db()
    was_charged = paid_by_lots(kind="deduct")
    assert (was_charged, lot.held, lot.expired) in ((10, 0, 0), (0, 10, 0), (0, 0, 10))
    assert taken == (0 if lot.expired else 1) + (1 if paid else 0)
    for entry in Entry.objects.filter(kind="deduct"):
        assert moves_of(entry) in ({}, {lot.pk: -10})
        assert not moves_of(entry) or entry.created_at < lot.expires_at
    for entry in Entry.objects.filter(kind="expiry"):
        assert (entry.credits, entry.effective_at) == (-10, lot.expires_at)
        assert entry.created_at >= lot.expires_at
    assert available_of("usr_1") == 0


@pytest.mark.parametrize("lead", LEADS)
def test_a_capture_against_the_end_of_its_lot(give, article_rate, for_a_moment, lead):
    """A lot of 10 ends. A hold has 6 of it, and 3 of these are captured. Charges take what is free."""
    lot = granted_for_a_moment(10, lasts=NOT_SO_SOON)
    hold_id = hold("chat:1", 6).hold.pk
    at_its_end = partial(at_the_end, "wallet_lot", lot.pk)
    outcomes = outcomes_at_once(
        [
            *(partial(at_its_end, 5 * n - lead, partial(capture, hold_id, 3)) for n in range(4)),
            *(partial(at_its_end, 5 * n - lead, partial(charge, 2, f"a:{n}")) for n in range(4)),
            *(partial(at_its_end, n - 1, partial(lapsing.lapse_wallet, "usr_1")) for n in range(3)),
        ]
    )
    assert kinds(outcomes[:4]) == {"done": 4}  # A capture in the time of its hold always succeeds.
    wait_for_the_end(lot)
    lapsing.lapse_wallet("usr_1")
    lot.refresh_from_db()
    charged = 2 * kinds(outcomes[4:8])["done"]
    assert (paid_by_lots(kind="capture"), paid_by_lots(kind="deduct")) == (3, charged)
    assert (lot.remaining, lot.held, lot.expired) == (0, 0, 10 - 3 - charged)
    for entry in Entry.objects.filter(kind="deduct"):
        assert entry.created_at < lot.expires_at
    assert available_of("usr_1") == 0


@pytest.mark.parametrize("round", range(ROUNDS))
def test_a_lot_that_is_taken_back_while_it_is_charged(give, article_rate, round):
    """What it says was taken out is what was left of it."""
    lot = granted(10)
    held = hold("chat:0", 2).hold.pk
    calls: list[Any] = [
        *[partial(patiently, partial(void_lot, lot))] * 3,
        *(partial(charge, 3, f"a:{n}") for n in range(6)),
        partial(capture, held, 1),
    ]
    random.Random(round).shuffle(calls)  # noqa: S311 (an order, no secret)
    outcomes = outcomes_at_once(calls)
    assert set(kinds(outcomes)) <= {"done", "InsufficientCredits"}
    lot.refresh_from_db()
    charged = paid_by_lots(kind="deduct")
    assert lot.removed is not None
    assert lot.held_when_voided in (0, 2)
    done = [outcome.result() for outcome in outcomes if not outcome.exception()]
    voided = [each for each in done if isinstance(each, granting.Voided)]
    assert {(each.removed, each.held, each.state) for each in voided} == {
        (lot.removed, lot.held_when_voided, "voided")
    }
    assert Counter(each.replayed for each in voided) == {False: 1, True: 2}
    # The capture gave 1 back: before the lot was taken back it was charged or removed, after it lost.
    lost_later = 1 if lot.held_when_voided else 0
    assert lot.removed + charged + 1 + lost_later == 10
    assert (lot.remaining, lot.expired) == (0, lot.removed + lost_later)
    assert available_of("usr_1") == 0


# --- What comes back ----------------------------------------------------------------------------------


def test_refunds_at_once_go_back_to_lots_as_one_would(give, article_rate):
    """A charge of 10 took 6 and 2 of two lots, and 2 paid credits. 7 come back, 1 each."""
    give("usr_1", 2)
    granted(6, lasts=timedelta(days=1))
    granted(2, lasts=timedelta(days=2))
    first = charge(10)
    outcomes = outcomes_at_once([partial(refund, f"undo:{n}", {"pk": first.pk}, 1) for n in range(7)])
    assert kinds(outcomes) == {"done": 7}
    answers = [outcome.result().answer for outcome in outcomes]
    assert sorted(answer.refundable for answer in answers) == list(range(3, 10))
    assert sum(answer.to_grants or 0 for answer in answers) == 5
    assert (lots_of(), funds_of("usr_1").paid) == ([(3, 0, 0), (2, 0, 0)], 2)


@pytest.mark.parametrize("round", range(ROUNDS))
def test_credits_that_come_back_to_a_lot_are_spent_once(give, article_rate, round):
    granted(6)
    first = charge(6, "article:1")
    outcomes = outcomes_at_once(
        [
            *(partial(refund, f"undo:{n}", {"pk": first.pk}, 2) for n in range(5)),
            *(partial(charge, 2, f"new:{n}") if n % 2 else partial(hold, f"c:{n}", 2) for n in range(7)),
        ]
    )
    assert kinds(outcomes[:5]) == {"done": 3, "NothingToGiveBack": 2}
    taken = kinds(outcomes[5:])["done"]
    assert taken <= 3
    held = sum(Hold.objects.filter(state="open").values_list("credits", flat=True))
    charged = 2 * taken - held
    assert lots_of() == [(6 - charged, held, 0)]


@pytest.mark.parametrize("lead", LEADS)
def test_credits_that_come_back_around_the_end_of_a_lot_are_lost_or_free(article_rate, for_a_moment, lead):
    lot = granted_for_a_moment(6, lasts=NOT_SO_SOON)
    first = charge(6, "article:1")
    at_its_end = partial(at_the_end, "wallet_lot", lot.pk)
    outcomes = outcomes_at_once(
        [
            *(
                partial(at_its_end, 20 * n - lead, partial(refund, f"undo:{n}", {"pk": first.pk}, 1))
                for n in range(6)
            ),
            *(partial(at_its_end, 20 * n - lead, partial(charge, 1, f"new:{n}")) for n in range(4)),
        ]
    )
    wait_for_the_end(lot)
    lapsing.lapse_wallet("usr_1")
    answers = [outcome.result().answer for outcome in outcomes[:6]]
    for answer in answers:
        entry = Entry.objects.get(pk=answer.entry_id)
        assert answer.lapsed == (1 if entry.created_at >= lot.expires_at else 0)
    assert lots_of() == [(0, 0, 6 - kinds(outcomes[6:])["done"])]


# --- The tidier ---------------------------------------------------------------------------------------


def test_the_tidier_beside_charges_writes_each_end_once(give, article_rate, for_a_moment):
    users = [f"usr_{n}" for n in range(4)]
    for user_id in users:
        give(user_id, 100)
        granted_for_a_moment(3, user_id, lasts=timedelta(milliseconds=20))
        last = granted_for_a_moment(4, user_id, lasts=timedelta(milliseconds=60))
    wait_for_the_end(last)

    def tidy():
        return [lapsing.tidy() for _ in range(3)]

    def charge_all(name):
        return [charge(1, f"{name}:{n}:{user_id}", user_id) for n in range(3) for user_id in users]

    tidied = [begin(tidy) for _ in range(3)]
    at_once([partial(charge_all, name) for name in "abc"])
    rounds = [each for caller in tidied for each in caller.result(timeout=120)]
    assert not any(each.failed for each in rounds)
    assert sum(each.lots for each in rounds) <= 8
    lapsing.tidy()
    ends = Entry.objects.filter(kind="expiry")
    assert ends.count() == Lot.objects.filter(expired__gt=0).count()
    for user_id in users:
        funds = funds_of(user_id)
        assert (funds.balance, funds.granted) == (91, 0)
        assert sum(lot.expired for lot in Lot.objects.filter(wallet_id=user_id)) == 7


# --- Everything at once -------------------------------------------------------------------------------


@pytest.mark.parametrize("round", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_everything_at_once_on_one_wallet_with_grants_adds_up(give, article_rate, for_a_moment, round):
    give("usr_1", 20)
    payment = give("usr_1", 10)
    made: list[str] = []
    lots: list[Lot] = []

    def make_hold(n):
        made.append(hold(f"chat:{n}", n % 4 + 1, ttl_seconds=1 if n % 3 else 900).hold.pk)

    def make_lot(n):
        lots.append(granted(n % 5 + 1, lasts=timedelta(milliseconds=30 * n % 700 + 1)))

    def refund_something(n):
        first = Entry.objects.filter(kind__in=["deduct", "capture"]).order_by("?").first()
        return refund(f"undo:{n}", {"pk": first.pk}, 1) if first else None

    def adjust(n):
        facts = {"user_id": "usr_1", "reason": "Goodwill", "key": f"form-{n}", "actor": "user:staff:1"}
        return patiently(lambda: by_hand.adjust(credits=2 if n % 2 else -2, **facts))

    def budget(n):
        budget: dict[str, Any] = {"set_by": "user", "product": "", "period": ("day", "month")[n % 2]}
        if n % 3:
            return patiently(lambda: budgets.set_budget(user_id="usr_1", **budget, credits=20 + n))
        return patiently(lambda: budgets.remove_budget(user_id="usr_1", **budget))

    def one_after_the_other(n):
        chosen = random.Random(100 * round + n)  # noqa: S311 (an order, no secret)
        acts = [
            lambda: make_lot(n),
            lambda: make_hold(n),
            lambda: capture(chosen.choice(made), 1) if made else None,
            lambda: charge(2, f"article:{n}"),
            lambda: budget(n),
            lambda: refund_something(n),
            lambda: make_lot(100 + n),
            lambda: void(chosen.choice(made)) if made else None,
            lambda: patiently(lambda: void_lot(chosen.choice(lots))) if lots else None,
            lambda: charge(3, f"more:{n}"),
            lambda: make_hold(100 + n),
            lambda: adjust(n),
            lambda: lapsing.lapse_wallet("usr_1"),
            lambda: refund_something(100 + n),
            lambda: funds_of("usr_1"),
            lambda: take_back(payment, 1) if n % 4 == 0 else None,
        ]
        chosen.shuffle(acts)
        for act in acts:
            try:
                act()
            except BillingError:
                pass

    at_once([partial(one_after_the_other, n) for n in range(8)])
    funds = funds_of("usr_1")
    lapsing.lapse_wallet("usr_1")
    assert funds_of("usr_1", funds.at) == funds
    wallet = Wallet.objects.get()
    assert wallet.balance == sum(Entry.objects.values_list("credits", flat=True))
    assert wallet.granted == sum(Lot.objects.values_list("remaining", flat=True))
    months = GrantedMonth.objects.filter(month__gte=date(2020, 1, 1))
    assert sum(month.credits for month in months) == sum(lot.credits for lot in Lot.objects.all())
