"""A creator's way through the overview: first steps, first figures, chosen days, and what to look at."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts import api_keys
from accounts.models import User
from demo.made_up_past import clock_at
from monetization import sponsors, subscriptions, tips

LOOKS = [("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark")]


@pytest.fixture
def creator(site):
    return User.objects.create_user("usr_demo", name="Dana Demo", email="dana@example.com", plan_id="pro")


def earn(creator, *, ago: int) -> None:
    """A tip with a Stripe ID and one without, and a subscription."""
    with clock_at(timezone.now() - timedelta(days=ago)):
        for stripe_id in (f"pi_{ago}", None):
            tips.record(
                creator=creator, amount_cents=1000, currency="USD", name="Alex", stripe_payment_id=stripe_id
            )
        subscriptions.record(
            creator=creator,
            subscriber_email=f"r{ago}@example.com",
            plan="monthly",
            amount_cents=799,
            currency="USD",
        )


def double_book(creator) -> None:
    """Two placements in one position that begin later and share two days."""
    now = timezone.now()
    for day in (3, 5):
        sponsors.place(
            creator=creator,
            position="header",
            sponsor_name="Acme",
            active_from=now + timedelta(days=day),
            active_until=now + timedelta(days=day + 4),
            logo_url="https://acme.example/logo.png",
            target_url="https://acme.example/",
            price_cents=25000,
            currency="USD",
        )


def reads_a_definition(dana) -> None:
    """It opens inside the screen, moves nothing, and closes with Escape."""
    button = dana.page.locator("[popovertarget=definition_mrr]")
    button.scroll_into_view_if_needed()
    before = button.bounding_box()
    button.click()
    definition = dana.page.locator("#definition_mrr")
    expect(definition).to_be_visible()
    assert button.bounding_box() == before
    box, width = definition.bounding_box(), dana.page.viewport_size["width"]
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert dana.finds() == []
    dana.page.keyboard.press("Escape")
    expect(definition).to_be_hidden()
    expect(button).to_be_focused()


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_a_new_creator_ticks_off_steps_and_then_reads_figures(open_browser, creator, size, scheme):
    dana = open_browser(size=size, scheme=scheme)
    dana.comes_signed_in(going_to="/dashboard")
    done = dana.page.locator(".steps .is-done")
    expect(done).to_have_count(0)
    expect(dana.page.locator("[data-figure]")).to_have_count(0)
    dana.page.get_by_text("Record your first tip").click()
    assert dana.sees("Authorization: Bearer YOUR_KEY")
    dana.is_never_stopped_by_the_page()

    api_keys.issue(owner=creator, name="My site", scopes=["monetization"])
    earn(creator, ago=40)
    earn(creator, ago=2)
    double_book(creator)
    dana.page.reload()
    expect(dana.page.locator(".welcome")).to_have_count(0)  # All four steps are done.
    # Two tips of 10.00 USD at 4 %. The placements begin later.
    expect(dana.page.locator("[data-figure=earned]")).to_have_text("19.20 USD")
    dana.page.locator("figure[data-chart] canvas").first.wait_for()
    dana.is_never_stopped_by_the_page()

    reads_a_definition(dana)

    # Bookkeeping is folded, is dismissed, and stays away for other days too.
    assert dana.page.locator(".attention").inner_text().index("Money at risk") >= 0
    expect(dana.page.get_by_text("no Stripe ID")).to_be_hidden()
    dana.page.locator(".bookkeeping > summary").click()
    expect(dana.page.get_by_text("2 tips have no Stripe ID.")).to_be_visible()
    dana.presses("Dismiss until there is something new")
    assert dana.sees("It comes back when there is something new.")
    expect(dana.page.locator(".bookkeeping")).to_have_count(0)

    # Chosen days, with an error first.
    dana.page.get_by_text("Custom range").click()
    now = timezone.now()
    dana.page.get_by_label("First day").fill((now - timedelta(days=30)).date().isoformat())
    dana.page.get_by_label("Last day").fill((now - timedelta(days=41)).date().isoformat())
    dana.page.get_by_role("button", name="Show").click()
    assert dana.sees("The last day comes before the first.")
    dana.is_never_stopped_by_the_page()
    dana.page.get_by_label("First day").fill((now - timedelta(days=45)).date().isoformat())
    dana.page.get_by_label("Last day").fill((now - timedelta(days=35)).date().isoformat())
    dana.page.get_by_role("button", name="Show").click()
    dana.page.wait_for_url("**from=**")
    expect(dana.page.locator("[data-figure=tips]")).to_have_text("2")
    expect(dana.page.locator(".bookkeeping")).to_have_count(0)
    dana.is_never_stopped_by_the_page()


def test_without_javascript_the_overview_says_all_the_same(open_browser, creator):
    earn(creator, ago=1)
    dana = open_browser(size="phone", javascript=False)
    dana.comes_signed_in(going_to="/dashboard?range=7d")
    dana.page.locator("[popovertarget=definition_earned]").click()
    expect(dana.page.locator("#definition_earned")).to_be_visible()
    dana.page.keyboard.press("Escape")
    expect(dana.page.locator("#definition_earned")).to_be_hidden()
    dana.presses("Dismiss these steps")
    assert dana.is_at("/dashboard?range=7d")
    expect(dana.page.locator(".welcome")).to_have_count(0)
    expect(dana.page.locator("figure table").first).to_be_visible()
