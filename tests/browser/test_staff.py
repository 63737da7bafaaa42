"""Staff sign in with a password and a code, and the back-office has the same security policy."""

import pytest
from playwright.sync_api import expect

from tests.codes import code_of
from tests.factories import StaffFactory

PASSWORD = "correct horse battery"


@pytest.fixture
def member(site):
    """A member of staff; `first_day` for one without a second factor."""

    def make(*, first_day=False):
        staff = StaffFactory.create(misar_id="staff:grace", with_second_factor=not first_day)
        staff.set_password(PASSWORD)
        staff.save()
        return staff

    return make


@pytest.mark.parametrize("look", [("desktop", "light"), ("phone", "dark")], ids=" ".join)
def test_staff_sign_in_with_a_code_and_walk_the_back_office(open_browser, look, member, give):
    size, scheme = look
    ada = open_browser(size=size, scheme=scheme)
    member()
    give("usr_1", 25)
    ada.goes_to("/admin/")
    ada.types("Name", "grace")
    ada.types("Password", PASSWORD)
    ada.presses("Sign in")
    ada.types("Code", code_of(good_for=10))
    ada.presses("Continue")
    assert ada.is_at("/admin/")
    # test_back_office.py covers the lists and the actions.
    for path in ("wallet/wallet/usr_5F1/change/", "accounts/servicekey/add/", "password_change/"):
        ada.goes_to(f"/admin/{path}")
        expect(ada.page.locator("#site-name")).to_have_count(1)
        ada.is_never_stopped_by_the_page()
    ada.presses("Sign out")
    assert ada.is_at("/signed-out")


def test_the_first_day_begins_with_the_second_factor(ada, member):
    member(first_day=True)
    ada.goes_to("/sign-in/staff")
    ada.types("Name", "grace")
    ada.types("Password", PASSWORD)
    ada.presses("Sign in")
    assert ada.is_at("/account/second-factor")
    assert ada.page.get_by_alt_text("A QR code").evaluate("image => image.naturalWidth") > 0
    ada.goes_to("/wallet")
    assert ada.is_at("/account/second-factor")
    ada.page.get_by_text("I can't scan it").click()
    secret = ada.page.locator("details code").inner_text()
    ada.page.locator("input[name=code]").fill(code_of(secret, good_for=10))
    ada.presses("Turn on")
    assert ada.is_at("/account/recovery-codes")
    expect(ada.page.locator(".codes code")).to_have_count(10)
    ada.is_never_stopped_by_the_page()
    ada.follows("I have saved them")
    assert ada.is_at("/admin/")
