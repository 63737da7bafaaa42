"""Finance at the end of a month: from the menu to a figure's entries, at both widths, light and dark."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import expect

from foundation.calendar import add_months
from tests.chromium import SIZES
from tests.factories import StaffFactory
from tests.wallet.past import charged, gave_back, topped_up
from wallet.books import days, months
from wallet.models import PayoutReading, StripeMovement, StripePayout


@pytest.fixture
def last_month(monkeypatch):
    """Credits bought, used and given back in the month before this one, and what Stripe did; all closed."""
    monkeypatch.setattr(days, "SETTLING", timedelta(0))  # So it can be closed in the first hour of a month.
    this_month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = add_months(this_month.date(), -1)
    noon = this_month - timedelta(days=5)
    with transaction.atomic():
        topup = topped_up(25, noon - timedelta(days=2), "usr_ada")
        charge = charged(3, noon, user_id="usr_ada", feature="blog.article.generate", product="blog")
        gave_back(charge, 1, noon)
    days.close_days()
    months.close_months()
    PayoutReading.objects.create(since=noon - timedelta(days=20), until=timezone.now())
    intent = topup.topup.payment_intent_id
    facts = {"currency": "usd", "created_at": noon - timedelta(days=2)}
    StripeMovement.objects.create(
        id="txn_1", category="charge", amount=2500, fee=103, payment_intent_id=intent, **facts
    )
    StripePayout.objects.create(
        id="po_1Pq9xYzAbCdEf", amount=500, arrives_at=noon, status="paid", is_automatic=False, **facts
    )
    return month


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_finance_reads_a_closed_month(open_browser, last_month, size, scheme):
    member = StaffFactory.create(misar_id="staff:finance", is_superuser=False)
    member.groups.add(Group.objects.get(name="billing"))
    fay = open_browser(size=size, scheme=scheme)
    fay.comes_signed_in(member, going_to="/admin/")
    if size == "phone":
        fay.presses("Menu")
    fay.page.locator("a[href='/admin/month-end/'] >> visible=true").first.click()
    expect(fay.page.locator("h1")).to_have_text("Month end")
    rows = fay.page.locator(".month-table tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).not_to_contain_text("Not closed")
    looks_right(fay)
    rows.nth(1).locator("a").first.click()
    expect(fay.page.locator("h1")).to_contain_text(f"{last_month:%B %Y}")
    fay.page.locator("summary", has_text="Payouts (1)").click()
    text = fay.page.locator("#content-main").inner_text()
    for said in (
        "These figures stay as they are.",
        "−3",
        "+1",
        "blog.article.generate",
        "23.97",
        "Not itemized",
    ):
        assert said in text, said
    looks_right(fay)
    with fay.page.expect_download() as download:
        fay.page.get_by_role("link", name="Figures as CSV").click()
    assert download.value.suggested_filename == f"month-{last_month:%Y-%m}.csv"
    fay.page.locator("tr:has-text('Charges, those of holds included.') a").click()
    expect(fay.page.locator("#result_list tbody tr")).to_have_count(1)


def looks_right(person):
    """No violation of axe-core's rules, and no sideways scroll."""
    assert person.finds() == []
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
