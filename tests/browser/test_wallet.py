"""Topping up as a user does it: to Stripe's page and back, and what the wallet shows of it."""

from datetime import timedelta

import pytest
import requests
from playwright.sync_api import expect

from accounts.mail import outbox
from sandbox.environment import mail_directory
from tests.chromium import SIZES
from tests.deployment import eventually
from tests.wallet.granted import grant, set_budget
from tests.wallet.held import hold
from wallet.books.funds import available_of
from wallet.models import StripeRefund, TopUp

USER = "usr_demo"
STATE = "**/wallet/top-up/state?**"
# The right edge of the text itself: a cell may be wider than its text.
RIGHT_EDGES = """cells => cells.map(cell => {
  const text = document.createRange();
  text.selectNodeContents(cell);
  return text.getBoundingClientRect().right;
})"""


@pytest.fixture
def at_the_checkout(ada):
    """Signed in, and before Stripe's page for $25."""
    ada.comes_signed_in()
    assert ada.sees("No credits yet")
    ada.chooses("$25")
    ada.presses("Pay $25")
    ada.page.wait_for_url("**/c/pay/*")
    return ada


def test_a_user_tops_up_and_sees_the_credits(at_the_checkout):
    ada = at_the_checkout
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    assert ada.page.locator(".figure").first.inner_text().startswith("25")
    assert available_of(USER) == 25
    assert ada.is_at("/wallet")  # A script has taken the news out of the address.
    ada.page.reload()
    assert "were added" not in ada.reads()
    assert available_of(USER) == 25
    assert TopUp.objects.count() == 1


def test_a_declined_card_moves_nothing_and_can_be_tried_again(at_the_checkout):
    ada = at_the_checkout
    ada.presses("Decline")
    assert ada.sees("Nothing was charged.")
    assert available_of(USER) == 0
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")


def test_a_payment_that_comes_later_is_on_its_way_until_it_arrives(at_the_checkout, site):
    ada = at_the_checkout
    ada.presses("Pay later")
    assert ada.sees("is on its way")
    assert available_of(USER) == 0
    site.sandbox.control(f"sessions/{TopUp.objects.get().stripe_session_id}/settle")
    assert ada.sees("25 credits were added.")
    assert "on its way" not in ada.reads()


def test_a_payment_that_comes_later_and_fails_is_named(at_the_checkout, site):
    ada = at_the_checkout
    ada.presses("Pay later")
    assert ada.sees("is on its way")
    site.sandbox.control(f"sessions/{TopUp.objects.get().stripe_session_id}/fail")
    assert ada.sees("Nothing was charged")
    assert available_of(USER) == 0


def test_a_payment_whose_webhook_is_lost_arrives_because_stripe_is_asked(at_the_checkout, site):
    ada = at_the_checkout
    site.sandbox.control("settings", drop_webhooks=True)
    # Hold the script's question back: after its answer, the page with these words is gone.
    ada.page.route(STATE, lambda question: None)
    ada.presses("Pay $25.00")
    assert ada.sees("Adding your 25 credits. This usually takes a few seconds.")
    ada.page.unroute(STATE)  # The question goes on.
    assert ada.sees("25 credits were added.")
    assert available_of(USER) == 25


def test_the_page_waits_for_the_webhook_and_does_not_believe_the_redirect(at_the_checkout, site):
    ada = at_the_checkout
    site.sandbox.control("settings", drop_webhooks=True, api_failure=500)
    ada.presses("Pay $25.00")
    assert ada.sees("Adding your")
    with ada.page.expect_response(STATE) as state:
        pass
    assert state.value.json() == {"state": "waiting"}
    assert available_of(USER) == 0
    sends_the_webhook(site.sandbox)
    assert ada.sees("25 credits were added.")


