"""Budgets: what they count and when, which one limits a charge, and how many there may be."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.wallet import by_hand
from tests.wallet.clock import Clock
from tests.wallet.granted import grant, set_budget, spent
from tests.wallet.held import capture, charge_of, hold, service_of, void
from tests.wallet.reversed import take_back
from wallet.books import laws, ledger
from wallet.books.funds import available_of
from wallet.charges import budgets, deductions, give_backs, lapsing, quotes
from wallet.errors import BudgetSpent, InsufficientCredits, TooManyBudgets
from wallet.models import Budget, Entry, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

FEATURE = "blog.article.generate"
A_MOMENT = timedelta(microseconds=1)
BLOG = {"set_by": "product", "product": "blog"}
BLOG_DAY = BLOG | {"period": "day"}
USER_DAY = {"set_by": "user", "product": "", "period": "day"}


@pytest.fixture
def clock(db):
    """Noon of 15 January 2020."""
    clock = Clock()
    clock.set(datetime(2020, 1, 15, 12, tzinfo=UTC))
    return clock


@pytest.fixture
def rich(clock, give, article_rate):
    """usr_1 has 1,000 paid credits."""
    return give("usr_1", 1000)


def charge(credits, *, product="blog", user_id="usr_1", key=""):
    facts = {"user_id": user_id, "feature": FEATURE, "count": credits, "key": key}
    return deductions.deduct(service=service_of(product), **facts).entry


def refund(entry, credits=None, key="undo"):
    facts = {"user_id": "usr_1", "charge": {"pk": entry.pk}, "credits": credits, "key": key}
    return give_backs.refund(service=service_of(entry.product), **facts)


def refusal(credits, **asked):
    """What a charge is refused with. A hold and a quote are refused with the same."""
    with pytest.raises(InsufficientCredits) as refused:
        charge(credits, **asked)
    error = refused.value
    product = asked.get("product", "blog")
    for ask in (
        lambda: hold("usr_1", credits, product=product),
        lambda: quotes.quote(service=service_of(product), user_id="usr_1", feature=FEATURE, count=credits),
    ):
        with pytest.raises(type(error)) as also:
            ask()
        assert (also.value.available, also.value.required, also.value.limited_by) == (
            error.available,
            error.required,
            error.limited_by,
        )
    return error


# --- What limits --------------------------------------------------------------------------------------


def test_a_budget_limits_what_products_charge(rich):
    set_budget(20)
    charge(17)
    error = refusal(4)
    assert isinstance(error, BudgetSpent)
    assert (error.available, error.required) == (3, 4)
    assert error.limited_by == {
        "limit": "budget",
        "setBy": "user",
        "period": "day",
        "credits": 20,
        "spent": 17,
        "resetsAt": datetime(2020, 1, 16, tzinfo=UTC),
    }
    charge(3)
    assert refusal(1).available == 0
    assert spent() == [20]


def test_a_product_has_its_own_budget_and_those_of_the_user(rich):
    """The user's for mail and the mail's own do not limit the blog."""
    for budget in (
        {**USER_DAY, "product": "mail"},
        {"set_by": "product", "product": "mail", "period": "day"},
    ):
        set_budget(0, **budget)
    charge(1)
    assert refusal(1, product="mail").limited_by["setBy"] == "user"  # Of two alike, the user's.
    set_budget(5, **BLOG_DAY)
    charge(4)
    assert refusal(2).limited_by == {
        "limit": "budget",
        "setBy": "product",
        "product": "blog",
        "period": "day",
        "credits": 5,
        "spent": 5,
        "resetsAt": datetime(2020, 1, 16, tzinfo=UTC),
    }


def test_the_budget_with_the_least_left_is_named_and_of_equals_the_one_that_resets_last(rich):
    set_budget(10)
    set_budget(9, **BLOG_DAY)
    assert refusal(11).limited_by["setBy"] == "product"
    set_budget(9, set_by="user", product="", period="month")
    assert refusal(10).limited_by["period"] == "month"
    assert refusal(10).limited_by["resetsAt"] == datetime(2020, 2, 1, tzinfo=UTC)
    assert refusal(10).available == 9


def test_of_budgets_that_are_alike_the_users_is_named_over_all_products_first(rich, clock):
    """On the last day of a month, those of the day and of the month reset at once."""
    clock.set(datetime(2020, 1, 31, 12, tzinfo=UTC))
    for budget in (BLOG_DAY, {**USER_DAY, "product": "blog", "period": "month"}, USER_DAY):
        set_budget(9, **budget)
        limited_by = refusal(10).limited_by
        named = {"set_by": limited_by["setBy"], "product": limited_by.get("product", "")}
        assert named | {"period": limited_by["period"]} == budget


def test_each_of_the_six_budgets_of_a_product_limits_it_alone(rich):
    charge(1)
    for whose in ({"set_by": "user", "product": ""}, {"set_by": "user", "product": "blog"}, BLOG):
        for period in ("day", "month"):
            set_budget(3, **whose, period=period)
            error = refusal(3)
            named = {"set_by": error.limited_by["setBy"], "product": error.limited_by.get("product", "")}
            assert (named, error.limited_by["period"], error.available) == (whose, period, 2)
            budgets.remove_budget(user_id="usr_1", **whose, period=period)
    charge(3)


@pytest.mark.parametrize(
    ("credits", "budget", "required", "available", "by_budget"),
    [
        (10, 5, 6, 5, True),
        (10, 10, 11, 10, False),  # A tie is an ordinary refusal.
        (10, 12, 13, 10, False),
        (10, 9, 11, 9, True),
        (10, 0, 1, 0, True),
    ],
)
def test_the_least_of_credits_and_budgets_is_what_could_be_spent(
    clock, give, article_rate, credits, budget, required, available, by_budget
):
    give("usr_1", credits)
    set_budget(budget)
    error = refusal(required)
    assert (error.available, error.required, isinstance(error, BudgetSpent)) == (
        available,
        required,
        by_budget,
    )
    if available:
        charge(available)


def test_a_debt_is_what_is_available_whatever_the_budget(rich):
    set_budget(0)
    Budget.objects.update(credits=3)
    charge(3)
    take_back(rich)
    error = refusal(1)
    assert (error.available, error.limited_by) == (-3, None)


def test_grants_spend_budgets_and_other_changes_do_not(clock, give, article_rate):
    grant(credits=10)
    set_budget(100)
    charge(4)
    give("usr_1", 5)
    facts = {"user_id": "usr_1", "reason": "More", "actor": "user:staff:1"}
    by_hand.adjust(credits=-3, key="1", **facts)
    by_hand.adjust(credits=3, key="2", **facts)
    clock.advance(days=1)
    lapsing.lapse_wallet("usr_1")
    assert Entry.objects.filter(kind="expiry").exists()
    budget = Budget.objects.get()
    assert (budget.spent, budget.starts, spent()) == (4, date(2020, 1, 15), [0])


# --- Periods ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "last", "starts", "resets"),
    [
        ("day", "2020-01-15T23:59:59.999999", "2020-01-16", "2020-01-17"),
        ("month", "2020-01-31T23:59:59.999999", "2020-02-01", "2020-03-01"),
        ("month", "2020-12-31T23:59:59.999999", "2021-01-01", "2021-02-01"),
    ],
)
def test_a_period_ends_at_midnight_of_utc(rich, clock, period, last, starts, resets):
    clock.set(datetime.fromisoformat(last).replace(tzinfo=UTC))
    set_budget(5, period=period)
    charge(5)
    assert (refusal(1).available, spent()) == (0, [5])
    clock.advance(microseconds=1)
    (budget,) = budgets.budgets_of("usr_1")
    assert (budget.spent, budget.left) == (0, 5)
    assert budget.resets_at == datetime.fromisoformat(resets).replace(tzinfo=UTC)
    charge(2)
    assert (spent(), Budget.objects.get().starts) == ([2], date.fromisoformat(starts))


def test_a_hold_counts_in_the_day_in_which_it_was_made(rich, clock):
    """It is captured in part, and given back, on the next day; neither changes the next day."""
    clock.set(datetime(2020, 1, 15, 23, 50, tzinfo=UTC))
    set_budget(10)
    set_budget(100, period="month")
    held = hold("usr_1", 8)
    assert spent() == [8, 8]
    clock.set(datetime(2020, 1, 16, 0, 5, tzinfo=UTC))
    assert spent() == [0, 8]
    charge(10)
    capture(held, 5)
    assert spent() == [10, 15]
    refund(charge_of(held), 2)
    assert spent() == [10, 13]


def test_what_comes_back_the_same_day_makes_room(rich):
    set_budget(10)
    first, held = charge(4), hold("usr_1", 6)
    assert refusal(1).available == 0
    refund(first, 3)
    assert spent() == [7]
    void(held)
    assert spent() == [1]
    capture(hold("usr_1", 9), 2)
    assert spent() == [3]


def test_what_comes_back_the_next_day_lowers_the_month_alone(rich, clock):
    set_budget(10)
    set_budget(50, period="month")
    first, held = charge(4), hold("usr_1", 6, ttl_seconds=100_000)
    clock.advance(days=1)
    charge(7)
    refund(first)
    void(held)
    assert spent() == [7, 7]


def test_an_overdue_hold_is_not_counted_before_and_after_it_is_written_down(rich, clock):
    set_budget(10)
    set_budget(20, **BLOG_DAY)
    hold("usr_1", 6)
    clock.advance(hours=1)
    assert spent() == [0, 0]
    lapsing.lapse_wallet("usr_1")
    assert spent() == [0, 0]
    hold("usr_1", 6)
    clock.advance(hours=1)
    charge(10)  # The charge writes it down first.
    assert spent() == [10, 10]


# --- Setting, removing and reading --------------------------------------------------------------------


def test_a_budget_counts_from_the_beginning_of_its_period(clock, give, article_rate):
    """Yesterday's charges count for the month. A hold of yesterday that was captured today, too."""
    clock.set(datetime(2019, 12, 31, 23, 0, tzinfo=UTC))
    give("usr_1", 1000)
    last_month = charge(100)
    old_hold = hold("usr_1", 9, ttl_seconds=6 * 24 * 3600)
    clock.set(datetime(2020, 1, 2, 10, tzinfo=UTC))
    yesterday = charge(10)
    held = hold("usr_1", 8, ttl_seconds=2 * 24 * 3600)
    clock.set(datetime(2020, 1, 3, 10, tzinfo=UTC))
    capture(old_hold, 9)
    capture(held, 5)
    refund(last_month, 50, "undo:1")
    refund(yesterday, 3, "undo:2")
    today = charge(20)
    refund(today, 1, "undo:3")
    charge(7, product="mail")
    hold("usr_1", 4)
    hold("usr_1", 2, product="mail")
    day, month = set_budget(1000), set_budget(1000, period="month")
    blog = set_budget(1000, **BLOG_DAY)
    assert day.spent == 20 - 1 + 7 + 4 + 2
    assert month.spent == day.spent + 10 - 3 + 5
    assert blog.spent == 20 - 1 + 4


