"""The dashboard in a browser: its creator uses every page, and a stranger tries the same URLs."""

import re
from datetime import timedelta

import pytest
import requests
from django.utils import timezone
from playwright.sync_api import expect

from accounts import api_keys
from accounts.models import ApiKey, User
from demo.made_up_past import clock_at
from monetization import sponsors, subscriptions, tips
from monetization.models import Refund, Sponsor, Subscription, Tip
from tests.deployment import eventually

CREATOR = "usr_demo"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def creator(site):
    return User.objects.create_user(CREATOR, name="Dana Demo", email="dana@example.com", plan_id="pro")


@pytest.fixture
def records(creator):
    """Some weeks of a creator: tips in two currencies, three subscriptions, three placements."""
    now = timezone.now()
    for days_ago in (40, 20, 9, 8, 3, 1, 0):
        with clock_at(now - timedelta(days=days_ago)):
            tip = tips.record(
                creator=creator,
                amount_cents=500 + days_ago,
                currency="EUR" if days_ago == 8 else "USD",
                name=HOSTILE if days_ago == 3 else "Alex",
                email="alex@example.com",
                message="Thank you\nfor all of it " + HOSTILE,
                stripe_payment_id=f"pi_{days_ago}",
            )
    with clock_at(now - timedelta(days=30)):
        for plan, reader in (
            ("Monthly", "a@example.com"),
            ("Yearly", "b@example.com"),
            ("Plus", "c@example.com"),
        ):
            subscriptions.record(
                creator=creator,
                subscriber_email=reader,
                plan=plan,
                amount_cents=999,
                currency="USD",
            )
    late = Subscription.objects.get(subscriber_email="a@example.com")
    subscriptions.change(creator=creator, subscription_id=late.pk, status="past_due")
    for name, position in (("Wayland", "header"), (HOSTILE, "header"), ("Globex", "footer")):
        sponsors.place(
            creator=creator,
            position=position,
            sponsor_name=name,
            active_from=now + timedelta(days=2),
            active_until=now + timedelta(days=9),
            logo_url="https://acme.example/logo.png",
            target_url="https://acme.example/",
            price_cents=25000,
            currency="USD",
        )
    return tip


@pytest.fixture
def dana(ada, records):
    ada.comes_signed_in(going_to="/dashboard")
    return ada


def test_the_overview_shows_what_was_earned_and_what_to_do(dana):
    page_text = dana.reads()
    assert "1 subscription is past due" in page_text
    assert "platform fee 4" in page_text
    assert "double-booked" in page_text.lower()
    expect(dana.page.locator("figure[data-chart] canvas")).to_have_count(3)
    dana.follows("7 days")
    assert "range=7d" in dana.page.url
    dana.follows("EUR")
    assert "range=7d" in dana.page.url
    assert "currency=EUR" in dana.page.url
    expect(dana.page.locator(".figures")).not_to_contain_text("USD")


# How many pixels of the first chart have the colour that refunds are drawn in.
PIXELS_OF_REFUNDS = """
() => {
  const canvas = document.querySelector("figure[data-chart=bars] canvas");
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--chart-2").trim();
  const [red, green, blue] = colour.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] === red && data[at + 1] === green && data[at + 2] === blue && data[at + 3] === 255) count++;
  }
  return count;
}
"""


def test_a_refund_is_drawn_in_front_of_the_income(dana, records):
    dana.goes_to("/dashboard?range=7d&currency=USD")
    dana.page.locator("figure[data-chart=bars] canvas").first.wait_for()
    assert dana.page.evaluate(PIXELS_OF_REFUNDS) == 0
    tips.refund(tip_id=records.pk, amount_cents=300, key="k", actor="user:staff:1")
    dana.page.reload()
    dana.page.locator("figure[data-chart=bars] canvas").first.wait_for()
    assert dana.page.evaluate(PIXELS_OF_REFUNDS) > 50


MASKS = "each => [getComputedStyle(each).maskImage !== 'none', each.innerText]"


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_placement_longer_than_the_timeline_fades_and_says_its_own_days(open_browser, creator, size):
    now = timezone.now()
    begins, ends = now - timedelta(days=60), now + timedelta(days=500)
    for position, starts, until in (
        ("header", begins, ends),
        ("footer", now + timedelta(days=7), now + timedelta(days=14)),
    ):
        sponsors.place(
            creator=creator,
            position=position,
            sponsor_name="Acme",
            active_from=starts,
            active_until=until,
            logo_url="https://acme.example/logo.png",
            target_url="https://acme.example/",
        )
    dana = open_browser(size=size)
    dana.comes_signed_in(creator, going_to="/dashboard")
    long, short = (
        dana.page.locator(f"[aria-labelledby=lane_{position}] .slot:not(.slot-free)").evaluate(MASKS)
        for position in ("header", "footer")
    )
    first, last = (f"{day.day} {day:%b}" for day in (begins, ends))
    # On a phone the placements are a list without bars, so nothing is cut.
    assert long[0] is (size == "desktop")
    assert first in long[1]
    assert f"{last} {ends.year}" in long[1]
    assert short[0] is False


