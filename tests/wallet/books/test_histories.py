"""Random histories, against a small model of the books.

Hypothesis makes up what happens to one user: checkouts, charges with and without keys, replays, rates that
change or are withdrawn, adjustments, charges given back. After each step the wallet, its history and the
answer must be what thirty lines of plain Python say, and every law must hold.
"""

import json
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from foundation.errors import KeyReused
from tests import all_laws
from tests.conftest import Caller
from tests.wallet import by_hand
from wallet.books.funds import available_of
from wallet.errors import InsufficientCredits, NothingToGiveBack
from wallet.models import Entry, TopUp, Wallet
from wallet.payments import sessions, settlement
from wallet.prices import rates

ARTICLE, MAIL = "blog.article.generate", "mail.send"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Model:
    """What one wallet should be."""

    def __init__(self):
        self.history = []  # (kind, credits)
        self.prices = {ARTICLE: 1, MAIL: 3}  # None: withdrawn
        self.answers = {}  # key: (feature, count, body, place in the history)
        self.charges = {}  # place in the history: credits left to give back

    @property
    def balance(self):
        return sum(credits for _, credits in self.history)

    def charge(self, feature, count, key):
        """Status and body; None for a body of which only `allowed` counts."""
        if key in self.answers:
            first_feature, first_count, body, place = self.answers[key]
            other = (feature, count) != (first_feature, first_count)
            return (409, None) if other or not self.charges[place] else (200, body)
        if self.prices[feature] is None:
            return 400, None
        price, before = self.prices[feature] * count, self.balance
        if price > before:
            return 200, {"allowed": False, "balanceBefore": before, "required": price}
        body = {"allowed": True, "balanceBefore": before, "balanceAfter": before - price, "deducted": price}
        self.charges[len(self.history)] = price
        if key:
            self.answers[key] = (feature, count, body, len(self.history))
        self.history.append(("deduct", -price))
        return 200, body

    def give_back(self, place, credits):
        """How many credits come back, 0 for a refusal."""
        left = self.charges[place]
        back = left if credits is None else credits
        if not 0 < back <= left:
            return 0
        self.charges[place] -= back
        self.history.append(("refund", back))
        return back