def test_a_budget_can_be_changed_and_keeps_what_was_spent(rich):
    assert (set_budget(20).left, charge(15).credits) == (20, -15)
    assert [(set_budget(credits).spent, set_budget(credits).left) for credits in (10, 15, 16, 0)] == [
        (15, 0),
        (15, 0),
        (15, 1),
        (15, 0),
    ]
    assert refusal(1).available == 0
    budget = budgets.set_budget(user_id="usr_1", **USER_DAY, credits=16, alert_percent=80)
    assert budget.alert_percent == 80
    charge(1)
    assert Wallet.objects.get().budgets == 1


def test_a_budget_that_is_removed_limits_nothing(rich):
    set_budget(0)
    assert refusal(1).available == 0
    assert budgets.remove_budget(user_id="usr_1", **USER_DAY)
    assert not budgets.remove_budget(user_id="usr_1", **USER_DAY)
    assert not budgets.remove_budget(user_id="usr_none", **USER_DAY)
    charge(1)
    assert Wallet.objects.get().budgets == 0
    assert set_budget(5).spent == 1


def test_a_user_without_a_wallet_can_have_a_budget(clock, give, article_rate):
    assert set_budget(5).spent == 0
    assert refusal(6).available == 0
    give("usr_1", 10)
    assert refusal(6).available == 5


