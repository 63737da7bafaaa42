"""The overview of a creator with 200,000 tips asks the database as often as that of one with 20."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from foundation.database.patience import patient
from tests.factories import UserFactory
from tests.html import browser_of
from tests.monetization.dashboard.test_overview_cost import TIPS, analyze
from tests.monetization.records import NOON, clock_at

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

FEW, MANY = 20, 200_000


def creator_with(tips):
    creator = UserFactory.create()
    with connection.cursor() as cursor:
        cursor.execute(TIPS, {"creator": creator.pk, "rows": tips, "noon": NOON})
    return creator


def queries_of(browser, range_):
    with CaptureQueriesContext(connection) as queries, clock_at(NOON):
        assert browser.get(f"/dashboard?range={range_}").status_code == 200
    return len(queries)


def test_the_overview_asks_as_often_for_200000_tips_as_for_20():
    with patient():  # Only the counting is looked at here; how long it takes is for the bench.
        few, many = creator_with(FEW), creator_with(MANY)
        analyze()
        few_browser, many_browser = browser_of(few), browser_of(many)
        # Not a week: twenty tips in a year leave it empty, and of an empty week fewer things are asked.
        for range_ in ("30d", "90d", "12m", "all"):
            assert queries_of(many_browser, range_) == queries_of(few_browser, range_)
