"""During maintenance every page has a notice with the reason, and so has the answer to a form."""

import pytest

from accounts import maintenance
from tests.factories import StaffFactory

WHY = "We move to a larger server. Back at 14:00 UTC."


@pytest.fixture
def paused(site):
    maintenance.begin(WHY)
    yield
    maintenance.remember(None)


@pytest.mark.parametrize("look", [("desktop", "light"), ("phone", "dark")], ids=" ".join)
def test_pages_say_why_and_so_does_the_answer_to_a_form(open_browser, look, give, paused):
    size, scheme = look
    ada = open_browser(size=size, scheme=scheme, may_fail=True)  # Chromium reports the 503.
    give("usr_demo", 25)
    ada.comes_signed_in()
    for path in ("/wallet", "/dashboard", "/account"):
        ada.goes_to(path)
        assert ada.sees(f"Changes are paused. {WHY}")
        ada.is_never_stopped_by_the_page()
    ada.goes_to("/wallet")
    ada.page.locator("form[action*=top-up] button").first.click()
    assert ada.sees(f"{WHY} Nothing was changed.")
    ada.is_never_stopped_by_the_page()
    ada.follows("To your wallet")
    assert ada.is_at("/wallet")
    grace = open_browser(size=size, scheme=scheme)
    grace.comes_signed_in(StaffFactory.create(misar_id="staff:grace"), going_to="/admin/")
    assert grace.sees("Changes are paused since")
    grace.is_never_stopped_by_the_page()
    grace.goes_to("/admin/wallet/entry/")
    assert grace.sees(f"Changes are paused. {WHY}")
    grace.is_never_stopped_by_the_page()
