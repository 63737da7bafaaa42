"""The weekly mail says how much more or less the creator keeps than the week before."""

from datetime import timedelta

import pytest

from accounts.models import OutgoingMail
from monetization.days import closing
from monetization.models import Digest
from tests.monetization.records import clock_at, days, refund
from tests.monetization.test_digests import (
    BEFORE,
    MONDAY,
    NEXT_MONDAY,
    THURSDAY,
    TUESDAY,
    choose,
    digests_of,
    tip_at,
    write_at,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def weekly(creator, settings):
    settings.MAIL_ENABLED = True
    choose(creator, "week", BEFORE)
    return creator


@pytest.mark.parametrize(
    ("before", "now", "refunded", "words"),
    [
        (1_000, 2_000, 0, "9.50 USD more than the week before."),
        (2_000, 1_000, 0, "9.50 USD less than the week before."),
        (1_000, 1_000, 0, "As much as the week before."),
        (1_000, 2_000, 1_000, "As much as the week before."),
        (1_000, 2_000, 2_000, "9.50 USD less than the week before."),
        (0, 1_000, 0, "No tips or refunds the week before."),
    ],
)
def test_what_the_creator_keeps_is_compared_with_the_week_before(weekly, before, now, refunded, words):
    tip_at(weekly, TUESDAY - days(14), 70_000)
    tip_at(weekly, TUESDAY - days(7), 70_000, currency="EUR")
    if before:
        tip_at(weekly, BEFORE - timedelta(seconds=1), before)
    given = tip_at(weekly, BEFORE, now)
    if refunded:
        with clock_at(THURSDAY):
            refund(given, refunded)
    for fold_up in (False, True):
        if fold_up:
            closing.close_days(now=NEXT_MONDAY + days(1))
            OutgoingMail.objects.all().delete()
            Digest.objects.update(next_week=MONDAY)
        write_at()
        digest = digests_of(weekly).last()
        assert [line for line in digest.text.splitlines() if line.endswith("week before.")] == [words]
        assert words in digest.html
