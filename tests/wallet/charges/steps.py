"""What all steps of random histories share: a user, a clock, the model, and the comparison of the books."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from accounts.models import ServiceKey
from foundation.errors import BillingError
from tests.wallet.charges.eager_lots import Parts
from tests.wallet.charges.eager_model import EagerModel, Figures, Limits
from tests.wallet.clock import Clock
from wallet.books import laws
from wallet.books.funds import funds_of
from wallet.charges import budgets, holds, lapsing
from wallet.charges.counters import BudgetNow
from wallet.errors import InsufficientCredits, NothingToGiveBack
from wallet.models import Entry, Lot, LotMove, Wallet
from wallet.prices import rates

ARTICLE, MAIL = "blog.article.generate", "mail.send"
STAFF = "user:staff:1"
SERVICES = {product: ServiceKey(product=product, prefix=f"wsk_{product}") for product in ("blog", "mail")}
PRODUCTS, FEATURES = tuple(SERVICES), (ARTICLE, MAIL)
# Small, so that histories reach them.
LIMITS = Limits(open_holds=3, open_holds_of_product=2, lots=4, lots_of_product=3, budgets=5)
WEEK = 7 * 24 * 3600
A_MOMENT = timedelta(microseconds=1)
# Histories cross the end of a month soon. They must not reach the present (tests/wallet/clock.py).
BEGINNING = datetime(2020, 1, 30, 22, tzinfo=UTC)


class Steps:
    """One user per example; what the example did is rolled back at its end."""

    examples = 0
    steps_between_laws = 1
    looks_back_at_all = False  # At the end, compare what the wallet had at every past moment.
    moments_compared = 0
    answers: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        type(self).examples += 1
        self.user_id = f"usr_{self.examples}"
        self.clock = Clock()
        self.clock.set(BEGINNING)
        self.model = EagerModel(BEGINNING, {ARTICLE: 1, MAIL: 3}, LIMITS)
        self.hold_ids: list[str] = []
        self.lot_ids: list[str] = []
        self.payments: list[list[int]] = []  # Its cents, and what a dispute has moved of it so far.
        self.sent: dict[str, list[dict[str, Any]]] = {}  # What was asked for with a key, by verb.
        self.steps = 0
        for feature in FEATURES:
            self.set_rate(feature)

    def teardown(self):
        try:
            if not connection.needs_rollback:
                if self.looks_back_at_all:
                    self.look_back_at_all()
                self.tidy()
                self.compare_the_books()
                if self.looks_back_at_all:
                    self.look_back_at_all()
                assert laws.violations() == []
        finally:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)

    # --- Requests ---

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

    def set_rate(self, feature):
        credits = self.model.prices[feature]
        facts = {"label": feature, "unit": "piece", "active": credits is not None, "actor": STAFF}
        rates.set_rate(feature=feature, credits=credits or 1, **facts)

    # --- Time ---

    def time_passes(self, random):
        self.pass_time(self.clock.now + timedelta(seconds=random.choice([1, 60, 900, 7200, 86400, WEEK])))

    def pass_time(self, now):
        self.clock.set(max(self.clock.now, now))
        self.model.pass_time(self.clock.now)

    def reach(self, random, ends):
        """Go to one of these times, or to the microsecond before or after it."""
        end = random.choice(sorted(ends))
        self.pass_time(end + random.choice([-A_MOMENT, timedelta(), timedelta(), A_MOMENT]))

    def tidy(self, random=None):
        """End what is overdue. Then the books must say what the model says to the last row."""
        lapsing.lapse_wallet(self.user_id)
        model = self.model
        for wallet in Wallet.objects.filter(pk=self.user_id):
            figures = wallet.balance, wallet.held, wallet.granted, wallet.open_holds, wallet.budgets
            opened, limits = len(model.open_holds), len(model.budgets)
            assert figures == (model.balance, model.held, model.lots.granted, opened, limits)
        lots = [(lot.remaining, lot.held, lot.expired) for lot in self.lots()]
        assert lots == [(lot.remaining, lot.held, lot.expired) for lot in model.lots.rows]

    # --- The books ---

    def compare_the_books(self):
        connection.check_constraints()
        self.compare_the_history()
        model, funds = self.model, funds_of(self.user_id)
        assert (self.figures(funds), funds.frozen, funds.at) == (model.figures_now(), model.frozen, model.now)
        assert sorted(self.holds_listed()) == [hold.facts for hold in model.holds]
        self.compare_the_budgets(None)

    def compare_the_history(self):
        """The entries must be the model's, but the ends of lots may be written later than they happened.

        What ends is written by the next verb that locks the wallet, or by `tidy`. So an expiry may come
        after entries that are later than the lot's end, or not yet.
        """
        entries, moves = self.entries(), self.moves()
        facts = [
            (row.kind, row.credits, row.created_at, row.product, moves[row.sequence])
            for row in entries
            if row.kind != Entry.Kind.EXPIRY
        ]
        assert facts == [row.facts for row in self.model.history]
        written: Counter[int] = Counter()
        balance = 0
        for row in entries:
            balance += row.credits
            assert row.balance_after == balance
            if row.kind == Entry.Kind.EXPIRY:
                ((number, credits),) = moves[row.sequence].items()
                assert credits == row.credits < 0
                assert self.model.lots.rows[number].ends_at == row.effective_at <= row.created_at
                written[number] -= credits
        lots = [(lot.expired, lot.remaining) for lot in self.lots()]
        for lot, (expired, remaining) in zip(self.model.lots.rows, lots, strict=True):
            assert expired == written[lot.number] <= lot.expired
            assert expired + remaining == lot.expired + lot.remaining

    def compare_the_budgets(self, product):
        listed = [facts_of_budget(budget) for budget in budgets.budgets_of(self.user_id, product)]
        assert sorted(listed) == sorted(budget.facts for budget in self.model.budgets_of(product))

    def entries(self):
        return list(Entry.objects.filter(wallet_id=self.user_id).order_by("sequence"))

    def lots(self):
        """The lots as they are written, in the order in which they were made."""
        lots = {lot.pk: lot for lot in Lot.objects.filter(wallet_id=self.user_id)}
        assert len(lots) == len(self.lot_ids)
        return [lots[lot_id] for lot_id in self.lot_ids]

    def moves(self):
        """What each entry moved of each lot, by the entry's number."""
        moves: defaultdict[int, Parts] = defaultdict(dict)
        for move in LotMove.objects.filter(wallet_id=self.user_id):
            moves[move.sequence][self.lot_ids.index(move.lot_id)] = move.credits
        return moves

    def place_of(self, entry):
        """The place of an entry in the model's history, which has no expiries."""
        earlier = Entry.objects.filter(wallet_id=self.user_id, sequence__lt=entry.sequence)
        return earlier.exclude(kind=Entry.Kind.EXPIRY).count()

    def figures(self, funds):
        lots = tuple((lot.id, lot.product, lot.remaining, lot.held, lot.expires_at) for lot in funds.grants)
        assert funds.available == funds.balance - funds.held
        assert funds.paid == funds.balance - funds.granted
        return Figures(funds.balance, funds.held, funds.granted, lots)

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

    def facts_of_hold(self, hold):
        figures = hold.state, hold.captured_count, hold.captured_credits, hold.expires_at, hold.ended_at
        return self.hold_ids.index(hold.pk), *figures

    # --- The past ---

    def compare_the_past(self, at):
        """The wallet must have had at this time what the model had then."""
        funds = funds_of(self.user_id, at=at)
        assert (self.figures(funds), funds.at) == (self.model.figures_at(at), at)
        type(self).moments_compared += 1

    def look_back_at_all(self):
        """Compare each moment at which something may have changed, and the last one before the next such."""
        moments = set(self.model.moments)
        moments |= {moment - A_MOMENT for moment in moments}
        for moment in moments:
            self.compare_the_past(moment)


def facts_of(error: BillingError) -> tuple[Any, ...]:
    if isinstance(error, InsufficientCredits):
        return error.available, error.required, error.limited_by
    return (error.facts["refundable"],) if isinstance(error, NothingToGiveBack) else ()


def facts_of_budget(budget: BudgetNow) -> tuple[Any, ...]:
    figures = budget.credits, budget.spent, budget.left, budget.alert_percent, budget.resets_at
    return budget.set_by, budget.product, budget.period, *figures
