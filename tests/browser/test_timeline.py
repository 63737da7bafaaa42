"""The six weeks of placements: each can be hit, however short it is."""

import pytest
from django.utils import timezone

from accounts.models import User
from tests.monetization.records import days, place

WIDTHS = [1280, 1024, 768, 390]


@pytest.fixture
def dana(open_browser):
    """A creator with a placement of one day on each of four days in a row, and free days around them."""
    dana = open_browser()
    dana.comes_signed_in(going_to="/dashboard")
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(2, 6):
        starts = midnight + days(number)
        place(User.objects.get(pk="usr_demo"), f"Sponsor {number}", starts=starts, ends=starts + days(1))
    return dana


def test_placements_of_one_day_beside_each_other_can_each_be_hit(dana):
    for width in WIDTHS:
        dana.page.set_viewport_size({"width": width, "height": 900})
        dana.goes_to("/dashboard/sponsors")
        links = dana.page.locator(".slot:not(.slot-free) a")
        assert links.count() == 4
        dana.is_never_stopped_by_the_page()
        last = links.last.get_attribute("href")
        dana.clicks(links.last)
        assert dana.is_at(last)
