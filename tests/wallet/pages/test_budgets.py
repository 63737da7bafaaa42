"""What a user reads of budgets, and the forms with which they set, change and remove their own."""

from datetime import UTC, datetime

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import ServiceKey
from tests.factories import UserFactory
from tests.html import browser_of, link, table, words
from tests.wallet.clock import Clock
from tests.wallet.granted import grant, set_budget
from tests.wallet.held import hold
from wallet.charges import budgets, deductions
from wallet.errors import BudgetSpent
from wallet.models import Budget
from wallet.pages import budget_views

pytestmark = pytest.mark.django_db

BUDGETS = "budgets_title"
MILLIARD = 1_000_000_000


@pytest.fixture
def clock():
    """A clock that stands at noon."""
    clock = Clock()
    clock.set(datetime(2020, 1, 30, 12, tzinfo=UTC))
    return clock


@pytest.fixture
def dana(article_rate, give):
    """A user who bought 42 credits and spent 3 of them."""
    user = UserFactory.create(misar_id="usr_dana")
    give(user.pk, 42)
    charge(user, 3)
    return user


@pytest.fixture
def browser(dana):
    return browser_of(dana)


def charge(user, credits, product="blog"):
    service = ServiceKey(product=product, prefix="test")
    feature = "blog.article.generate"
    return deductions.deduct(service=service, user_id=user.pk, feature=feature, count=credits)


def send(browser, *, product="", period="day", credits="20", query=""):
    form = {"product": product, "period": period, "credits": credits}
    return browser.post(f"/wallet/budget{query}", form)


def said(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


def budgets_of(user):
    return [
        (each.set_by, each.product, each.period, each.credits, each.spent)
        for each in budgets.budgets_of(user.pk)
    ]


# --- What the page shows --------------------------------------------------------------------------------


def test_without_budgets_the_page_says_what_they_are_for(browser):
    answer = browser.get("/wallet")
    shown = words(answer)
    assert "You have no budget. With one, Misar products, or one of them, can't charge you more" in shown
    assert shown.index("History") < shown.index("You have no budget")
    assert link(answer, "Set a budget") == "/wallet/budget"


def test_each_budget_says_what_is_spent_what_is_left_and_when_it_starts_again(clock, browser, dana):
    set_budget(20, dana.pk, product="blog")
    set_budget(100, dana.pk, period="month")
    set_budget(50, dana.pk, set_by="product", product="mail", period="month")
    hold(dana.pk, 2)
    answer = browser.get("/wallet")
    assert table(answer, BUDGETS) == [
        ["All products, each month", "You", "5 of 100", "95", "1 Feb 2020", "Change Remove"],
        ["MisarBlog, each day", "You", "5 of 20", "15", "31 Jan 2020", "Change Remove"],
        ["MisarMail, each month", "MisarMail", "0 of 50", "50", "1 Feb 2020", ""],
    ]
    assert words(answer).index("Budgets") < words(answer).index("History")


def test_a_budget_of_nothing_stops_everything(clock, browser, dana):
    set_budget(0, dana.pk, product="blog")
    [row] = table(browser.get("/wallet"), BUDGETS)
    assert row == ["MisarBlog, each day Stops all charges", "You", "3 of 0", "0", "–", "Change Remove"]


def test_the_number_of_queries_does_not_grow_with_budgets(browser, dana):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert browser.get("/wallet").status_code == 200
        return len(captured)

    none = queries()
    for number in range(4):
        set_budget(5, dana.pk, product=f"product-{number}")
    assert queries() == none


# --- A refusal is explained -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (
            {"period": "day"},
            "Your budget for all products is used up: 3 of 3 credits today. Until 31 Jan 2020, 00:00 UTC, "
            "Misar products can't charge you. You can raise or remove it.",
        ),
        (
            {"product": "blog", "period": "month"},
            "Your budget for MisarBlog is used up: 3 of 3 credits this month. Until 1 Feb 2020, 00:00 UTC, "
            "MisarBlog can't charge you. You can raise or remove it.",
        ),
        (
            {"product": "blog", "set_by": "product"},
            "The budget that MisarBlog has set for you is used up: 3 of 3 credits today. Until 31 Jan 2020, "
            "00:00 UTC, MisarBlog can't charge you. Only MisarBlog can raise it.",
        ),
    ],
)
def test_a_budget_that_is_used_up_says_until_when_and_what_to_do(clock, browser, dana, budget, sentence):
    set_budget(3, dana.pk, **budget)
    with pytest.raises(BudgetSpent):
        charge(dana, 1)
    answer = browser.get("/wallet")
    assert sentence in words(answer)
    assert table(answer, BUDGETS)[0][0].endswith("Used up")


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (
            {},
            "Your budget for all products is 0 credits, so Misar products can't charge you. You can change "
            "or remove it.",
        ),
        (
            {"product": "mail", "set_by": "product"},
            "The budget that MisarMail has set for you is 0 credits, so MisarMail can't charge you. Only "
            "MisarMail can change it.",
        ),
    ],
)
def test_a_budget_of_nothing_is_explained(browser, dana, budget, sentence):
    set_budget(0, dana.pk, **budget)
    assert sentence in words(browser.get("/wallet"))