def test_a_creator_sells_changes_and_cancels_a_placement(dana):
    dana.goes_to("/dashboard/sponsors")
    dana.follows("Add a sponsor")
    day, later = (f"{timezone.now() + timedelta(days=number):%Y-%m-%d}" for number in (20, 27))
    dana.page.locator("[name=sponsor_name]").fill("Initech")
    dana.page.get_by_text("Inline", exact=True).click()
    dana.page.locator("[name=first_day]").fill(day)
    dana.page.locator("[name=last_day]").fill(later)
    dana.page.locator("[name=target_url]").fill("https://initech.example/")
    dana.page.locator("[name=logo_url]").fill("https://initech.example/logo.png")
    dana.page.locator("[name=price]").fill("120.50")
    dana.presses("Add the sponsor")
    assert dana.sees("Initech")
    placed = Sponsor.objects.get(sponsor_name="Initech")
    assert (placed.price_cents, placed.position) == (12050, "inline")
    dana.goes_to(f"/dashboard/sponsors/{placed.pk}/edit")
    dana.page.locator("[name=sponsor_name]").fill("Initrode")
    dana.presses("Save")
    assert dana.sees("Initrode")
    dana.goes_to(f"/dashboard/sponsors/{placed.pk}/edit")
    dana.presses("Cancel this placement")
    assert dana.sees("Initrode is cancelled.")
    placed.refresh_from_db()
    assert placed.cancelled_at


def test_a_tip_is_refunded_with_a_preview_and_only_once(dana, records):
    dana.goes_to(f"/dashboard/tips/{records.pk}")
    assert HOSTILE in dana.reads()
    dana.page.locator("[name=amount]").fill("2.50")
    dana.presses("Preview refund")
    page_text = dana.reads()
    assert "2.50 USD" in page_text
    assert "2.40 USD" in page_text  # What the creator gives; the fee of 4 % comes back with it.
    assert "0.10 USD" in page_text
    assert not Refund.objects.exists()
    dana.clicks_twice("Record the refund")
    dana.page.wait_for_url(re.compile(rf"/dashboard/tips/{records.pk}$"))
    assert dana.sees("Refunds so far")
    assert Refund.objects.get().amount_cents == 250


def test_a_message_is_hidden_and_shown_again(dana, records):
    dana.goes_to(f"/dashboard/tips/{records.pk}")
    dana.presses("Hide the message")
    assert dana.sees("You have hidden this message")
    assert "Thank you" not in dana.reads()
    dana.presses("Show the message")
    assert dana.sees("Thank you")
    assert (
        dana.page.get_by_role("link", name="Say thanks by mail").get_attribute("href").startswith("mailto:")
    )


def test_a_subscription_is_cancelled_after_a_preview(dana):
    late = Subscription.objects.get(subscriber_email="a@example.com")
    dana.goes_to("/dashboard/subscriptions?status=past_due")
    assert "a@example.com" in dana.reads()
    assert "b@example.com" not in dana.reads()
    dana.goes_to(f"/dashboard/subscriptions/{late.pk}")
    dana.page.get_by_text("Cancelled", exact=True).first.click()
    dana.presses("Preview change")
    assert "9.99" in dana.reads()
    late.refresh_from_db()
    assert late.status == "past_due"
    dana.page.locator("main form button.button-primary").click()
    dana.page.wait_for_load_state()
    late.refresh_from_db()
    assert late.status == "cancelled"


def test_a_reader_is_found_without_their_address_in_the_url(dana):
    dana.goes_to("/dashboard/subscriptions")
    dana.page.locator("[name=search]").fill("b@example.com")
    dana.page.keyboard.press("Enter")
    expect(dana.page.get_by_text("a@example.com")).to_have_count(0)
    assert "b@example.com" in dana.reads()
    assert "example.com" not in dana.page.url


