"""Random histories of one wallet, against a model that ends each hold exactly at its second.

Hypothesis makes up payments and disputes, charges, holds, refunds by products and by staff, adjustments, new
prices, a frozen wallet, and time that passes. The service is lazy: it writes down that a hold has expired
when a verb locks the wallet, or when `tidy` comes by. After each step the answer, the funds, the history and
every hold must be what the model says. So no answer depends on whether a background job has run, nor on which
of the two branches a charge took.
"""

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts.models import ServiceKey
from foundation.errors import BillingError
from tests.wallet.charges.eager_model import EagerModel
from tests.wallet.clock import BEGINNING, Clock
from tests.wallet.reversed import dispute_of
from wallet.books import laws, ledger
from wallet.charges import adjustments, debits, deductions, give_backs, holds, lapsing, quotes
from wallet.errors import InsufficientCredits, NothingToGiveBack
from wallet.models import Entry, Hold, Wallet
from wallet.payments import reversals, settlement
from wallet.prices import rates

ARTICLE, MAIL = "blog.article.generate", "mail.send"
STAFF = "user:staff:1"
SERVICES = {product: ServiceKey(product=product, prefix=f"wsk_{product}") for product in ("blog", "mail")}
PRODUCTS, FEATURES = tuple(SERVICES), (ARTICLE, MAIL)
# Small, so that histories reach them.
OPEN_MAX, OPEN_OF_PRODUCT_MAX = 3, 2
WEEK = 7 * 24 * 3600

TTLS = (1, 2, 60, 900, 86400, WEEK - 1, WEEK)
# How often each step is taken.
STEPS = {
    "top_up": 4,
    "time_passes": 2,
    "time_reaches_the_end_of_a_hold": 4,
    "tidy": 1,
    "deduct": 5,
    "quote": 1,
    "change_or_withdraw_a_rate": 2,
    "authorize": 8,
    "capture": 5,
    "void": 2,
    "extend": 3,
    "list_holds": 2,
    "refund": 4,
    "give_back_by_staff": 2,
    "adjust": 2,
    "freeze_or_not": 2,
    "dispute_moves_money": 2,
}
# What a step needs: something of the model, or of the machine.
NEEDS = {
    "time_reaches_the_end_of_a_hold": "open_holds",
    "capture": "holds",
    "void": "holds",
    "extend": "holds",
    "refund": "left",
    "give_back_by_staff": "left",
    "dispute_moves_money": "payments",
}


