"""The budgets of a user, as pages show them: what is spent, what is left, and which refuse charges."""

from dataclasses import dataclass

from foundation import money, words
from wallet.charges import budgets
from wallet.charges.counters import BudgetNow
from wallet.charges.models import Budget
from wallet.history import products

Period = Budget.Period
PERIODS = {Period.DAY: "each day", Period.MONTH: "each month"}
THIS_PERIOD = {Period.DAY: "today", Period.MONTH: "this month"}
ALL_PRODUCTS = "All products"
NOTICES_MAX = 3


@dataclass(frozen=True)
class Line:
    """A budget in the period that is running, with the words of the page."""

    budget: BudgetNow

    @property
    def is_users(self) -> bool:
        """Whether the user set it. The user cannot change a budget that a product has set."""
        return self.budget.set_by == Budget.SetBy.USER

    @property
    def name(self) -> str:
        """What it limits: "blog, each day"."""
        product = products.name_of(self.budget.product) or ALL_PRODUCTS
        return f"{product}, {PERIODS[Period(self.budget.period)]}"

    @property
    def set_by(self) -> str:
        return "You" if self.is_users else products.name_of(self.budget.product)

    @property
    def percent(self) -> int:
        """The whole percents that are spent, at most 100. A budget of 0 is spent from the beginning."""
        if not self.budget.left:
            return 100
        return self.budget.spent * 100 // self.budget.credits

    @property
    def stops_everything(self) -> bool:
        """Whether it is a budget of 0 credits: no period brings it new credits."""
        return self.budget.credits == 0

    @property
    def is_used_up(self) -> bool:
        return self.budget.left == 0

    @property
    def is_running_out(self) -> bool:
        """Whether so much is spent that an alert is due, but not everything."""
        budget = self.budget
        return bool(budget.left) and budget.spent * 100 >= budget.credits * budget.alert_percent

    @property
    def state(self) -> str:
        """Its state in a word or two; "" if it refuses nothing soon."""
        if self.stops_everything:
            return "Stops all charges"
        if self.is_used_up:
            return "Used up"
        return f"{self.percent}% spent" if self.is_running_out else ""

    @property
    def notice(self) -> str:
        """What it means that this budget is used up or running out, until when, and what the user can do."""
        budget = self.budget
        product = products.name_of(budget.product)
        all_products = f"for {product}" if product else "for all products"
        whose = (
            f"Your budget {all_products}" if self.is_users else f"The budget that {product} has set for you"
        )
        charged = product or "Misar products"
        if self.stops_everything:
            change = "You can change or remove it." if self.is_users else f"Only {product} can change it."
            return f"{whose} is 0 credits, so {charged} can't charge you. {change}"
        this_period = THIS_PERIOD[Period(budget.period)]
        spent = f"{money.plain(budget.spent)} of {money.credits(budget.credits)} {this_period}"
        until = words.moment(budget.resets_at)
        if not self.is_used_up:
            change = " You can raise or remove it." if self.is_users else ""
            return f"{whose} is {self.percent}% spent: {spent}, until {until} UTC.{change}"
        change = "You can raise or remove it." if self.is_users else f"Only {product} can raise it."
        return f"{whose} is used up: {spent}. Until {until} UTC, {charged} can't charge you. {change}"


@dataclass(frozen=True)
class Budgeted:
    """All budgets of a user, and those that the page's head names: used up, then running out.

    `notices` has at most NOTICES_MAX of them. `others_count` is how many more there are.
    """

    lines: list[Line]
    notices: list[Line]
    others_count: int


def budgeted_of(user_id: str) -> Budgeted:
    """Return the budgets of a user: their own first, then those that products have set."""
    lines = [Line(budget) for budget in budgets.budgets_of(user_id)]
    named = [line for line in lines if line.is_used_up] + [line for line in lines if line.is_running_out]
    return Budgeted(lines, named[:NOTICES_MAX], len(named[NOTICES_MAX:]))