def test_a_budget_that_runs_out_is_named_from_its_alert_on(clock, browser, dana):
    facts = {"user_id": dana.pk, "set_by": "product", "product": "blog", "period": "day", "credits": 5}
    budgets.set_budget(**facts, alert_percent=61)
    assert "See your budgets" not in words(browser.get("/wallet"))
    budgets.set_budget(**facts, alert_percent=60)
    answer = browser.get("/wallet")
    assert (
        "The budget that MisarBlog has set for you is 60% spent: 3 of 5 credits today, until 31 Jan 2020, "
        "00:00 UTC."
    ) in words(answer)
    assert table(answer, BUDGETS)[0][0] == "MisarBlog, each day 60% spent"


def test_a_new_period_starts_again(clock, browser, dana):
    set_budget(3, dana.pk)
    clock.advance(days=1)
    answer = browser.get("/wallet")
    assert table(answer, BUDGETS)[0][:5] == ["All products, each day", "You", "0 of 3", "3", "1 Feb 2020"]
    assert "used up" not in words(answer)


def test_only_some_budgets_are_named_and_the_others_are_counted(browser, dana):
    for number in range(5):
        set_budget(0, dana.pk, product=f"product-{number}")
    shown = words(browser.get("/wallet"))
    assert "Your budget for product-2 is 0 credits" in shown
    assert "Your budget for product-3 is 0 credits" not in shown
    assert "See 2 more and all your budgets" in shown


# --- Setting, changing and removing ---------------------------------------------------------------------


def test_a_user_sets_a_budget_over_all_products(browser, dana):
    answer = send(browser, credits="1,000", period="month")
    assert (answer.status_code, answer["Location"]) == (303, "/wallet")
    assert budgets_of(dana) == [("user", "", "month", 1000, 3)]
    assert "Saved. Misar products can charge you at most 1,000 credits each month." in words(
        browser.get("/wallet")
    )


@pytest.mark.parametrize(("text", "credits"), [("0", 0), ("007", 7), ("1,000,000,000", MILLIARD), (" 5 ", 5)])
def test_credits_are_read_as_users_write_them(browser, dana, text, credits):
    assert send(browser, product="blog", credits=text).status_code == 303
    assert budgets_of(dana) == [("user", "blog", "day", credits, 3)]


def test_a_budget_of_nothing_says_what_it_does(browser):
    answer = send(browser, product="blog", credits="0")
    assert said(answer) == ["Saved. MisarBlog can't charge you until you change or remove this budget."]


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"credits": ""}, "Enter a number of credits; 0 stops all charges."),
        ({"credits": "1,000,000,001"}, "The maximum is 1,000,000,000."),
        ({"credits": "9" * 16}, "The maximum is 1,000,000,000."),
        ({"credits": "-1"}, "Enter a whole number of credits, such as 40."),
        ({"credits": "1.5"}, "Enter a whole number of credits, such as 40."),
        ({"credits": "٣"}, "Enter a whole number of credits, such as 40."),
        ({"period": "year"}, "Choose one of these periods."),
        ({"period": ""}, "Choose a period."),
        ({"product": "unknown"}, "Choose one of these products."),
    ],
)
def test_a_wrong_value_is_refused_beside_its_field(browser, dana, form, sentence):
    answer = send(browser, **form)
    assert answer.status_code == 400
    shown = words(answer)
    assert "Not saved. Please fix these fields:" in shown
    assert shown.count(sentence) == 2  # At the top, and beside the field.
    assert budgets_of(dana) == []


def test_the_products_are_those_of_the_users_wallet(browser, dana, give):
    give(dana.pk, 5)
    grant(dana.pk, 5, product="reach")
    hold(dana.pk, 1, product="chat")
    set_budget(5, dana.pk, set_by="product", product="mail")
    html = browser.get("/wallet/budget").content.decode()
    options = [option.partition(">")[2].partition("<")[0] for option in html.split("<option")[1:]]
    assert options == ["All products", "chat", "MisarBlog", "MisarMail", "MisarReach"]


