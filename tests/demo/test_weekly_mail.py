"""The demonstration's weekly mail: about the last week of the made-up year, written by the real verb."""

import pytest

from accounts.mail import outbox
from accounts.models import OutgoingMail
from demo import year_of_a_newsletter
from foundation import money
from foundation.words import count
from monetization import mails
from monetization.digests import writing
from monetization.models import Tip
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(settings):
    """A creator with the last two weeks of the year and its weekly mail, who wants a mail about each tip."""
    settings.MAIL_ENABLED = True
    creator = UserFactory.create(email="dana@example.com")
    outbox.set_switches(creator, set())
    year_of_a_newsletter.live_through_a_year(creator, 16)
    year_of_a_newsletter.write_a_weekly_mail(creator)
    outbox.set_switches(creator, set(outbox.KINDS))
    return creator


def test_the_last_week_is_told_in_one_mail(dana):
    [mail] = OutgoingMail.objects.filter(user=dana)
    week = writing.last_week()
    assert (mail.fact, mail.state) == (f"tip_digest:{week}:{dana.pk}", "waiting")
    given = Tip.objects.filter(
        creator=dana, created_at__date__range=(week, week + writing.WEEK - writing.DAY)
    )
    assert given  # Whatever day of the week is today.
    assert count(len(given), "tip") in mail.subject
    for tip in given:
        assert money.amount(tip.gross_cents, tip.currency) in mail.text


def test_a_tip_that_is_recorded_now_has_a_mail_of_its_own(dana):
    assert not outbox.is_weekly(dana, mails.TIP)
    assert outbox.wants(dana, mails.TIP)