def sends_the_webhook(sandbox):
    """Let Stripe answer again, and send the event that was lost."""
    sandbox.control("settings", drop_webhooks=False, api_failure=None)
    session_id = TopUp.objects.get().stripe_session_id
    events = requests.get(f"{sandbox.address}/_sandbox/events", {"session": session_id}, timeout=120)
    (event,) = events.json()["data"]
    sandbox.control(f"events/{event['id']}/resend")


def test_leaving_the_checkout_charges_nothing(at_the_checkout):
    ada = at_the_checkout
    ada.follows("Leave")
    assert ada.sees("Payment not completed. If you did pay")
    assert available_of(USER) == 0


def test_without_javascript_the_page_looks_again_by_itself(open_browser, site):
    ada = open_browser(javascript=False)
    ada.comes_signed_in()
    ada.chooses("Other")
    ada.types("Other amount", "12")
    ada.presses("Pay")  # The button can't follow the choice, so it names no sum.
    assert ada.sees("Pay $12.00")
    site.sandbox.control("settings", drop_webhooks=True, api_failure=500)
    ada.presses("Pay $12.00")
    assert ada.sees("Adding your")
    sends_the_webhook(site.sandbox)
    assert ada.sees("12 credits were added.")


def test_a_double_click_opens_one_checkout(ada):
    ada.comes_signed_in()
    ada.clicks_twice("Pay $25")
    ada.page.wait_for_url("**/c/pay/*")
    assert TopUp.objects.count() == 1


def test_back_and_forth_charges_once(at_the_checkout):
    ada = at_the_checkout
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    assert ada.is_at("/wallet")  # The script changes the address, which could end a step back.
    ada.page.go_back()  # Stripe's page, which knows that it was paid.
    ada.page.wait_for_load_state("networkidle")  # Chromium gives up a step back while the one before goes on.
    ada.page.go_back()  # The form as it was sent.
    ada.page.get_by_role("button", name="Pay $25").wait_for()
    ada.goes_to("/wallet")
    assert available_of(USER) == 25


def test_a_stale_page_sent_again_after_paying_pays_nothing_again(open_browser, site):
    ada = open_browser(may_fail=True)
    ada.comes_signed_in()
    stale = ada.page.context.new_page()
    form = "document.querySelector('form.top-up')"
    key = ada.page.evaluate(f"{form}.querySelector('[name=key]').value")
    ada.presses("Pay $25")
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    stale.goto(site.at("/wallet"))
    # The tab that stayed open still has the first form, with its key.
    stale.evaluate(f"{form}.querySelector('[name=key]').value = '{key}'")
    stale.get_by_role("button", name="Pay $25").click()
    stale.get_by_text("paid already").wait_for()
    assert available_of(USER) == 25
    assert TopUp.objects.count() == 1


def test_the_way_back_to_a_product_is_kept_through_the_payment(ada):
    ada.comes_signed_in(going_to="/wallet?returnTo=https://www.misar.blog/editor%3Fa%3D1")
    link = ada.page.get_by_role("link", name="Back to MisarBlog").first
    expect(link).to_have_attribute("href", "https://www.misar.blog/editor?a=1")
    ada.presses("Pay $25")
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    link = ada.page.get_by_role("link", name="Back to MisarBlog").first
    expect(link).to_have_attribute("href", "https://www.misar.blog/editor?a=1")


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
        ada.chooses("Other")
        ada.types("Other amount", amount)
        ada.page.locator("[data-pays]").click()
        ada.page.locator("#id_own_amount_error").wait_for()
        expect(ada.page.get_by_label("Other amount")).to_have_value(amount)
    assert not TopUp.objects.exists()


# --- A payment that is taken back -----------------------------------------------------------------------


@pytest.fixture
def mailbox(site, settings):
    """Let the service's mails reach the sandbox's mailbox, as in `make run`."""
    settings.MAIL_ENABLED = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = mail_directory(site.sandbox.data_dir)