def test_a_key_is_shown_once_works_and_is_revoked(dana, site):
    dana.goes_to("/dashboard/keys")
    dana.page.locator("form [name=name]").fill("My site")
    dana.page.locator("[name=scopes][value=monetization]").check()
    dana.presses("Create key")
    secret = dana.page.locator("#secret").inner_text()
    headers = {"Authorization": f"Bearer {secret}"}
    stats = site.at("/mail/v1/monetization/stats")
    assert requests.get(stats, headers=headers, timeout=120).status_code == 200
    dana.goes_to("/dashboard/keys")
    assert secret not in dana.page.content()
    dana.page.get_by_role("link", name="Revoke My site").click()
    dana.page.locator("main form button").last.click()
    dana.page.wait_for_load_state()
    assert ApiKey.objects.get().revoked_at
    assert requests.get(stats, headers=headers, timeout=120).status_code == 401


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_keys_requests_are_read_filtered_and_deleted(open_browser, creator, site, size, scheme):
    key, secret = api_keys.issue(owner=creator, name="My site", scopes=["read"])
    dana = open_browser(size=size, scheme=scheme)
    dana.comes_signed_in(creator, going_to="/dashboard/keys")
    dana.follows("My site")
    assert dana.sees("No requests in the last 7 days.")
    for path in ("stats", "tipps"):
        requests.get(
            site.at(f"/v1/monetization/{path}"), headers={"Authorization": f"Bearer {secret}"}, timeout=120
        )
    # The second one is recorded after its answer.
    eventually(lambda: key.requests.count() == 2)
    dana.page.reload()
    assert dana.sees("GET /v1/monetization/stats")
    dana.follows("Errors only")
    assert dana.is_at(f"/dashboard/keys/{key.pk}?show=errors")
    assert dana.sees("404 Not Found")
    expect(dana.page.get_by_text("200 OK")).to_have_count(0)
    dana.page.get_by_text("Delete these requests").click()
    dana.presses("Delete all requests")
    assert dana.sees("The recorded requests of My site are deleted.")
    assert not key.requests.exists()


def test_a_new_key_and_its_line_are_copied(dana):
    dana.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dana.goes_to("/dashboard/keys")
    dana.page.locator("form [name=name]").fill("My site")
    dana.presses("Create key")
    expect(dana.page.get_by_role("heading", level=1)).to_have_text("Your new key")
    secret = dana.page.locator("#secret").inner_text()
    for button, text in (("Copy the key", secret), ("Copy the command", f'"Authorization: Bearer {secret}"')):
        dana.presses(button)
        beside = dana.page.locator(f"button:has-text('{button}') ~ [role=status]")
        expect(beside).to_have_text("Copied.")
        assert text in dana.page.evaluate("navigator.clipboard.readText()")


def test_a_stranger_sees_only_their_own_empty_dashboard(open_browser, records):
    stranger = open_browser(may_fail=True)
    stranger.signs_in("Ines", going_to="/dashboard")
    page_text = stranger.reads()
    assert "Wayland" not in page_text
    assert "alex@example.com" not in page_text
    assert "Create an API key" in page_text
    for path in ("sponsors", "subscriptions", "tips", "keys"):
        stranger.goes_to(f"/dashboard/{path}")
        assert not re.search(r"\b(a|b|c|alex)@example\.com", stranger.reads())
        assert "Wayland" not in stranger.reads()
    sponsor, subscription = Sponsor.objects.all()[0], Subscription.objects.all()[0]
    for path in (
        *(f"tips/{records.pk}", f"subscriptions/{subscription.pk}"),
        f"sponsors/{sponsor.pk}/edit",
    ):
        stranger.goes_to(f"/dashboard/{path}")
        assert "nothing at this address" in stranger.reads()
    assert Tip.objects.filter(message_hidden_at=None).count() == Tip.objects.count()


LOOKS = [("desktop", "light"), ("phone", "dark")]


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_every_page_of_the_dashboard(open_browser, look, records):
    size, scheme = look
    dana = open_browser(size=size, scheme=scheme)
    dana.comes_signed_in(going_to="/dashboard")
    sponsor, subscription = Sponsor.objects.all()[0], Subscription.objects.all()[0]
    for path in (
        *("", "?range=12m", "?currency=EUR&range=all", "/sponsors", "/sponsors/add"),
        *(f"/sponsors/{sponsor.pk}/edit", "/subscriptions"),
        *(f"/subscriptions/{subscription.pk}", "/tips", f"/tips/{records.pk}", "/tips?refunded=yes", "/keys"),
    ):
        dana.visits(f"/dashboard{path}")
        dana.is_never_stopped_by_the_page()


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_every_page_of_a_dashboard_that_is_empty(open_browser, look, creator):
    size, scheme = look
    dana = open_browser(size=size, scheme=scheme)
    dana.comes_signed_in(going_to="/dashboard")
    for path in ("", "/sponsors", "/subscriptions", "/tips", "/keys"):
        dana.visits(f"/dashboard{path}")
        dana.is_never_stopped_by_the_page()
        expect(dana.page.locator("canvas")).to_have_count(0)  # Never a chart of zeros.