class Histories(RuleBasedStateMachine):
    """One user per example; what the example did is undone at its end."""

    examples = 0

    service: Caller

    def __init__(self):
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        type(self).examples += 1
        self.user_id = f"usr_{self.examples}"
        self.model = Model()
        self.sessions = []
        self.adjusted = {}
        self.gave_back = {}
        for feature in (ARTICLE, MAIL):
            self.set_rate(feature)

    def teardown(self):
        try:
            if not connection.needs_rollback:
                paid = TopUp.objects.filter(user_id=self.user_id, state="paid")
                assert paid.count() == len(self.sessions)
                assert Wallet.objects.filter(pk=self.user_id).exists() == bool(self.model.history)
        finally:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)

    def set_rate(self, feature):
        credits = self.model.prices[feature]
        rates.set_rate(
            feature=feature,
            label=feature,
            credits=credits or 1,
            unit="piece",
            active=credits is not None,
            actor="user:staff:1",
        )

    def settle(self, session_id, cents, payment_status="paid", user_id=""):
        session = {
            "id": session_id,
            "mode": "payment",
            "payment_status": payment_status,
            "amount_total": cents,
            "currency": "usd",
            "metadata": {"type": "wallet_topup", "user_id": user_id or self.user_id, "product": "blog"},
        }
        settlement.settle(session, happened_at=NOON)

    # --- What can happen ---

    @rule(cents=st.integers(100, 3000))
    def top_up(self, cents):
        session_id = f"cs_test_{self.user_id}_{len(self.sessions)}"
        self.sessions.append(session_id)
        self.settle(session_id, cents)
        self.model.history.append(("topup", cents // 100))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), cents=st.integers(100, 3000), status=st.sampled_from(["paid", "unpaid"]))
    def hear_of_a_checkout_again(self, data, cents, status):
        self.settle(data.draw(st.sampled_from(self.sessions)), cents, status)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def hear_of_a_checkout_for_another_user(self, data):
        session_id = data.draw(st.sampled_from(self.sessions))
        with pytest.raises(sessions.Parked):
            self.settle(session_id, 1000, user_id="usr_other")

    @rule(cents=st.integers(100, 3000), pays=st.booleans())
    def top_up_by_a_slow_payment(self, cents, pays):
        session_id = f"cs_test_{self.user_id}_slow_{len(self.model.history)}"
        self.settle(session_id, cents, "unpaid")
        if pays:
            self.sessions.append(session_id)
            self.settle(session_id, cents)
            self.model.history.append(("topup", cents // 100))

    @rule(cents=st.sampled_from([-100, 0, 99, 10_000_001, None, "2500", 25.0, True]))
    def hear_of_a_checkout_that_cannot_be(self, cents):
        with pytest.raises(sessions.Parked):
            self.settle(f"cs_test_{self.user_id}_odd", cents)

    @rule(
        feature=st.sampled_from([ARTICLE, MAIL]),
        count=st.integers(1, 4),
        key=st.sampled_from(["", "article:1", "article:2", "article:3"]),
    )
    def charge(self, feature, count, key):
        self.send(feature, count, key)

    @precondition(lambda self: self.model.answers)
    @rule(data=st.data())
    def charge_again_with_the_same_key(self, data):
        key = data.draw(st.sampled_from(sorted(self.model.answers)))
        feature, count, *_ = self.model.answers[key]
        self.send(feature, count, key, replayed=True)

    @rule(count=st.sampled_from([0, -1, 1_000_001, 1.5, "2", True]))
    def charge_for_an_impossible_count(self, count):
        assert self.service.deduct(self.user_id, ARTICLE, count=count).status_code == 400

    def send(self, feature, count, key, *, replayed=False):
        status, body = self.model.charge(feature, count, key)
        keyed = {"idempotency_key": key} if key else {}
        answer = self.service.deduct(self.user_id, feature, count=count, **keyed)
        assert answer.status_code == status
        if body is None:
            assert answer.json()["allowed"] is False
            return
        assert answer.content == json.dumps(body, separators=(",", ":")).encode()
        if replayed:
            assert answer.headers["Idempotent-Replayed"] == "true"

    @rule(feature=st.sampled_from([ARTICLE, MAIL]), credits=st.one_of(st.none(), st.integers(1, 9)))
    def change_or_withdraw_a_rate(self, feature, credits):
        self.model.prices[feature] = credits
        self.set_rate(feature)

    @rule(credits=st.integers(-20, 20).filter(bool), key=st.sampled_from(["form-1", "form-2", "form-3"]))
    def adjust(self, credits, key):
        def adjust():
            return by_hand.adjust(
                user_id=self.user_id, credits=credits, reason="Goodwill", key=key, actor="user:staff:1"
            )

        if first := self.adjusted.get(key):
            if first.credits == credits:
                assert adjust() == first
            else:
                with pytest.raises(KeyReused):
                    adjust()
        elif self.model.balance + credits < 0:
            with pytest.raises(InsufficientCredits):
                adjust()
        else:
            self.adjusted[key] = adjust()
            self.model.history.append(("adjustment", credits))

    @precondition(lambda self: self.model.charges)
    @rule(
        data=st.data(),
        credits=st.one_of(st.none(), st.integers(-1, 12)),
        key=st.sampled_from(["refund-1", "refund-2", "refund-3"]),
    )
    def give_back(self, data, credits, key):
        place = data.draw(st.sampled_from(sorted(self.model.charges)))
        charge = Entry.objects.get(wallet_id=self.user_id, sequence=place + 1)

        def give_back():
            return by_hand.give_back(
                entry=charge, credits=credits, reason="It failed.", key=key, actor="user:staff:1"
            )

        if first := self.gave_back.get(key):
            if first.reverses_id == charge.pk and credits in (None, first.credits):
                assert give_back() == first
            else:
                with pytest.raises(KeyReused):
                    give_back()
        elif back := self.model.give_back(place, credits):
            self.gave_back[key] = give_back()
            assert self.gave_back[key].credits == back
        else:
            with pytest.raises(NothingToGiveBack):
                give_back()

    # --- What must be so after each step ---

    @invariant()
    def the_books_say_what_the_model_says(self):
        connection.check_constraints()
        entries = Entry.objects.filter(wallet_id=self.user_id).order_by("sequence")
        assert [(entry.kind, entry.credits) for entry in entries] == self.model.history
        assert available_of(self.user_id) == self.model.balance

    @invariant()
    def every_law_holds(self):
        assert all_laws.broken(rows_only=True) == []


@pytest.mark.parametrize("histories", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_any_history_is_the_models(as_service, histories):
    Histories.service = as_service
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=30,
            phases=(Phase.generate, Phase.shrink),
            derandomize=True,  # The same histories each time: a failure comes from a change of the code.
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