def what_happened(ada):
    """The rows of the history: what it was, and the balance after it."""
    # Not its inner text: a browser that has not laid out the history yet says that it has none.
    rows = ada.page.locator("table.ledger tbody tr").all()
    cells = [(row.locator(".what").text_content(), row.locator(".left").text_content()) for row in rows]
    return [tuple(" ".join(text.split()) for text in each) for each in cells]


def test_a_user_sees_a_debt_and_pays_it_off(
    at_the_checkout, open_browser, site, mailbox, article_rate, as_service
):
    ada = at_the_checkout
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    assert as_service.deduct(USER, count=20, idempotency_key="articles").json()["allowed"] is True

    session_id = TopUp.objects.get().stripe_session_id
    site.sandbox.control(f"sessions/{session_id}/dispute")
    eventually(lambda: available_of(USER) == -20)
    ada.goes_to("/wallet")
    assert ada.sees("You owe 20 credits. The first $20 of your next top-up will settle this.")
    assert ada.sees("Until then, Misar products can't charge you.")
    assert ada.sees("Your bank disputed your payment of $25.00")
    ada.is_never_stopped_by_the_page()
    on_a_phone = open_browser(size="phone", scheme="dark")
    on_a_phone.comes_signed_in()
    assert on_a_phone.sees("You owe 20 credits.")
    on_a_phone.is_never_stopped_by_the_page()
    refused = as_service.deduct(USER, idempotency_key="one more").json()
    assert (refused["allowed"], refused["balanceBefore"]) == (False, -20)

    assert ada.page.get_by_role("radio", name="$25").is_checked()  # It settles the debt.
    ada.presses("Pay $25")
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added. Your balance is 5.")
    assert ada.sees("20 of them paid what you owed. Your debt is settled")
    assert "You owe" not in ada.reads()
    assert what_happened(ada) == [
        ("Top-up", "5"),
        ("Payment disputed", "−20"),
        ("Generate an article × 20", "5"),
        ("Top-up", "25"),
    ]
    assert as_service.deduct(USER, idempotency_key="one more").json()["allowed"] is True

    assert outbox.send_due(10).sent == 3
    ada.page.goto(f"{site.sandbox.address}/mail")
    for subject in ("Receipt: $25.00 for 25 credits", "Payment disputed: 25 credits taken back"):
        assert ada.sees(subject)
    ada.page.get_by_role("link", name="Payment disputed").click()
    mail = ada.page.frame_locator("iframe")
    mail.get_by_text("You owe 20 credits.").wait_for()
    expect(mail.get_by_role("link", name="Pay what you owe")).to_have_attribute("href", site.at("/wallet"))


def test_credits_of_a_refund_that_failed_are_seen_to_come_back(at_the_checkout, site):
    ada = at_the_checkout
    ada.presses("Pay $25.00")
    assert ada.sees("25 credits were added.")
    session_id = TopUp.objects.get().stripe_session_id
    refund = site.sandbox.control(f"sessions/{session_id}/refund", amount=1000, status="pending")
    # Stripe reports the charge and the refund in two events. The page names the refund after the second.
    eventually(lambda: available_of(USER) == 15 and StripeRefund.objects.exists())
    ada.goes_to("/wallet")
    assert ada.sees("A refund of $10.00 of your payment of $25.00")
    assert ada.sees("Its credits are already taken back.")
    site.sandbox.control(f"refunds/{refund['id']}/fail")
    eventually(lambda: available_of(USER) == 25)
    ada.goes_to("/wallet")
    assert "A refund of" not in ada.reads()
    assert what_happened(ada) == [
        ("Refund failed, credits returned", "25"),
        ("Payment refunded", "15"),
        ("Top-up", "25"),
    ]


@pytest.mark.parametrize("size", SIZES)
def test_the_total_of_what_is_held_stands_below_its_credits(open_browser, article_rate, give, size):
    ada = open_browser(size=size)
    ada.comes_signed_in()
    give(USER, 40)
    for count in (6, 11):
        hold(USER, count)
    ada.page.reload()
    edges = ada.page.locator("#held td.number").evaluate_all(RIGHT_EDGES)
    assert len(edges) == 3
    assert max(edges) - min(edges) < 1


