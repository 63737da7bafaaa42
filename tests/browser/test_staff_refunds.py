"""Staff refund a top-up: they ask, see it pending, and see it settle or fail; and they see disputes."""

import os
import re

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from playwright.sync_api import expect

from accounts import users
from tests.backoffice.refunds import spend
from tests.deployment import eventually
from tests.factories import StaffFactory
from wallet.books.funds import available_of
from wallet.models import RefundRequest, StripeRefund, TopUp

LOOKS = [("desktop", "light"), ("phone", "dark")]
USER = "usr_demo"


@pytest.fixture
def paid(open_browser):
    """A user who has bought 25 credits in the sandbox; the top-up."""
    dana = users.arrive(misar_id=USER, name="Dana Demo", email="dana@example.com")
    person = open_browser()
    person.comes_signed_in(dana)
    person.chooses("$25")
    person.presses("Pay $25")
    person.presses("Pay $25.00")
    assert person.sees("25 credits were added.")
    return TopUp.objects.get()


@pytest.fixture
def bea(open_browser):
    """A staff member with the role billing opens a browser of this size and colours."""

    def come(size="desktop", scheme="light"):
        member = StaffFactory.create(misar_id="staff:bea", name="Bea", is_superuser=False)
        member.groups.add(Group.objects.get(name="billing"))
        person = open_browser(size=size, scheme=scheme)
        person.comes_signed_in(member, going_to="/admin/")
        return person

    return come


def page_of(topup):
    return f"/admin/wallet/topup/{quote(topup.pk)}/change/"


def sees_after_a_while(person, text):
    """Reload the page until it has the text: Stripe's report arrives a moment later."""
    for _ in range(300):
        if text in person.reads():
            return True
        person.page.wait_for_timeout(200)
        person.page.reload()
    return False


def asks_for(person, dollars, *, in_debt=False):
    """Fill in the form of a refund, see what it will change, and send it; `in_debt`: it is refused first."""
    person.follows("Refund this top-up")
    person.is_never_stopped_by_the_page()
    person.page.get_by_label(re.compile("^Amount in US dollars")).fill(dollars)
    person.types("Reason", "They were charged for a plan that we no longer have")
    shoot(person, "form")
    person.presses("Preview")
    if not in_debt:
        assert person.sees("once Stripe reports it")
        person.presses("Refund this top-up")


def shoot(person, name):
    place = os.environ.get("SHOTS")
    if place:
        size = person.page.viewport_size["width"]
        person.page.screenshot(path=f"{place}/{name}-{size}.png", full_page=True)


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_a_refund_is_pending_and_then_settles(paid, bea, site, look):
    site.sandbox.control("settings", refunds_pending=True)
    person = bea(*look)
    person.goes_to(page_of(paid))
    asks_for(person, "10.00")
    assert person.sees("Stripe refunds $10.00.")
    assert sees_after_a_while(person, "Refund of $10.00 pending")
    person.is_never_stopped_by_the_page()
    shoot(person, "pending")
    assert available_of(USER) == 15
    refund = StripeRefund.objects.get()
    assert RefundRequest.objects.get().stripe_refund_id == refund.pk
    site.sandbox.control(f"refunds/{refund.pk}/succeed")
    assert sees_after_a_while(person, "Refunded $10.00")
    assert "pending" not in person.reads()
    shoot(person, "settled")
    person.goes_to("/admin/user/usr_5Fdemo/")
    assert person.sees("Refunded $10.00")
    assert re.search(r"15\s*credits", person.reads())
    person.is_never_stopped_by_the_page()
    shoot(person, "user")


@pytest.mark.parametrize("look", LOOKS[:1], ids=" ".join)
def test_a_refund_that_fails_gives_the_credits_back(paid, bea, site, look):
    site.sandbox.control("settings", refunds_pending=True)
    person = bea(*look)
    person.goes_to(page_of(paid))
    asks_for(person, "")
    assert sees_after_a_while(person, "Refund of $25.00 pending")
    assert available_of(USER) == 0
    expect(person.page.get_by_role("link", name="Refund this top-up", exact=True)).to_have_count(0)
    site.sandbox.control(f"refunds/{StripeRefund.objects.get().pk}/fail")
    assert sees_after_a_while(person, "Refund of $25.00 failed")
    assert "Reinstatement" in person.reads()
    assert available_of(USER) == 25
    shoot(person, "failed")
    asks_for(person, "5")  # It can be refunded again.
    assert person.sees("Stripe refunds $5.00.")


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_staff_confirm_a_debt_and_the_user_then_owes(paid, bea, look):
    spend(20, USER)
    person = bea(*look)
    person.goes_to(page_of(paid))
    asks_for(person, "25", in_debt=True)
    said = "This refund takes back 25 credits. The user has 5, so it leaves a debt of 20 credits."
    assert person.sees(said)
    person.is_never_stopped_by_the_page()
    shoot(person, "debt")
    assert not RefundRequest.objects.exists()
    person.page.get_by_label("Refund it anyway, and leave this debt").check()
    person.presses("Preview")
    assert person.sees("once Stripe reports it")
    person.presses("Refund this top-up")
    assert person.sees("Stripe refunds $25.00.")
    assert sees_after_a_while(person, "Refunded $25.00")
    assert available_of(USER) == -20
    person.goes_to("/admin/")
    assert person.sees("1 user owes 20 credits in total.")
    shoot(person, "overview")


@pytest.mark.parametrize("look", LOOKS[1:], ids=" ".join)
def test_stripe_does_not_answer_and_the_same_form_is_sent_again(paid, bea, site, look):
    site.sandbox.control("settings", api_failure=429)
    person = bea(*look)
    person.goes_to(page_of(paid))
    asks_for(person, "10")
    assert person.sees("Stripe has not answered")
    person.is_never_stopped_by_the_page()
    shoot(person, "unanswered")
    site.sandbox.control("settings", api_failure=None)
    person.goes_to(page_of(paid))
    shoot(person, "asking")
    person.page.get_by_role("link", name=re.compile("^Ask Stripe again")).click()
    person.types("Reason", "Stripe answers again")
    shoot(person, "again")
    person.presses("Ask Stripe again")
    assert person.sees("Stripe refunds $10.00.")
    person.goes_to(page_of(paid))
    assert sees_after_a_while(person, "Refunded $10.00")
    assert available_of(USER) == 15


@pytest.mark.parametrize("look", LOOKS[:1], ids=" ".join)
def test_staff_follow_a_dispute_from_the_overview(paid, bea, site, look):
    site.sandbox.control(f"sessions/{paid.stripe_session_id}/dispute")
    # Stripe reports the dispute and then the money in two events.
    eventually(lambda: available_of(USER) == 0)
    person = bea(*look)
    assert person.sees("1 dispute needs an answer.")
    person.follows("1 dispute needs an answer.")
    person.is_never_stopped_by_the_page()
    shoot(person, "disputes")
    person.page.locator("#result_list tbody a").first.click()
    assert person.sees("The bank took the money")
    person.is_never_stopped_by_the_page()
    shoot(person, "dispute")
    person.page.get_by_title(paid.pk, exact=True).first.click()
    assert person.sees("Disputed $25.00, money withdrawn")
    person.is_never_stopped_by_the_page()
    shoot(person, "topup-disputed")
    for name in ("striperefund", "refundrequest", "stripeevent"):
        person.goes_to(f"/admin/wallet/{name}/")
        person.is_never_stopped_by_the_page()
