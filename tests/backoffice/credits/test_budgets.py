"""Budgets in the back-office: on the user's page, and how staff remove one."""

import pytest
from django.utils.dateformat import format as in_words

from accounts.models import Act
from tests.backoffice.credits import pages
from tests.backoffice.credits.pages import USER, page, user_page
from tests.backoffice.members import member_of, signed_in
from tests.factories import UserFactory
from tests.html import table, words
from tests.wallet.granted import set_budget
from tests.wallet.held import hold
from wallet.books.models import PRODUCT_LENGTH
from wallet.charges import budgets
from wallet.models import Budget, Wallet

pytestmark = pytest.mark.django_db

PAGE = page("wallet_remove-budget", USER)


@pytest.fixture
def ada(give, article_rate):
    give(USER, 42)
    return UserFactory.create(misar_id=USER)


@pytest.fixture
def billing(db):
    return signed_in(member_of("billing"))


def send(client, budget, **fields):
    return pages.send(client, PAGE, budget=budget, **fields)


def test_a_users_page_shows_each_budget(staff, ada):
    month = set_budget(200, USER, period="month")
    day = set_budget(4, USER, product="blog")
    set_budget(50, USER, set_by="product", product="blog")
    hold(USER, 4)
    resets = [in_words(each.resets_at, "j M Y, H:i") for each in (month, day)]
    answer = user_page(staff)
    assert table(answer, "budgets") == [
        ["All products", "the user", "month", "4 of 200", "196", resets[0]],
        ["MisarBlog", "the user", "day", "4 of 4", "0", resets[1]],
        ["MisarBlog", "MisarBlog", "day", "4 of 50", "46", resets[1]],
    ]
    assert "Remove a budget" in words(answer)


def test_a_users_page_without_budgets(staff, ada):
    shown = words(user_page(staff))
    assert "Budgets" not in shown
    assert "Remove a budget" not in shown
    assert staff.get(PAGE).status_code == 404


def test_billing_removes_one_budget_once(billing, ada):
    set_budget(200, USER, period="month")
    set_budget(50, USER, set_by="product", product="blog")
    form = billing.get(PAGE)
    assert [label for _, label in form.context["form"].fields["budget"].choices] == [
        "Choose a budget",
        "200 credits a month for all products, set by the user",
        "50 credits a day for MisarBlog, set by MisarBlog",
    ]
    assert "charges no longer stop at this budget" in words(form)
    for _ in range(2):
        assert send(billing, "user:month:", key="k1").status_code == 302
    assert [budget.product for budget in budgets.budgets_of(USER)] == ["blog"]
    assert Wallet.objects.get(pk=USER).budgets == 1
    [act] = Act.objects.all()
    assert (act.about, act.model, act.row_id) == (USER, "wallet.wallet", USER)
    assert act.told == "Removed a budget: 200 credits a month for all products, set by the user."
    assert "Ada asked for it." in words(user_page(billing))


def test_the_only_budget_is_chosen_already(billing, ada):
    set_budget(200, USER)
    choices = billing.get(PAGE).context["form"].fields["budget"].choices
    assert [value for value, _ in choices] == ["user:day:"]


def test_a_budget_that_is_gone_is_not_removed_again(billing, ada):
    set_budget(200, USER)
    assert send(billing, "user:day:").status_code == 302
    assert "This budget was removed already" in words(send(billing, "user:day:"))
    assert Act.objects.count() == 1


def test_a_budget_of_a_product_with_the_longest_name_is_removed(billing, ada):
    set_budget(200, USER, product=f"a: {'x' * (PRODUCT_LENGTH - 3)}")
    name = f"user:day:a: {'x' * (PRODUCT_LENGTH - 3)}"
    assert send(billing, name).status_code == 302
    assert not Budget.objects.exists()
    assert "This budget was removed already" in words(send(billing, name))


@pytest.mark.parametrize(
    "budget",
    [
        *("", "user", "user:day", "user:year:", "staff:day:", "x:y:z"),
        *("user:day:\0", "user:day:a\u200b", "user:day: ", f"user:day:{'x' * (PRODUCT_LENGTH + 1)}"),
    ],
)
def test_what_names_no_budget_is_refused(billing, ada, budget):
    set_budget(200, USER)
    answer = send(billing, budget)
    assert answer.status_code == 200
    assert "Not saved. Please fix the fields below." in answer.text
    assert Budget.objects.count() == 1
    assert not Act.objects.exists()
