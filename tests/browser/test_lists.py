"""A creator works through the lists: totals, sorting, filters that apply at once, search, copying an id."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import User
from demo.made_up_past import clock_at
from monetization import subscriptions, tips
from monetization.models import Subscription

LOOKS = [("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark")]
PHONE_HEIGHT_MAX = 3500  # Of 50 rows in two lines each, with what is above and below them.
LONG = "a-very-long-address-that-has-no-room-in-a-line@mail.example.com"


@pytest.fixture
def creator(site):
    return User.objects.create_user("usr_demo", name="Dana Demo", email="dana@example.com", plan_id="pro")


@pytest.fixture
def records(creator):
    """60 tips, three of them refunded, and 60 subscriptions, a third past due and two of the plan gold."""
    now = timezone.now()
    for number in range(60):
        with clock_at(now - timedelta(days=60 - number)):
            tip = tips.record(
                creator=creator,
                amount_cents=100 + number,
                currency="USD",
                name=f"Reader {number}",
                email=LONG if number == 59 else f"r{number}@example.com",
                message="Thank you for each of your letters " * 3,
                stripe_payment_id=f"pi_3OaBcDeFgHiJkLmNo{number}",
            )
            made = subscriptions.record(
                creator=creator,
                subscriber_email=LONG if number == 59 else f"r{number}@example.com",
                plan="Gold yearly" if number in (7, 8) else "Supporters who like to read every letter",
                amount_cents=500 + number,
                currency="USD",
            )
        if number % 3 == 0:
            subscriptions.change(creator=creator, subscription_id=made.pk, status="past_due")
        if number >= 57:
            tips.refund(
                tip_id=tip.pk, amount_cents=tip.gross_cents if number == 59 else 50, key="k", actor="x"
            )


def unfold(page):
    """Open the filters, which are folded on a phone."""
    fold = page.get_by_role("button", name=re.compile("^Filters"))
    if fold.is_visible():
        expect(page.locator("#filter_fields")).to_be_hidden()
        expect(fold).to_have_attribute("aria-expanded", "false")
        fold.click()
        expect(fold).to_have_attribute("aria-expanded", "true")


def sort_by(page, head, choice):
    """Sort by the head of a column; on a phone, where there are no heads, by the field."""
    select = page.get_by_label("Sort by", exact=True)
    if select.is_visible():
        select.select_option(label=choice)
    else:
        page.locator(".sorts").get_by_text(re.compile(f"^{head}")).click()


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_a_creator_sorts_filters_and_searches_their_tips(open_browser, creator, records, size, scheme):
    dana = open_browser(size=size, scheme=scheme)
    dana.comes_signed_in(creator, going_to="/dashboard/tips")
    rows, totals = dana.page.locator("table.tips tbody tr"), dana.page.locator(".totals tbody td")
    expect(rows).to_have_count(50)
    expect(totals.nth(1)).to_have_text("60")
    expect(dana.page.get_by_role("button", name="Show")).to_have_count(0)
    expect(rows.first).to_contain_text("Refunded")
    expect(rows.nth(1)).to_contain_text("0.50 refunded")
    assert "pi_3OaB" not in dana.reads()
    if size == "phone":
        assert dana.page.evaluate("document.documentElement.scrollHeight") < PHONE_HEIGHT_MAX
    dana.is_never_stopped_by_the_page()

    sort_by(dana.page, "Gross", "Largest first")
    dana.page.wait_for_url("**/tips?sort=-amount")
    expect(rows.first).to_contain_text("1.59 USD")
    sort_by(dana.page, "Gross", "Smallest first")
    dana.page.wait_for_url("**/tips?sort=amount")
    expect(rows.first).to_contain_text("1.00 USD")
    if size == "desktop":
        expect(dana.page.locator("th[aria-sort=ascending]")).to_have_text("Gross")
        assert dana.page.evaluate("document.activeElement.innerText") == "Gross"
    dana.page.go_back()
    expect(rows.first).to_contain_text("1.59 USD")

    unfold(dana.page)
    more = dana.page.get_by_text("More filters")
    if dana.page.locator(".more-filters[open]").count() == 0:
        more.click()
    dana.page.get_by_label("Refunded", exact=True).select_option("yes")
    dana.page.wait_for_url("**/tips?**refunded=yes**")
    expect(rows).to_have_count(3)
    expect(totals.nth(1)).to_have_text("3")
    expect(dana.page.locator("[data-count]")).to_have_text("3 rows in the list, largest first.")
    assert "refunded=yes&sort=-amount" in dana.page.get_by_role("link", name="Download CSV").get_attribute(
        "href"
    )
    dana.page.get_by_label("Email, name or Stripe ID", exact=True).fill("R58@Example.com")
    dana.page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    assert "example.com" not in dana.page.url.lower()
    assert dana.page.locator("[data-part=narrowed]").text_content() == " · 2"
    dana.is_never_stopped_by_the_page()

    rows.locator("a").first.click()
    dana.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dana.page.get_by_role("button", name="Copy the Stripe ID").click()
    expect(dana.page.get_by_text("Copied.")).to_be_visible()
    assert dana.page.evaluate("navigator.clipboard.readText()") == "pi_3OaBcDeFgHiJkLmNo58"
    expect(dana.page.locator(".id-short").nth(1)).to_have_text("pi_3OaB…No58")
    dana.is_never_stopped_by_the_page()


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_a_creator_sorts_and_searches_their_subscriptions(open_browser, creator, records, size, scheme):
    dana = open_browser(size=size, scheme=scheme)
    dana.comes_signed_in(creator, going_to="/dashboard/subscriptions")
    rows, totals = dana.page.locator("table.subscriptions tbody tr"), dana.page.locator(".totals tbody td")
    assert [totals.nth(n).inner_text() for n in range(1, 5)] == ["60", "40", "20", "0"]
    if size == "phone":
        assert dana.page.evaluate("document.documentElement.scrollHeight") < PHONE_HEIGHT_MAX
    dana.is_never_stopped_by_the_page()
    sort_by(dana.page, "Status", "Past due first")
    dana.page.wait_for_url("**/subscriptions?sort=-state")
    expect(rows.first).to_contain_text("Past due")
    dana.follows("Older")
    dana.page.wait_for_url("**cursor=**")
    expect(rows).to_have_count(10)
    assert {row.strip() for row in dana.page.locator("table.subscriptions .tag").all_inner_texts()} == {
        "Active"
    }
    unfold(dana.page)
    dana.page.get_by_label("Email, plan or Stripe ID", exact=True).fill("gold")
    dana.page.keyboard.press("Enter")
    expect(rows).to_have_count(2)
    sort_by(dana.page, "MRR", "Largest MRR first")
    expect(rows.first).to_contain_text("5.08 USD")
    assert "gold" not in dana.page.url
    dana.is_never_stopped_by_the_page()
    dana.page.set_viewport_size({"width": 320, "height": 700})
    dana.is_never_stopped_by_the_page()


def test_lists_work_without_javascript(open_browser, creator, records):
    dana = open_browser(size="phone", javascript=False)
    dana.comes_signed_in(creator, going_to="/dashboard/subscriptions")
    expect(dana.page.get_by_role("button", name=re.compile("^Filters"))).to_be_hidden()
    dana.page.get_by_label("Sort by", exact=True).select_option(label="Largest MRR first")
    dana.page.get_by_label("Status", exact=True).select_option("past_due")
    dana.presses("Show")
    assert dana.is_at("/dashboard/subscriptions?status=past_due&sort=-mrr")
    expect(dana.page.locator("table.subscriptions tbody tr")).to_have_count(20)
    dana.page.get_by_label("Email, plan or Stripe ID", exact=True).fill("r9@")
    dana.presses("Show")
    expect(dana.page.locator("table.subscriptions tbody tr")).to_have_count(1)
    expect(dana.page.get_by_label("Status", exact=True)).to_have_value("past_due")
    # The whole id is there to be copied, and no button that cannot copy it.
    dana.page.locator("table.subscriptions tbody a").first.click()
    assert (
        dana.page.locator("#subscription_id").inner_text()
        == Subscription.objects.get(reader="r9@example.com").pk
    )
    expect(dana.page.get_by_role("button", name=re.compile("^Copy"))).to_be_hidden()
