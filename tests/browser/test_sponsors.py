"""A creator sells by days, takes a sponsor away and back, and hands out a link to the free days."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import User
from monetization import sponsors
from monetization.models import Sponsor
from tests.monetization.records import days, place

LOOKS = [("desktop", "light"), ("phone", "dark")]
UNDO_MS = int(sponsors.UNDO_OFFERED / timedelta(milliseconds=1))


def placed_before(creator):
    """A sponsor of last week, whose addresses the form can fill in."""
    return place(creator, "Acme Corp", starts=timezone.now() - days(7), ends=timezone.now() - days(1))


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_a_creators_way_with_a_sponsor(open_browser, look, monkeypatch):
    monkeypatch.setattr(sponsors, "UNDO_ACCEPTED", timedelta(hours=1))  # A busy machine is slow to undo.
    size, scheme = look
    dana = open_browser(size=size, scheme=scheme)
    dana.page.clock.install()
    dana.comes_signed_in(going_to="/dashboard/sponsors/add")
    placed_before(User.objects.get(pk="usr_demo"))
    dana.page.reload()
    # Another name stays without addresses, and what the creator wrote stays.
    dana.types("Sponsor", "Globex")
    expect(dana.page.locator("[name=target_url]")).to_have_value("")
    dana.types("Logo address", "https://logos.example/own.svg")
    dana.types("Sponsor", "Acme Corp")
    expect(dana.page.locator("[name=target_url]")).to_have_value("https://acme.example.com")
    expect(dana.page.locator("[name=logo_url]")).to_have_value("https://logos.example/own.svg")
    assert dana.page.get_by_label("Starts at, UTC").is_hidden()
    first = (timezone.now() + days(1)).date()
    dana.page.locator("[name=first_day]").fill(f"{first}")
    dana.page.locator("[name=last_day]").fill(f"{first + days(6)}")
    dana.is_never_stopped_by_the_page()
    dana.presses("Add the sponsor")
    assert dana.sees("Acme Corp is placed in the header.")
    looks_at_the_list(dana, size)
    takes_a_sponsor_away_and_back(dana)
    visitor = open_browser(size=size, scheme=scheme, may_fail=True)  # The link's page is missing at last.
    hands_out_a_link(dana, visitor)


def looks_at_the_list(dana, size):
    """A logo is shown, the six weeks turn, and each row has two lines on a phone."""
    dana.page.locator(".logo.has-logo img").first.wait_for()
    dana.is_never_stopped_by_the_page()
    dana.page.get_by_role("link", name="Later weeks").click()
    assert dana.is_at("/dashboard/sponsors?weeks=6#weeks")
    dana.page.get_by_role("link", name="This week").click()
    rows = dana.page.locator(".placements tbody tr")
    if size == "phone":
        assert max(row.bounding_box()["height"] for row in rows.all()) < 72


def takes_a_sponsor_away_and_back(dana):
    """Ten seconds after the second cancellation, the button is gone."""
    placed = Sponsor.objects.latest("created_at")
    assert (placed.active_until - placed.active_from) == days(7)
    for is_restored in (True, False):
        dana.goes_to(f"/dashboard/sponsors/{placed.pk}/edit")
        if is_restored:  # A busy machine is slow to press Undo.
            dana.page.clock.pause_at(timezone.now() + timedelta(hours=1))
        dana.presses("Cancel this placement")
        assert dana.sees("Acme Corp is cancelled.")
        if is_restored:
            dana.presses("Undo")
            assert dana.sees("Acme Corp is back, as it was.")
            dana.page.clock.resume()  # axe-core needs it.
        else:
            dana.is_never_stopped_by_the_page()
            dana.page.clock.fast_forward(UNDO_MS)
            dana.page.locator("[data-undo]").wait_for(state="detached")
        placed.refresh_from_db()
        assert (placed.cancelled_at is None) is is_restored


def hands_out_a_link(dana, visitor):
    """It shows days to a visitor until it is revoked."""
    dana.follows("Share free days")
    dana.types("Title of the page", "The Law Blog")
    dana.presses("Make a link")
    address = dana.page.locator("#link").inner_text()
    dana.is_never_stopped_by_the_page()
    visitor.page.goto(address)
    assert "The Law Blog" in visitor.reads()
    assert "Acme" not in visitor.reads()
    visitor.is_never_stopped_by_the_page()
    visitor.page.set_viewport_size({"width": 320, "height": 700})
    visitor.is_never_stopped_by_the_page()
    dana.presses("Revoke the link")
    assert dana.sees("The link is revoked.")
    visitor.page.reload()
    assert "nothing at this address" in visitor.reads()


def test_a_missing_logo_leaves_the_initials(open_browser):
    dana = open_browser(may_fail=True)
    dana.comes_signed_in()
    placed_before(User.objects.get(pk="usr_demo"))
    dana.page.context.route("https://cdn.example.com/**", lambda route: route.fulfill(status=404))
    with dana.page.expect_response("https://cdn.example.com/logo.png"):
        dana.goes_to("/dashboard/sponsors")
    logo = dana.page.locator(".logo")
    dana.page.wait_for_function("document.querySelector('.logo img').complete")
    expect(logo).to_have_attribute("data-initials", "AC")
    assert "has-logo" not in logo.get_attribute("class")
    # Nothing is drawn over the initials.
    assert dana.page.locator(".logo img").bounding_box()["width"] == 0
