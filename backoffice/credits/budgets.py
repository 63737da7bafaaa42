"""Budgets: what staff read of them, and how staff remove one."""

from typing import Any

from django import forms

from accounts.models import User
from backoffice.actions.forms import ReasonForm
from backoffice.actions.staff_action import StaffAction
from backoffice.credits.funds import facts_of_wallet
from backoffice.errors import NothingToChange
from foundation import money
from foundation.text import is_id
from wallet.books.models import PRODUCT_LENGTH
from wallet.charges import budgets
from wallet.charges.counters import BudgetNow
from wallet.history.products import name_of
from wallet.models import Budget, Wallet

SetBy, Period = Budget.SetBy, Budget.Period


def setter(budget: BudgetNow) -> str:
    """Return who set a budget: the user, or a product."""
    return name_of(budget.product) if budget.set_by == SetBy.PRODUCT else "the user"


def in_words(budget: BudgetNow) -> str:
    """Return a budget as staff read it: "20 credits a day for MisarBlog, set by the user"."""
    products = name_of(budget.product) or "all products"
    credits = money.credits(budget.credits)
    return f"{credits} a {budget.period} for {products}, set by {setter(budget)}"


class BudgetField(forms.ChoiceField):
    """One of a user's budgets. It also accepts a budget that is gone, so that a form can be sent twice."""

    def valid_value(self, value: Any) -> bool:
        match str(value).split(":", 2):
            case [set_by, period, product]:
                is_product = is_id(product) and len(product) <= PRODUCT_LENGTH
                return set_by in SetBy.values and period in Period.values and (is_product or not product)
        return False


class RemoveBudgetForm(ReasonForm):
    """Which budget to remove."""

    budget = BudgetField()
    field_order = ("budget", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(_named(budget), in_words(budget)) for budget in budgets.budgets_of(self.row.pk)]
        if len(choices) > 1:
            choices.insert(0, ("", "Choose a budget"))
        field = self.fields["budget"]
        assert isinstance(field, BudgetField)
        field.choices = choices


def remove(wallet: Wallet, form_data: dict[str, Any], staff: User) -> str:
    """Remove a budget of a user."""
    set_by, period, product = form_data["budget"].split(":", 2)
    named = {"user_id": wallet.pk, "set_by": set_by, "product": product, "period": period}
    found = [each for each in budgets.budgets_of(wallet.pk) if _named(each) == form_data["budget"]]
    if not (budgets.remove_budget(**named) and found):
        raise NothingToChange("This budget was removed already")
    return f"Removed a budget: {in_words(found[0])}."


def _named(budget: BudgetNow) -> str:
    return f"{budget.set_by}:{budget.period}:{budget.product}"


OF_WALLET = (
    StaffAction(
        "remove-budget",
        "Remove a budget",
        "wallet.remove_budget",
        remove,
        RemoveBudgetForm,
        applies=lambda wallet: wallet.budgets > 0,
        facts=facts_of_wallet,
        warning="From now on, charges no longer stop at this budget. Other budgets stay. The user and the "
        "products can set a budget again.",
    ),
)
