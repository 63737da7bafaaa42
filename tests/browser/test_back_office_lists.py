"""The lists of the back-office as staff use them: the menu, the find box, filters, sorting, and a phone."""

import re

import pytest
from playwright.sync_api import expect

from monetization import tips
from tests.factories import StaffFactory, UserFactory

ENTRIES, TIPS = "/admin/wallet/entry/", "/admin/monetization/tip/"
LOOKS = [("desktop", "light"), ("phone", "dark")]
# Adds up how far the parts of a page move while it loads, as Chromium measures it.
MEASURE_SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) window.shifts += each.value;
}).observe({ type: "layout-shift", buffered: true });
"""
# Waits until the page was painted, and until the observer has reported.
SHIFTS = (
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(window.shifts))))"
)
SHIFT_MAX = 0.02
LIST_HEIGHT_MAX = 3500


@pytest.fixture
def creator(site, give):
    """A creator with more tips than a page shows, one of them refunded, and some entries."""
    creator = UserFactory.create(misar_id="usr_ada", name="Ada Lovelace", email="ada@example.com")
    for number in range(60):
        tip = tips.record(creator=creator, amount_cents=500 + number, email=f"reader{number}@example.com")
    tips.refund(creator=creator, tip_id=tip.pk, amount_cents=tip.gross_cents, key="k", actor="user:x")
    for number in range(3):
        give("usr_ada", 10 + number)
    return creator


@pytest.fixture
def comes_in(open_browser):
    def come(**options):
        person = open_browser(**options)
        person.comes_signed_in(StaffFactory.create(misar_id="staff:grace"), going_to="/admin/")
        return person

    return come


def first_cells(person, column):
    return person.page.locator(f"#result_list tbody .field-{column}").all_inner_texts()


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_staff_filter_sort_and_open_a_list(comes_in, creator, look):
    size, scheme = look
    grace = comes_in(size=size, scheme=scheme)
    if size == "phone":
        grace.presses("Menu")
    grace.page.get_by_role("navigation", name="Menu").get_by_role("link", name="Tips", exact=True).click()
    assert grace.is_at(TIPS)
    assert grace.sees("60 tips · ")
    grace.is_never_stopped_by_the_page()
    if size == "phone":
        height = grace.page.evaluate("document.documentElement.scrollHeight")
        assert height < LIST_HEIGHT_MAX
        grace.presses("Filters")
    currency = grace.page.get_by_label("Currency")
    currency.focus()
    currency.select_option("EUR")
    assert grace.sees("No rows match.")
    assert currency.evaluate("each => each === document.activeElement")
    currency.select_option("USD")
    assert grace.sees("60 tips · ")
    grace.page.wait_for_url("**currency__exact=USD**")
    grace.is_never_stopped_by_the_page()
    if size == "phone":
        grace.presses("Done")
    else:
        grace.follows("Gross")
        grace.page.wait_for_url(re.compile("o=-2"))
        assert first_cells(grace, "gross")[:2] == ["5.59 USD", "5.58 USD"]
        assert grace.page.locator("[aria-sort=descending]").inner_text().startswith("Gross")
        assert first_cells(grace, "refunded")[:2] == ["Refunded", ""]
    assert "currency__exact=USD" in grace.page.url
    # On a phone the whole row is the link: it lies over the figure.
    grace.page.locator("#result_list tbody").locator(".in-figure" if size == "phone" else "th a").first.click(
        force=size == "phone"
    )
    grace.page.wait_for_url(re.compile(r"/change/$"))
    copy = grace.page.get_by_role("button", name="Copy: ID")
    grace.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=grace.site.address)
    copy.click()
    assert grace.sees("Copied.")
    assert grace.page.evaluate("navigator.clipboard.readText()").startswith("tip_")
    grace.is_never_stopped_by_the_page()


def test_the_one_search_box_finds_everywhere_or_in_the_list(comes_in, creator):
    grace = comes_in()
    grace.goes_to(TIPS)
    expect(grace.page.get_by_role("search")).to_have_count(1)
    box = grace.page.locator("#find_anywhere")
    box.fill("reader7@example.com")
    grace.presses("In tips")
    assert grace.sees("1 tip · ")
    assert "reader7" not in grace.page.url
    expect(box).to_have_value("reader7@example.com")
    grace.page.get_by_role("link", name="Remove: found by email address").click()
    assert grace.sees("60 tips · ")
    box.fill("usr_ada")
    box.press("Enter")
    assert grace.is_at("/admin/user/usr_5Fada/")


def test_a_phone_without_scripts_has_the_menu_and_the_filters(comes_in, creator):
    grace = comes_in(size="phone", javascript=False)
    grace.presses("Menu")
    grace.page.get_by_role("navigation", name="Menu").get_by_role("link", name="Entries").click()
    assert grace.is_at(ENTRIES)
    grace.presses("Filters")
    grace.page.get_by_label("Kind").select_option("adjustment")
    grace.presses("Show")
    grace.page.wait_for_url(re.compile("kind__exact=adjustment"))
    expect(grace.page.get_by_role("button", name="Filters · 1", exact=True)).to_be_visible()
    grace.presses("Filters · 1")
    grace.follows("Clear filters")
    assert grace.sees("3 entries")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_no_page_moves_while_it_loads(comes_in, creator, size):
    grace = comes_in(size=size)
    grace.page.add_init_script(MEASURE_SHIFTS)
    tip = f"{TIPS}{creator.tips.first().pk.replace('_', '_5F')}/change/"
    for path in ("/admin/", ENTRIES, TIPS, tip, "/admin/user/usr_5Fada/", "/admin/find/"):
        grace.goes_to(path)
        grace.page.wait_for_load_state("networkidle")
        assert grace.page.evaluate(SHIFTS) < SHIFT_MAX, path