# --- Grants and budgets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_a_user_sets_a_budget_meets_it_and_raises_it(
    open_browser, article_rate, give, as_service, size, scheme
):
    ada = open_browser(size=size, scheme=scheme)
    ada.comes_signed_in()
    give(USER, 40)
    assert as_service.deduct(USER, count=3, idempotency_key="first").json()["allowed"] is True
    ada.page.reload()
    assert ada.sees("You have no budget.")
    ada.follows("Set a budget")
    ada.page.get_by_label("For", exact=True).select_option("blog")
    ada.page.get_by_text("Each day", exact=True).click()
    ada.types("Limit, in credits", "5")
    ada.is_never_stopped_by_the_page()
    ada.presses("Save")
    assert ada.sees("Saved. MisarBlog can charge you at most 5 credits each day.")
    row = ada.page.locator("table.budgets tbody tr")
    expect(row).to_contain_text("MisarBlog, each day")
    expect(row).to_contain_text("3 of 5")

    refused = as_service.deduct(USER, count=3, idempotency_key="second").json()
    assert (refused["allowed"], refused["balanceBefore"]) == (False, 2)
    assert as_service.deduct(USER, count=2, idempotency_key="third").json()["allowed"] is True
    ada.page.reload()
    assert ada.sees("Your budget for MisarBlog is used up: 5 of 5 credits today.")
    expect(row).to_contain_text("Used up")
    ada.is_never_stopped_by_the_page()

    ada.follows("Change: MisarBlog, each day")
    assert ada.sees("5 credits spent, 0 left")
    ada.types("Limit, in credits", "1,000")
    ada.presses("Save")
    assert ada.sees("Saved. MisarBlog can charge you at most 1,000 credits each day.")
    assert "used up" not in ada.reads()
    ada.presses("Remove: MisarBlog, each day")
    assert ada.sees("Removed. What MisarBlog can charge you each day is no longer limited.")
    assert ada.sees("You have no budget.")


def test_a_wrong_budget_is_refused_beside_the_field(open_browser):
    ada = open_browser(may_fail=True)  # The refused form is a 400.
    ada.comes_signed_in(going_to="/wallet/budget")
    ada.types("Limit, in credits", "1.5")
    ada.presses("Save")
    ada.page.locator("#id_credits_error").wait_for()
    expect(ada.page.get_by_label("Limit, in credits")).to_have_value("1.5")
    ada.is_never_stopped_by_the_page()


@pytest.mark.parametrize("size", SIZES)
def test_a_user_sees_what_is_granted_and_until_when(open_browser, article_rate, give, size):
    ada = open_browser(size=size)
    ada.comes_signed_in()
    give(USER, 40)
    grant(USER, 10, lasts=timedelta(days=3), reason="Welcome")
    grant(USER, 20, lasts=timedelta(days=90), product="", reason="Sorry for the outage")
    hold(USER, 4)
    set_budget(50, USER, set_by="product", product="blog", period="month")
    ada.page.reload()
    assert ada.sees("Granted credits")
    rows = [row.inner_text() for row in ada.page.locator("#grants tbody tr").all()]
    assert "Welcome" in rows[0]
    assert "10 of 10" in rows[0]
    assert "Misar" in rows[1]
    split = ada.page.locator("table.split tbody tr").first.inner_text()
    assert split.split() == ["Granted", "30", "4", "26"]
    edges = ada.page.locator("#grants td.amount, #grants tfoot td.number").evaluate_all(RIGHT_EDGES)
    assert max(edges) - min(edges) < 1
    expect(ada.page.locator("table.budgets").get_by_role("button")).to_have_count(0)  # The product's own.
    ada.is_never_stopped_by_the_page()