class Histories(RuleBasedStateMachine):
    """One user per example; what the example did is rolled back at its end."""

    examples = 0
    steps_between_laws = 1
    answers: Counter[str] = Counter()

    def __init__(self):
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        type(self).examples += 1
        self.user_id = f"usr_{self.examples}"
        self.clock = Clock()
        self.model = EagerModel(BEGINNING, {ARTICLE: 1, MAIL: 3}, OPEN_MAX, OPEN_OF_PRODUCT_MAX)
        self.hold_ids: list[str] = []
        self.payments: list[list[int]] = []  # Its cents, and what a dispute has moved of it so far.
        self.sent: dict[str, list[dict[str, Any]]] = {}  # What was asked for with a key, by verb.
        self.steps = 0
        for feature in (ARTICLE, MAIL):
            self.set_rate(feature)

    def teardown(self):
        try:
            if not connection.needs_rollback:
                lapsing.lapse_wallet(self.user_id)
                self.compare_the_books()
                for wallet in Wallet.objects.filter(pk=self.user_id):
                    opened = len(self.model.open_holds)
                    assert (wallet.held, wallet.open_holds) == (self.model.held, opened)
                assert laws.violations() == []
        finally:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)

    # Hypothesis draws a seed for each step, and nothing else. So the steps come as often as their weights
    # say, and hypothesis still makes a history shorter that fails.
    @rule(seed=st.binary(min_size=4, max_size=4))
    def step(self, seed):
        random = Random(seed)  # noqa: S311 (a test's steps, no secret)
        model = self.model
        often = STEPS | {
            name: 0
            for name, needed in NEEDS.items()
            if not getattr(model if hasattr(model, needed) else self, needed)
        }
        if model.frozen:  # Not for long, because nothing is charged then.
            often["freeze_or_not"] = 6
        if None in model.prices.values():
            often["change_or_withdraw_a_rate"] = 6
        (name,) = random.choices(list(often), list(often.values()))
        note(name)
        getattr(self, name)(random)

    @invariant()
    def the_books_say_what_the_model_says(self):
        self.compare_the_books()
        self.steps += 1
        if self.steps % self.steps_between_laws == 0:
            assert laws.violations() == []

    def compare_the_books(self):
        connection.check_constraints()
        written = [(row.kind, row.credits, row.balance_after, row.created_at) for row in self.entries()]
        assert written == [(row.kind, row.credits, row.balance_after, row.at) for row in self.model.history]
        funds, model = ledger.funds_of(self.user_id), self.model
        assert (funds.balance, funds.held, funds.frozen) == (model.balance, model.held, model.frozen)
        assert (funds.available, funds.at) == (model.available, model.now)
        assert sorted(self.holds_listed()) == [hold.facts for hold in model.holds]

    def compare(self, verb, expected):
        """The verb must answer as the model does."""
        try:
            answer = verb()
        except BillingError as error:
            answer = (type(error).__name__, *facts_of(error))
        assert answer == expected
        self.answers[expected[0] + (" again" if expected[1:] and expected[1] is True else "")] += 1

    def with_key(self, random, verb, **asked):
        """A request: a new one, one that was sent before, or a new one with a key that was used before."""
        sent = self.sent.setdefault(verb, [])
        asked["key"] = f"{verb}:{len(sent)}"
        if sent and random.random() < 0.35:
            earlier = random.choice(sent)
            asked = earlier if random.random() < 0.7 else asked | {"key": earlier["key"]}
        sent.append(asked)
        return dict(asked)

    def entries(self):
        return list(Entry.objects.filter(wallet_id=self.user_id).order_by("sequence"))

    # --- Time ---

    def time_passes(self, random):
        self.clock.advance(random.choice([1, 60, 900, 86400, WEEK]))
        self.model.pass_time(self.clock.now)

    def time_reaches_the_end_of_a_hold(self, random):
        end = random.choice(sorted(self.model.ends()))
        off = timedelta(microseconds=random.choice([-1, 0, 0, 1]))
        self.clock.set(max(self.clock.now, end + off))
        self.model.pass_time(self.clock.now)

    def tidy(self, random):
        lapsing.lapse_wallet(self.user_id)

    # --- Charges ---

    def deduct(self, random):
        asked = self.with_key(
            random,
            "deduct",
            product=random.choice(PRODUCTS),
            feature=random.choice(FEATURES),
            count=random.randint(1, 5),
        )
        product = asked.pop("product")
        if random.random() < 0.1:
            asked["key"] = ""

        def deduct():
            charge = deductions.deduct(service=SERVICES[product], user_id=self.user_id, **asked)
            entry = charge.entry
            return "charge", charge.replayed, entry.available_before, entry.available_after, entry.charged

        self.compare(deduct, self.model.deduct(product, **asked))

    def quote(self, random):
        asked = {"feature": random.choice(FEATURES), "count": random.randint(1, 5)}

        def quote():
            quoted = quotes.quote(service=SERVICES["blog"], user_id=self.user_id, **asked)
            return "quote", quoted.available_before, quoted.available_after, quoted.charged

        self.compare(quote, self.model.quote(**asked))

    def change_or_withdraw_a_rate(self, random):
        feature = random.choice(FEATURES)
        withdrawn = random.choice([False, False, True])
        self.model.prices[feature] = None if withdrawn else random.randint(1, 4)
        self.set_rate(feature)

    def set_rate(self, feature):
        credits = self.model.prices[feature]
        facts = {"label": feature, "unit": "piece", "active": credits is not None, "actor": STAFF}
        rates.set_rate(feature=feature, credits=credits or 1, **facts)

    # --- Holds ---

    def authorize(self, random):
        asked = self.with_key(
            random,
            "hold",
            product=random.choice(PRODUCTS),
            feature=random.choice(FEATURES),
            count=random.randint(1, 5),
            ttl_seconds=random.choice(TTLS),
        )
        product = asked.pop("product")

        def authorize():
            outcome = holds.authorize(service=SERVICES[product], user_id=self.user_id, **asked)
            hold = outcome.hold
            if not outcome.replayed:
                self.hold_ids.append(hold.pk)
            figures = hold.available_before, hold.available_after, hold.credits, hold.first_expires_at
            return "hold made", outcome.replayed, self.hold_ids.index(hold.pk), *figures

        self.compare(authorize, self.model.authorize(product, **asked))

    def capture(self, random):
        number, named, product = self.a_hold(random)
        count = random.choice([None, *range(1, self.model.holds[number].count + 2)])

        def capture():
            return self.answer_of(holds.capture(service=SERVICES[product], **named, count=count))

        self.compare(capture, self.model.capture(product, number, count))

    def void(self, random):
        number, named, own = self.a_hold(random)
        product = random.choice([own, None])  # None: staff.
        expected = self.model.void(product, number)
        self.compare(lambda: self.answer_of(holds.void(**named, product=product)), expected)

    def extend(self, random):
        number, named, product = self.a_hold(random)
        ttl_seconds = random.choice([*TTLS, WEEK, WEEK])

        def extend():
            return self.answer_of(holds.extend(service=SERVICES[product], **named, ttl_seconds=ttl_seconds))

        self.compare(extend, self.model.extend(product, number, ttl_seconds))

    def a_hold(self, random):
        """A hold, often an open one: its number, its names, and a product, nearly always its own."""
        opened = [hold.number for hold in self.model.open_holds]
        number = random.choice(random.choice([opened, []]) or range(len(self.hold_ids)))
        product = random.choice([*PRODUCTS, *[self.model.holds[number].product] * 9])
        return number, {"user_id": self.user_id, "hold_id": self.hold_ids[number]}, product

    def answer_of(self, outcome):
        return "hold", outcome.replayed, *self.facts_of_hold(outcome.hold)

    def facts_of_hold(self, hold):
        figures = hold.state, hold.captured_count, hold.captured_credits, hold.expires_at, hold.ended_at
        return self.hold_ids.index(hold.pk), *figures

    def list_holds(self, random):
        product, state = random.choice([None, *PRODUCTS]), random.choice(["", *Hold.State.values])
        rows = [
            ((hold.made_at, self.hold_ids[hold.number]), hold.facts)
            for hold in self.model.holds
            if product in (None, hold.product) and state in ("", hold.state)
        ]
        newest_first = [facts for _, facts in sorted(rows, reverse=True)]
        assert self.holds_listed(product, state, random.randint(1, 3)) == newest_first
        for hold in self.model.holds[:1]:
            found = holds.find(user_id=self.user_id, hold_id=self.hold_ids[0], product=hold.product)
            assert self.facts_of_hold(found) == hold.facts

    def holds_listed(self, product=None, state="", limit=100):
        """All pages of the list, one after the other."""
        shown, asked = [], {"user_id": self.user_id, "product": product, "state": state, "limit": limit}
        page = holds.page(**asked)
        while True:
            assert len(page.holds) <= limit
            shown += [self.facts_of_hold(hold) for hold in page.holds]
            if page.next_cursor is None:
                return shown
            page = holds.page(**asked, cursor=page.next_cursor)

    # --- Refunds and corrections ---

    def refund(self, random):
        entry = self.an_entry(random)
        charge = {"pk": entry.pk}
        if entry.hold_id:
            charge = random.choice([charge, {"hold_id": entry.hold_id}])
        elif entry.kind == "deduct":
            charge = random.choice([charge, {"idempotency_key": entry.idempotency_key or "none"}])
        product = random.choice([*PRODUCTS, *[entry.product or "blog"] * 9])
        credits = self.an_amount(random, entry)
        asked = self.with_key(random, "refund", product=product, charge=charge, credits=credits)
        product, charge = asked.pop("product") or "blog", asked["charge"]

        def refund():
            made = give_backs.refund(service=SERVICES[product], user_id=self.user_id, **asked)
            said = made.answer.refundable, made.answer.lapsed, made.answer.available
            return "refund", made.replayed, made.entry.sequence - 1, made.entry.credits, *said

        named = charge | {"product": product} | ({"kind": "deduct"} if "idempotency_key" in charge else {})
        found = Entry.objects.filter(wallet_id=self.user_id, **named).first()
        place = found.sequence - 1 if found else None
        self.compare(refund, self.model.refund(product, place, asked["credits"], asked["key"]))

    def give_back_by_staff(self, random):
        entry = self.an_entry(random)
        facts = {"product": entry.product, "charge": {"pk": entry.pk}}
        asked = self.with_key(random, "refund", **facts, credits=self.an_amount(random, entry))
        entry = Entry.objects.filter(wallet_id=self.user_id, **asked["charge"]).first() or entry
        key, credits = asked["key"], asked["credits"]

        def give_back():
            made = give_backs.give_back(entry=entry, credits=credits, reason="", key=key, actor=STAFF)
            return "given back", made.sequence - 1, made.credits

        expected = self.model.refund(entry.product, entry.sequence - 1, credits, key)
        if expected[0] == "refund":
            expected = "given back", *expected[2:4]
        self.compare(give_back, expected)

    def an_amount(self, random, entry):
        """None for all that is left, or a number of credits: mostly not more than is left."""
        return random.choice([None, None, None, *range(1, self.model.left.get(entry.sequence - 1, 0) + 2)])

    def an_entry(self, random):
        """An entry, mostly a charge."""
        entries = self.entries()
        charges = [entries[place] for place in self.model.left]
        return random.choice(charges * 5 + entries)

    def adjust(self, random):
        credits = random.choice([*range(-20, 0), *range(1, 31)])
        asked = self.with_key(random, "adjustment", credits=credits)

        def adjust():
            made = adjustments.adjust(user_id=self.user_id, **asked, reason="Goodwill", actor=STAFF)
            return "adjustment", made.sequence - 1

        self.compare(adjust, self.model.adjust(**asked))

    def freeze_or_not(self, random):
        frozen = random.choice([False, True])
        assert ledger.set_frozen(self.user_id, frozen=frozen) == (frozen != self.model.frozen)
        self.model.frozen = frozen

    # --- Payments ---

    def top_up(self, random):
        cents, intent_id = random.randint(100, 4000), f"pi_{self.user_id}_{len(self.payments)}"
        session = {
            "id": f"cs_{intent_id}",
            "mode": "payment",
            "payment_status": "paid",
            "amount_total": cents,
            "currency": "usd",
            "payment_intent": intent_id,
            "metadata": {"type": "wallet_topup", "user_id": self.user_id, "product": "blog"},
        }
        settlement.settle(session, happened_at=self.clock.now)
        self.payments.append([cents])
        self.model.move("topup", cents // 100, "blog")

    def dispute_moves_money(self, random):
        number, takes = random.randint(0, len(self.payments) - 1), random.choice([True, False])
        payment = self.payments[number]
        before = sum(payment)
        if at_most := before if takes else payment[0] - before:
            cents = random.randint(1, at_most)
            payment.append(-cents if takes else cents)
            intent_id = f"pi_{self.user_id}_{number}"
            dispute = dispute_of(intent_id, *payment[1:], id=f"dp_{intent_id}")
            reversals.dispute(dispute, happened_at=self.clock.now)
            self.model.payment_comes_to("blog", before // 100, sum(payment) // 100)


def facts_of(error: BillingError) -> tuple[Any, ...]:
    if isinstance(error, InsufficientCredits):
        return error.available, error.required
    return (error.facts["refundable"],) if isinstance(error, NothingToGiveBack) else ()


# The answers that a history can come to. Long histories come to nearly all of them.
ANSWERS = {
    "charge", "charge again", "quote", "hold made", "hold made again", "hold", "hold again",
    "refund", "refund again", "given back", "adjustment",
    "UnknownFeature", "InsufficientCredits", "WalletFrozen", "TooManyHolds", "MoreThanHeld",
    "HoldCaptured", "HoldVoided", "HoldExpired", "HoldTooOld", "KeyReused", "KeyEnded", "ChargeGivenBack",
    "NotFound", "NothingToGiveBack",
}  # fmt: skip


@pytest.fixture(params=["both branches", "the full branch"])
def branches(request, monkeypatch):
    """The service as it is, and without the short way. Both must answer as the model does."""
    monkeypatch.setattr(debits, "OPEN_HOLDS_MAX", OPEN_MAX)
    monkeypatch.setattr(debits, "OPEN_HOLDS_OF_PRODUCT_MAX", OPEN_OF_PRODUCT_MAX)
    if request.param == "the full branch":
        monkeypatch.setattr(ledger, "take_plainly", lambda *args, **options: False)
        monkeypatch.setattr(ledger, "set_aside_plainly", lambda *args, **options: False)


def run(histories: int, steps: int, *, steps_between_laws: int) -> set[str]:
    """Run random histories; the kinds of answers that were given."""
    Histories.answers, Histories.steps_between_laws = Counter(), steps_between_laws
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            phases=(Phase.generate, Phase.shrink),
            derandomize=True,  # The same histories each time: a failure comes from a change of the code.
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return set(Histories.answers)


@pytest.mark.django_db
def test_any_history_is_the_models(branches):
    run(6, 50, steps_between_laws=5)


@pytest.mark.django_db
@pytest.mark.slow
def test_many_long_histories_are_the_models(branches):
    answers = run(20, 60, steps_between_laws=4)
    assert len(ANSWERS & answers) >= 20, ANSWERS - answers
