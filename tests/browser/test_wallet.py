"""Topping up as a user does it: to Stripe's page and back, and what the wallet shows of it."""

import pytest
import requests

from wallet.books import ledger
from wallet.models import TopUp

USER = "usr_demo"


@pytest.fixture
def at_the_checkout(ada):
    """Signed in, and before Stripe's page for $25."""
    ada.comes_signed_in()
    assert ada.sees("No credits yet")
    ada.page.get_by_text("$25", exact=True).click()
    ada.presses("Continue to payment")
    ada.page.wait_for_url("**/c/pay/*")
    return ada


def test_a_user_tops_up_and_sees_the_credits(at_the_checkout):
    ada = at_the_checkout
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    assert ada.page.locator(".figure").first.inner_text().startswith("25")
    assert ledger.balance_of(USER) == 25
    ada.page.reload()
    assert "were added" not in ada.reads()
    assert ledger.balance_of(USER) == 25
    assert TopUp.objects.count() == 1


def test_a_declined_card_moves_nothing_and_can_be_tried_again(at_the_checkout):
    ada = at_the_checkout
    ada.presses("Decline")
    assert ada.sees("Nothing was charged.")
    assert ledger.balance_of(USER) == 0
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")


def test_a_payment_that_comes_later_is_on_its_way_until_it_arrives(at_the_checkout, site):
    ada = at_the_checkout
    ada.presses("Pay later")
    assert ada.sees("is on its way")
    assert ledger.balance_of(USER) == 0
    site.sandbox.control(f"sessions/{TopUp.objects.get().stripe_session_id}/settle")
    assert ada.sees("25 credits were added.")
    assert "on its way" not in ada.reads()


def test_a_payment_that_comes_later_and_fails_is_named(at_the_checkout, site):
    ada = at_the_checkout
    ada.presses("Pay later")
    assert ada.sees("is on its way")
    site.sandbox.control(f"sessions/{TopUp.objects.get().stripe_session_id}/fail")
    assert ada.sees("Nothing was charged")
    assert ledger.balance_of(USER) == 0


def test_the_page_waits_for_the_webhook_and_does_not_believe_the_redirect(at_the_checkout, site):
    ada = at_the_checkout
    site.sandbox.control("settings", drop_webhooks=True)
    ada.presses("Pay $25.00")
    assert ada.sees("Adding your")
    assert ledger.balance_of(USER) == 0
    site.sandbox.control("settings", drop_webhooks=False)
    session_id = TopUp.objects.get().stripe_session_id
    (event,) = requests.get(
        f"{site.sandbox.address}/_sandbox/events", {"session": session_id}, timeout=120
    ).json()["data"]
    site.sandbox.control(f"events/{event['id']}/resend")
    assert ada.sees("25 credits were added.")


def test_leaving_the_checkout_charges_nothing(at_the_checkout):
    ada = at_the_checkout
    ada.follows("Leave")
    assert ada.sees("Payment not completed. If you did pay")
    assert ledger.balance_of(USER) == 0


def test_without_javascript_the_page_looks_again_by_itself(open_browser, site):
    ada = open_browser(javascript=False)
    ada.comes_signed_in()
    site.sandbox.control("settings", webhook_delay_seconds=3)
    ada.page.get_by_text("Other", exact=True).click()
    ada.types("Other amount", "12")
    ada.presses("Continue to payment")
    ada.presses("Pay $12.00")
    assert ada.sees("Adding your")
    assert ada.sees("12 credits were added.")


def test_a_double_click_opens_one_checkout(ada):
    ada.comes_signed_in()
    ada.page.get_by_role("button", name="Continue to payment").dblclick()
    ada.page.wait_for_url("**/c/pay/*")
    assert TopUp.objects.count() == 1


def test_back_and_forth_charges_once(at_the_checkout):
    ada = at_the_checkout
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    ada.page.go_back()  # Stripe's page, which knows that it was paid.
    ada.page.go_back()  # The form as it was sent.
    ada.page.get_by_role("button", name="Continue to payment").wait_for()
    ada.goes_to("/wallet")
    assert ledger.balance_of(USER) == 25


def test_a_stale_page_sent_again_after_paying_pays_nothing_again(open_browser, site):
    ada = open_browser(may_fail=True)
    ada.comes_signed_in()
    stale = ada.page.context.new_page()
    form = "document.querySelector('form.top-up')"
    key = ada.page.evaluate(f"{form}.querySelector('[name=key]').value")
    ada.presses("Continue to payment")
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    stale.goto(site.at("/wallet"))
    # The tab that stayed open still has the first form, with its key.
    stale.evaluate(f"{form}.querySelector('[name=key]').value = '{key}'")
    stale.get_by_role("button", name="Continue to payment").click()
    stale.get_by_text("paid already").wait_for()
    assert ledger.balance_of(USER) == 25
    assert TopUp.objects.count() == 1


def test_the_way_back_to_a_product_is_kept_through_the_payment(ada):
    ada.comes_signed_in(going_to="/wallet?returnTo=https://www.misar.blog/editor%3Fa%3D1")
    link = ada.page.get_by_role("link", name="Back to misar.blog").first
    assert link.get_attribute("href") == "https://www.misar.blog/editor?a=1"
    ada.presses("Continue to payment")
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    link = ada.page.get_by_role("link", name="Back to misar.blog").first
    assert link.get_attribute("href") == "https://www.misar.blog/editor?a=1"


@pytest.mark.parametrize(
    "hostile",
    [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "https://misar.io.evil.example",
        "/\\evil.example",
    ],
)
def test_a_way_back_to_somewhere_else_is_not_shown(ada, hostile):
    ada.comes_signed_in()
    ada.goes_to(f"/wallet?returnTo={hostile}")
    assert "Back to" not in ada.reads()
    assert "evil.example" not in ada.page.content()


def test_amounts_out_of_bounds_are_refused_beside_the_field(open_browser):
    ada = open_browser(may_fail=True)  # The refused form is a 400.
    ada.comes_signed_in()
    for amount in ("9", "100001", "12.50", "ten", "-5"):
        ada.page.get_by_text("Other", exact=True).click()
        ada.types("Other amount", amount)
        ada.presses("Continue to payment")
        ada.page.locator("#id_own_amount_error").wait_for()
        assert ada.page.get_by_label("Other amount").input_value() == amount
    assert not TopUp.objects.exists()
