"""What all steps of random histories share: a user, a clock, the model, and the comparison of the books."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from django.db import connection, transaction

from accounts.models import ServiceKey
from foundation.errors import BillingError
from tests import all_laws
from tests.wallet.charges.eager_lots import Parts
from tests.wallet.charges.eager_model import EagerModel, Figures, Limits
from tests.wallet.clock import Clock
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
LIMITS = Limits(open_holds=3, open_holds_of_product=2, lots=3, lots_of_product=2, budgets=4)
WEEK = 7 * 24 * 3600
A_MOMENT = timedelta(microseconds=1)
# Histories cross the end of a month soon. They must not reach the present (tests/wallet/clock.py).
BEGINNING = datetime(2020, 1, 30, 22, tzinfo=UTC)


@dataclass
class Seen:
    """What was compared of the wallet's history so far."""

    entries: int = 0
    in_history: int = 0  # Those that the model's history has, too: all but expiries.
    balance: int = 0
    expired: Counter[int] = field(default_factory=Counter)  # Credits, by the lot's number.


class Steps:
    """A user of one history, in a `with` block. What the history did is rolled back at its end."""

    def __init__(self) -> None:
        self.user_id = "usr_1"
        self.model = EagerModel(BEGINNING, {ARTICLE: 1, MAIL: 3}, LIMITS)
        self.hold_ids: list[str] = []
        self.lot_ids: list[str] = []
        self.payments: list[list[int]] = []  # Its cents, and what a dispute has moved of it so far.
        self.sent: dict[str, list[dict[str, Any]]] = {}  # What was asked for with a key, by verb.
        self.answers: Counter[str] = Counter()
        self.moments_compared = 0
        self.seen = Seen()

    def __enter__(self) -> Self:
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.clock = Clock()
        self.clock.set(BEGINNING)
        for feature in FEATURES:
            self.set_rate(feature)
        return self

    def __exit__(self, *error: Any) -> None:
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    def end(self, *, looks_back: bool) -> None:
        """Compare everything once more, before and after what is overdue is written down."""
        self.compare_the_books()
        if looks_back:
            self.look_back_at_all()
        self.tidy()
        self.compare_the_books()
        self.compare_the_history(anew=True)
        if looks_back:
            self.look_back_at_all()
        self.compare_the_laws()

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
        if sent and random.random() < 0.25:
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
        self.pass_time(self.clock.now + timedelta(seconds=random.choice([60, 900, 7200, 7200, 86400, WEEK])))

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

    def compare_the_laws(self):
        assert all_laws.broken(rows_only=True) == []

    def compare_the_books(self, everything=True):
        connection.check_constraints()
        self.compare_the_history()
        model, funds = self.model, funds_of(self.user_id)
        assert (self.figures(funds), funds.frozen, funds.at) == (model.figures_now(), model.frozen, model.now)
        if everything:
            assert sorted(self.holds_listed()) == [hold.facts for hold in model.holds]
            self.compare_the_budgets(None)

    def compare_the_history(self, *, anew=False):
        """The entries must be the model's, but the ends of lots may be written later than they happened.

        What ends is written by the next verb that locks the wallet, or by `tidy`. So an expiry may come
        after entries that are later than the lot's end, or not yet. Entries never change. So only new ones
        are compared, or all of them anew.
        """
        if anew:
            self.seen = Seen()
        seen, history, lots = self.seen, self.model.history, self.model.lots.rows
        entries = Entry.objects.filter(wallet_id=self.user_id, sequence__gt=seen.entries).order_by("sequence")
        moves = self.moves() if lots else {}
        for entry in entries:
            moved = moves.get(entry.sequence, {})
            seen.entries += 1
            seen.balance += entry.credits
            assert (entry.sequence, entry.balance_after) == (seen.entries, seen.balance)
            if entry.kind == Entry.Kind.EXPIRY:
                ((number, credits),) = moved.items()
                assert credits == entry.credits < 0
                assert lots[number].ends_at == entry.effective_at <= entry.created_at
                seen.expired[number] -= credits
            else:
                facts = entry.kind, entry.credits, entry.created_at, entry.product, moved
                assert facts == history[seen.in_history].facts
                seen.in_history += 1
        assert seen.in_history == len(history)
        for lot, written in zip(lots, self.lots(), strict=True):
            assert written.expired == seen.expired[lot.number] <= lot.expired
            assert written.expired + written.remaining == lot.expired + lot.remaining

    def compare_the_budgets(self, product):
        listed = [facts_of_budget(budget) for budget in budgets.budgets_of(self.user_id, product)]
        assert sorted(listed) == sorted(budget.facts for budget in self.model.budgets_of(product))

    def entries(self):
        return list(Entry.objects.filter(wallet_id=self.user_id).order_by("sequence"))

    def lots(self):
        """The lots as they are written, in the order in which they were made."""
        lots = {lot.pk: lot for lot in Lot.objects.filter(wallet_id=self.user_id)} if self.lot_ids else {}
        assert len(lots) == len(self.lot_ids)
        return [lots[lot_id] for lot_id in self.lot_ids]

    def moves(self):
        """What new entries moved of each lot, by the entry's number."""
        moves: defaultdict[int, Parts] = defaultdict(dict)
        for move in LotMove.objects.filter(wallet_id=self.user_id, sequence__gt=self.seen.entries):
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

    def look_back_at_all(self):
        """Compare each moment at which something may have changed, and the last one before it."""
        moments = {moment - before for moment in self.model.moments for before in (A_MOMENT, timedelta())}
        for moment in moments:
            self.compare_the_past(moment)
        self.moments_compared = len(moments)


def facts_of(error: BillingError) -> tuple[Any, ...]:
    if isinstance(error, InsufficientCredits):
        return error.available, error.required, error.limited_by
    return (error.facts["refundable"],) if isinstance(error, NothingToGiveBack) else ()


def facts_of_budget(budget: BudgetNow) -> tuple[Any, ...]:
    figures = budget.credits, budget.spent, budget.left, budget.alert_percent, budget.resets_at
    return budget.set_by, budget.product, budget.period, *figures