def test_50_budgets_of_a_wallet_at_most(clock):
    rows = [{"set_by": "user", "product": f"p{n}", "period": "day", "credits": 1} for n in range(49)]
    set_budget(1, product="p49")
    starts = Budget.objects.get().starts
    Budget.objects.bulk_create(Budget(wallet_id="usr_1", starts=starts, spent=0, **row) for row in rows)
    ledger.set_budgets("usr_1", 50)
    for budget in ({}, {"period": "month"}, BLOG_DAY):
        with pytest.raises(TooManyBudgets):
            set_budget(1, **budget)
    assert set_budget(2, product="p7").credits == 2  # It is there.
    set_budget(1, "usr_2")
    budgets.remove_budget(user_id="usr_1", set_by="user", product="p7", period="day")
    set_budget(1, **BLOG_DAY)
    assert Wallet.objects.get(pk="usr_1").budgets == 50


def test_a_product_sees_the_budgets_that_can_refuse_it(clock):
    for product in ("", "blog", "mail"):
        for period in ("month", "day"):
            set_budget(1, product=product, period=period)
    set_budget(1, **BLOG_DAY)
    set_budget(1, **BLOG_DAY | {"product": "mail"})

    def seen(product=None):
        return [(each.set_by, each.product, each.period) for each in budgets.budgets_of("usr_1", product)]

    of_blog = [
        ("user", "", "day"),
        ("user", "", "month"),
        ("user", "blog", "day"),
        ("user", "blog", "month"),
        ("product", "blog", "day"),
    ]
    assert seen("blog") == of_blog
    assert seen("reach") == of_blog[:2]
    assert len(seen()) == 8
    assert budgets.budgets_of("usr_2") == []