def test_a_budget_is_changed_on_a_page_that_names_it(browser, dana):
    set_budget(20, dana.pk, product="blog")
    address = link_of(browser, "Change: MisarBlog, each day")
    assert address == "/wallet/budget?of=blog&amp;period=day"
    page = browser.get("/wallet/budget?of=blog&period=day")
    assert "Change a budget MisarBlog, each day: 3 credits spent, 17 left until" in words(page)
    assert 'value="20"' in page.content.decode()
    assert "<select" not in page.content.decode()
    answer = send(browser, product="blog", credits="30", query="?of=blog&period=day")
    assert answer["Location"] == "/wallet"
    assert budgets_of(dana) == [("user", "blog", "day", 30, 3)]


def link_of(browser, label):
    html = browser.get("/wallet").content.decode()
    return html.partition(f'aria-label="{label}"')[0].rpartition('href="')[2].partition('"')[0]


def test_setting_it_again_changes_it(browser, dana):
    for credits in ("20", "20", "25"):
        assert send(browser, credits=credits).status_code == 303
    assert budgets_of(dana) == [("user", "", "day", 25, 3)]


def test_a_product_s_budget_has_no_page_to_change_it(browser, dana):
    set_budget(5, dana.pk, set_by="product", product="blog")
    assert "Set a budget" in words(browser.get("/wallet/budget?of=blog&period=day"))


def test_a_user_removes_a_budget(browser, dana):
    set_budget(3, dana.pk)
    answer = browser.post("/wallet/budget/remove", {"product": "", "period": "day"})
    assert (answer.status_code, answer["Location"]) == (303, "/wallet")
    assert said(answer) == ["Removed. What Misar products can charge you each day is no longer limited."]
    assert budgets_of(dana) == []
    charge(dana, 1)


@pytest.mark.parametrize(
    "form",
    [
        {"product": "blog", "period": "day"},  # The product has set this one.
        {"product": "", "period": "month"},
        {"product": "", "period": "year"},
        {"product": "\0", "period": "day"},
        {"product": "b" * 101, "period": "day"},
        {},
    ],
)
def test_only_ones_own_budgets_are_removed(browser, dana, form):
    set_budget(5, dana.pk, set_by="product", product="blog")
    set_budget(5, "usr_other", period="month")
    answer = browser.post("/wallet/budget/remove", form)
    assert said(answer) == ["This budget was removed already."]
    assert Budget.objects.count() == 2


def test_the_way_back_to_a_product_is_kept(browser, dana):
    there = "?returnTo=https%3A%2F%2Fwww.misar.io%2Fx&range=90d"
    assert link(browser.get(f"/wallet{there}"), "Set a budget") == f"/wallet/budget{there}"
    assert send(browser, query=there)["Location"] == f"/wallet{there}"
    answer = browser.post(f"/wallet/budget/remove{there}", {"product": "", "period": "day"})
    assert answer["Location"] == f"/wallet{there}"


def test_there_are_at_most_fifty(browser, dana, monkeypatch):
    monkeypatch.setattr(budgets, "BUDGETS_MAX", 1)
    set_budget(5, dana.pk)
    answer = send(browser, product="blog")
    assert answer.status_code == 409
    assert "You have 50 budgets, the most there can be. Remove one first." in words(answer)
    assert send(browser, credits="6").status_code == 303


def test_too_many_changes_must_wait(browser, dana, monkeypatch, one_window):
    monkeypatch.setattr(budget_views, "BUDGETS_PER_MINUTE", 1)
    assert send(browser).status_code == 303
    answer = send(browser, credits="30")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1
    assert "You changed budgets too often. Nothing was saved; please wait a minute." in words(answer)
    assert [budget[3] for budget in budgets_of(dana)] == [20]


def test_a_user_without_a_wallet_sets_a_budget():
    user = UserFactory.create()
    assert send(browser_of(user), credits="5").status_code == 303
    assert budgets_of(user) == [("user", "", "day", 5, 0)]
    shown = words(browser_of(user).get("/wallet"))
    assert "No credits yet" in shown
    assert "All products, each day" in shown


# --- Who may ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/wallet/budget", "/wallet/budget/remove"])
def test_only_signed_in_users_may(client, path):
    for answer in (client.get(path), client.post(path, {"product": "", "period": "day", "credits": "5"})):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in?next=/wallet/budget")
    assert not Budget.objects.exists()


@pytest.mark.parametrize("path", ["/wallet/budget", "/wallet/budget/remove"])
def test_another_site_may_not_send_the_forms(dana, path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(dana)
    set_budget(5, dana.pk)
    answer = browser.post(path, {"product": "", "period": "day", "credits": "7"})
    assert answer.status_code == 403
    assert budgets_of(dana) == [("user", "", "day", 5, 3)]


def test_removing_is_no_page(browser):
    assert browser.get("/wallet/budget/remove").status_code == 405


def test_no_cache_on_the_way_keeps_the_form(browser):
    assert "no-store" in browser.get("/wallet/budget")["Cache-Control"]
