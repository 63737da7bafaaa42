"""The wallet's page as a user works with it: the pace, the sum on the button, filters that apply at once."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import expect

from tests.wallet.past import charged, gave_back, wrote

USER = "usr_demo"
LOOKS = [("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark")]


@pytest.fixture
def month_of_spending(transactional_db):
    """30 days ago 1,000 credits came in; since then, 40 articles and 2,000 emails were charged."""
    now = timezone.now()
    with transaction.atomic():
        wrote(1000, now - timedelta(days=29, hours=23), user_id=USER)
        for day in range(20, 0, -1):
            article: Any = {"feature": "blog.article.generate", "product": "blog", "count": 2}
            charge = charged(2, now - timedelta(days=day), user_id=USER, **article)
        gave_back(charge, 1, now - timedelta(hours=3))
        charged(2, now - timedelta(hours=2), count=2, user_id=USER)


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_a_user_reads_the_pace_and_filters_without_a_button(open_browser, month_of_spending, size, scheme):
    ada = open_browser(size=size, scheme=scheme)
    ada.comes_signed_in()
    pace = ada.page.locator("dl.pace")
    expect(pace.get_by_text("at the pace of the last 30 days")).to_be_visible()
    expect(pace.get_by_text("More than a year")).to_be_visible()  # 959 credits, 41 of them in 30 days.
    spending = ada.page.locator("[aria-labelledby=spending] tbody").first.inner_text()
    assert "MisarBlog" in spending
    assert "2,000 emails" in spending
    assert "Send emails (per 1,000)" in spending

    expect(ada.page.get_by_role("button", name="Show")).to_have_count(0)
    product = ada.page.get_by_label("Product", exact=True)
    product.focus()
    product.select_option("mail")
    ada.page.wait_for_url("**product=mail**")
    rows = ada.page.locator("#history table tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Send emails × 2,000")
    assert ada.page.evaluate("document.activeElement.name") == "product"
    assert "product=mail" in ada.page.get_by_role("link", name="Download CSV").get_attribute("href")
    expect(ada.page.locator("[data-count]")).to_have_text("The history shows the entries that match.")
    ada.is_never_stopped_by_the_page()
    ada.page.reload()
    expect(product).to_have_value("mail")
    expect(rows).to_have_count(1)

    ada.follows("Clear filters")
    expect(rows).to_have_count(23)
    ada.page.get_by_label("To", exact=True).fill("2026-01-01")
    assert ada.sees("No entries match these filters.")
    ada.page.get_by_label("From", exact=True).fill("2026-01-02")
    assert ada.sees("The last day comes before the first.")
    expect(ada.page.get_by_label("To", exact=True)).to_have_attribute("aria-invalid", "true")
    assert ada.page.evaluate("scrollX") == 0
    ada.is_never_stopped_by_the_page()


def test_back_undoes_a_filter_and_forward_repeats_it(open_browser, month_of_spending):
    ada = open_browser()
    ada.comes_signed_in()
    rows = ada.page.locator("#history table tbody tr")
    product = ada.page.get_by_label("Product", exact=True)
    product.select_option("mail")
    ada.page.wait_for_url("**product=mail**")
    product.select_option("blog")
    ada.page.wait_for_url("**product=blog**")
    ada.page.go_back()
    expect(rows).to_have_count(1)
    expect(product).to_have_value("mail")
    ada.page.go_back()
    expect(rows).to_have_count(23)
    expect(product).to_have_value("")
    ada.page.go_forward()
    expect(rows).to_have_count(1)
    expect(product).to_have_value("mail")
    # A jump within the page is no step of the filter.
    ada.page.evaluate("location.hash = 'days'")
    ada.page.go_back()
    expect(product).to_have_value("mail")
    ada.is_never_stopped_by_the_page()


def test_a_choice_counts_also_before_the_script_is_there(open_browser, month_of_spending):
    ada = open_browser()
    ada.comes_signed_in()
    page, asked = ada.page, []
    page.route("**/filters*.js", lambda route: asked.append(route))
    with page.expect_request("**/filters*.js"):
        page.goto(ada.site.at("/wallet"), wait_until="domcontentloaded")
    page.get_by_label("Product", exact=True).select_option("mail")
    page.get_by_label("From", exact=True).fill("2026-01-01")
    expect(page.locator("#history table tbody tr")).to_have_count(23)
    [script] = asked
    script.continue_()
    expect(page.locator("#history table tbody tr")).to_have_count(1)
    page.wait_for_url("**product=mail&from=2026-01-01**")


def test_filters_work_without_javascript(open_browser, month_of_spending):
    ada = open_browser(javascript=False)
    ada.comes_signed_in()
    ada.page.get_by_label("Product", exact=True).select_option("mail")
    ada.presses("Show")
    expect(ada.page.locator("#history table tbody tr")).to_have_count(1)


def test_a_filter_of_a_user_who_was_signed_out_leads_to_the_sign_in(open_browser, month_of_spending):
    ada = open_browser(may_fail=True)
    ada.comes_signed_in()
    ada.page.context.clear_cookies()
    ada.page.get_by_label("Product", exact=True).select_option("mail")
    ada.page.wait_for_url("**/sign-in?next=**product%3Dmail**")


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_the_button_names_the_sum(open_browser, size, scheme):
    ada = open_browser(size=size, scheme=scheme)
    ada.comes_signed_in()
    button = ada.page.locator("form.top-up button")
    expect(button).to_have_text("Pay $25")
    ada.chooses("$50")
    expect(button).to_have_text("Pay $50")
    ada.chooses("Other")
    expect(button).to_have_text("Pay")
    for written, words in [
        ("1,000", "Pay $1,000"),
        ("$40", "Pay $40"),
        ("40.00", "Pay $40"),
        ("12.50", "Pay"),
    ]:
        ada.types("Other amount", written)
        expect(button).to_have_text(words)
    ada.chooses("$50")
    ada.presses("Pay $50")
    ada.page.get_by_role("button", name="Pay $50.00").wait_for()
    ada.page.go_back()
    ada.page.get_by_role("button", name="Pay $50").wait_for()
    assert button.get_attribute("aria-disabled") is None


@pytest.mark.parametrize(("path", "place"), [("/wallet", "#history"), ("/wallet/statements", "main .table")])
def test_a_time_says_the_users_own(open_browser, month_of_spending, path, place):
    ada = open_browser()
    ada.comes_signed_in()
    if path == "/wallet/statements":
        ada.goes_to(path)
        ada.page.locator("main li a").first.click()
    time = ada.page.locator(f"{place} time").first
    time.hover()
    expect(time).to_have_attribute("title", re.compile(", your time$"))


def test_no_button_that_needs_javascript_is_shown_without_it(open_browser, month_of_spending):
    ada = open_browser(javascript=False)
    ada.comes_signed_in()
    ada.goes_to("/wallet/statements")
    ada.page.locator("main li a").first.click()
    button = ada.page.locator("[data-print]")
    expect(button).to_have_count(1)
    expect(button).to_be_hidden()


def test_no_page_without_a_history_loads_the_library_of_charts(ada):
    loaded = []
    ada.page.on("request", lambda request: loaded.append(request.url))
    ada.comes_signed_in()
    ada.page.wait_for_load_state("networkidle")
    assert ada.sees("No credits yet")
    assert not [url for url in loaded if "uplot" in url.lower() or "chart" in url]