def test_prices_decide_how_much_of_a_budget_a_charge_takes(rich):
    rates.set_rate(feature=FEATURE, label="Generate", credits=7, unit="article", actor="test")
    set_budget(20)
    charge(2)
    assert (spent(), refusal(1).available) == ([14], 6)


def test_a_replay_is_answered_although_the_budget_is_spent(rich):
    set_budget(5)
    first = charge(5, key="article:1")
    assert charge(5, key="article:1") == first
    assert Entry.objects.filter(kind="deduct").count() == 1
    assert spent() == [5]
    assert available_of("usr_1") == 995


def test_a_clock_that_is_set_back_over_midnight_leaves_the_counters_right(clock, give, article_rate):
    """The new day's counter counts what is asked for in the new day. No entry keeps the time from falling."""
    give("usr_1", 100)
    clock.set(datetime(2020, 1, 16, 0, 0, 1, tzinfo=UTC))
    set_budget(10)
    early = hold("usr_1", 2)
    clock.set(datetime(2020, 1, 15, 23, 59, 59, tzinfo=UTC))
    assert refusal(9).available == 8
    late, held = charge(3), hold("usr_1", 4)
    assert laws.violations() == []
    refund(late, 1)
    void(held)
    assert laws.violations() == []
    clock.set(datetime(2020, 1, 16, 0, 0, 2, tzinfo=UTC))
    capture(early, 1)
    assert spent() == [1]
