"""A user signs in through the issuer's page, and out again."""

import pytest

from accounts.models import User


def test_a_user_signs_in_and_out(ada, site, issuer_address):
    ada.goes_to("/wallet")
    assert ada.is_at("/sign-in?next=/wallet")
    ada.presses("Continue with Misar")
    ada.page.wait_for_url(lambda url: url.startswith(issuer_address))
    ada.page.get_by_role("button", name="Dana Demo").click()
    assert ada.is_at("/wallet")
    assert ada.sees("Dana Demo")
    ada.presses("Sign out")
    assert ada.is_at("/signed-out")
    ada.goes_to("/wallet")
    assert ada.is_at("/sign-in?next=/wallet")


def test_back_to_the_issuer_and_again_leads_on(ada, issuer_address):
    ada.goes_to("/account?x=1")
    ada.presses("Continue with Misar")
    for _ in range(3):
        ada.page.wait_for_url(lambda url: url.startswith(issuer_address))
        ada.page.get_by_role("button", name="Dana Demo").click()
        assert ada.is_at("/account?x=1")
        assert "dana@example.com" in ada.reads()
        ada.page.go_back()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_sign_in_of_another_browser_fails_with_a_way_on(open_browser, size, scheme):
    ada = open_browser(size=size, scheme=scheme, may_fail=True)
    ada.goes_to("/sign-in/misar/callback?code=x&state=forged")
    assert ada.sees("Signing in did not work.")
    ada.follows("To your wallet")
    assert ada.is_at("/sign-in?next=/wallet")


def test_a_user_who_cancels_at_the_issuer_is_not_signed_in(open_browser, site):
    ada = open_browser(may_fail=True)
    ada.goes_to("/account")
    ada.presses("Continue with Misar")
    ada.follows("Cancel and go back")
    assert ada.sees("You did not sign in.")
    assert not User.objects.exists()


def test_it_works_without_javascript(open_browser):
    ada = open_browser(javascript=False, size="phone")
    ada.signs_in(going_to="/account")
    assert ada.is_at("/account")
    assert "dana@example.com" in ada.reads()
    ada.presses("Sign out")
    assert ada.is_at("/signed-out")


def test_a_new_user_is_made_at_the_first_sign_in(ada):
    ada.goes_to("/wallet")
    ada.presses("Continue with Misar")
    ada.types("Misar ID", "usr_<b>new</b>")
    ada.types("Name", "<img src=x onerror=alert(1)>")
    ada.presses("Sign in")
    assert ada.is_at("/wallet")
    assert ada.sees("<img src=x onerror=alert(1)>")
    assert User.objects.get().misar_id == "usr_<b>new</b>"


def test_mails_can_be_switched_off(ada):
    ada.signs_in(going_to="/account")
    receipts = ada.page.get_by_role("checkbox", name="Receipts")
    receipts.uncheck()
    ada.presses("Save emails")
    assert ada.sees("Saved.")
    assert not receipts.is_checked()
    assert User.objects.get().mails_off == ["receipt"]
