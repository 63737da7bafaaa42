"""After a form was saved, the page begins at the notice that says so, with a script or without."""

import pytest
from playwright.sync_api import expect


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_notice_of_a_success_has_the_focus_once(open_browser, size, javascript):
    ada = open_browser(size=size, javascript=javascript)
    ada.comes_signed_in(going_to="/account")
    expect(ada.page.locator(":focus")).to_have_count(0)
    ada.page.get_by_role("button", name="Save emails").click()
    notice = ada.page.locator(".notices:focus")
    notice.wait_for()
    expect(notice.get_by_role("status")).to_have_text("Saved.")
    ada.page.keyboard.press("Tab")
    expect(ada.page.locator("main :focus")).to_have_count(1)  # From there, the keyboard goes on in the page.
    ada.goes_to("/account")
    expect(ada.page.locator(".notices")).to_have_count(0)
    expect(ada.page.locator(":focus")).to_have_count(0)


@pytest.mark.parametrize("javascript", [True, False])
def test_the_errors_of_a_form_have_the_focus(open_browser, javascript):
    ada = open_browser(javascript=javascript, may_fail=True)
    ada.comes_signed_in()
    ada.page.get_by_text("Other", exact=True).click()
    ada.types("Other amount", "12.50")
    ada.page.locator("form.top-up button").click()
    ada.page.locator(".notice-bad:focus").wait_for()
    ada.page.keyboard.press("Tab")
    expect(ada.page.locator(".notice-bad a:focus")).to_have_count(1)  # It leads to the field.
