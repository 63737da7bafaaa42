"""Cancelling a placement on the sponsors page, and the Undo button of its notice."""

from datetime import timedelta

import pytest
from django.db.models import F

from monetization import sponsors
from monetization.models import Sponsor
from tests.html import browser_of, words
from tests.monetization.dashboard.list_pages import (
    is_missing_for,
    requires_sign_in,
    strict_browser_of,
)
from tests.monetization.dashboard.sponsor_pages import LIST, cancel_of, text_after
from tests.monetization.records import upcoming
from tests.patterns import matched

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(creator):
    return browser_of(creator)


def undo_of(answer):
    """The address of the Undo button on a page."""
    return matched(r'action="(/dashboard/sponsors/restore/[^"]+)"', answer.content.decode())[1]


def cancelled_by(page, sponsor):
    """The page after a placement was cancelled."""
    return page.post(cancel_of(sponsor), follow=True)


def test_a_placement_is_cancelled_at_once(creator, page):
    sponsor = upcoming(creator)
    assert page.get(cancel_of(sponsor)).status_code == 405
    sponsor.refresh_from_db()
    assert sponsor.cancelled_at is None
    answer = cancelled_by(page, sponsor)
    assert "Acme is cancelled. Readers no longer see this sponsor" in words(answer)
    sponsor.refresh_from_db()
    assert sponsor.cancelled_at is not None
    assert "restore" not in page.get(LIST).content.decode()  # The notice is on one page only.


def test_cancelling_twice_cancels_once(creator, page):
    sponsor = upcoming(creator)
    page.post(cancel_of(sponsor))
    at = Sponsor.objects.get().cancelled_at
    assert "Acme was cancelled already." in text_after(page.post(cancel_of(sponsor)), page)
    assert Sponsor.objects.get().cancelled_at == at


def test_a_cancellation_can_be_undone_and_nothing_else_changes(creator, page):
    sponsor = upcoming(creator, price_cents=29_900)
    before = Sponsor.objects.values().get()
    undo = undo_of(cancelled_by(page, sponsor))
    assert "Acme is back, as it was." in text_after(page.post(undo), page)
    assert Sponsor.objects.values().get() == before
    assert "Acme is back, as it was." in text_after(page.post(undo), page)  # A second click.


def test_an_undo_that_comes_too_late_is_refused(creator, page):
    undo = undo_of(cancelled_by(page, upcoming(creator)))
    Sponsor.objects.update(cancelled_at=F("cancelled_at") - timedelta(seconds=16))
    answer = page.post(undo)
    assert "Acme stays cancelled. A cancellation can be undone for ten seconds only." in text_after(
        answer, page
    )
    assert Sponsor.objects.get().cancelled_at is not None


def test_an_undo_undoes_its_own_cancellation_only(creator, page, stranger):
    sponsor = upcoming(creator)
    first = undo_of(cancelled_by(page, sponsor))
    page.post(first)
    sponsors.cancel(creator=creator, sponsor_id=sponsor.pk)  # As staff would.
    assert "Acme stays cancelled." in text_after(page.post(first), page)
    assert Sponsor.objects.get().cancelled_at is not None
    assert page.post(first + "x").status_code == 404
    is_missing_for(stranger, first, "post")
    assert strict_browser_of(creator).post(first).status_code == 403
    requires_sign_in(first)


def test_a_place_that_was_taken_meanwhile_is_not_taken_back(creator, page):
    sponsors.set_one_at_a_time(creator=creator, on=True)
    undo = undo_of(cancelled_by(page, upcoming(creator)))
    upcoming(creator, "Globex")
    answer = page.post(undo)
    assert "Acme stays cancelled. The header is taken in that period by Globex." in text_after(answer, page)
    assert Sponsor.objects.get(sponsor_name="Acme").cancelled_at is not None


def test_a_placement_that_is_back_warns_of_a_new_conflict(creator, page):
    undo = undo_of(cancelled_by(page, upcoming(creator)))
    upcoming(creator, "Globex")
    text = text_after(page.post(undo), page)
    assert "Acme is back, as it was." in text
    assert "Same header, same days as Globex: both will be shown." in text
