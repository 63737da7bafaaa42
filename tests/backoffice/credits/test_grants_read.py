"""Which grants the page of a user shows, and which queries read the grants of an entry or a hold."""

import time
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.urls import reverse

from backoffice.credits import grants
from tests.backoffice.plans import captured
from tests.factories import UserFactory
from tests.html import table
from tests.wallet.granted import grant, past_grant, past_grants, void
from tests.wallet.held import capture, charge_of, hold
from tests.wallet.holding import past_hold
from wallet.books.funds import time_of
from wallet.charges import lapsing
from wallet.models import Lot

pytestmark = pytest.mark.django_db

USER = "usr_ada"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def ada(article_rate):
    return UserFactory.create(misar_id=USER)


def queries_of(client, name, key):
    with captured() as queries:
        assert client.get(reverse(f"admin:wallet_{name}_change", args=[quote(key)])).status_code == 200
    return queries


# --- The user's page ------------------------------------------------------------------------------------


def test_ended_grants_take_no_place_of_active_ones(staff):
    """Until they are written off, they are among the others, except those that an open hold set aside of."""
    held = grant(USER, 3)
    hold(USER, 3)
    active = grant(USER, 4, lasts=2 * DAY)
    void(held)
    past_grants(grants.LEFT_SHOWN_MAX, USER)
    for _ in range(2):
        rows = table(staff.get(reverse("admin:one_user", args=[quote(USER)])), "grants")
        assert [row[1] for row in rows] == ["Voided", "Active", *["Expired"] * grants.OTHERS_SHOWN_MAX]
        shown, _ = grants.of_user(USER)
        assert [(lot.pk, lot.remaining) for lot in shown[:2]] == [(held.pk, 3), (active.pk, 4)]
        assert {lot.remaining for lot in shown[2:]} == {0}
        lapsing.lapse_wallet(USER)


def test_an_ended_grant_that_only_an_overdue_hold_set_aside_of_is_among_the_others():
    active = grant(USER, 4)
    ending = past_grant(USER, 3, ended=timedelta(seconds=-3))
    past_hold(USER, credits=3)
    while time_of(USER) < ending.expires_at:
        time.sleep(0.02)
    shown, _ = grants.of_user(USER)
    assert [(lot.pk, lot.remaining) for lot in shown] == [(active.pk, 4), (ending.pk, 0)]
    assert Lot.objects.get(pk=ending.pk).held == 3


# --- Queries --------------------------------------------------------------------------------------------


def test_the_grants_of_an_entry_and_of_a_hold_are_joined_by_their_wallet(staff):
    grant(USER, 5)
    made = hold(USER, 5)
    entry = charge_of(capture(made, 4))
    for name, key in (("entry", entry.pk), ("hold", made.pk)):
        joined = {query for query in queries_of(staff, name, key) if 'JOIN "wallet_lot"' in query}
        assert [f""""wallet_lot"."wallet_id" = '{USER}'""" in query for query in joined] == [True]


def test_the_entry_of_a_grant_is_read_by_its_wallet(staff):
    lot = grant(USER, 5)
    of_actor = {
        query for query in queries_of(staff, "lot", lot.pk) if 'SELECT "wallet_entry"."actor"' in query
    }
    assert [f""""wallet_entry"."wallet_id" = '{USER}'""" in query for query in of_actor] == [True]


def test_the_entries_that_reverse_an_entry_are_read_by_its_wallet(staff, give):
    entry = give(USER, 5)
    condition = f""""reverses_id" = '{entry.pk}'"""
    reversals = {query for query in queries_of(staff, "entry", entry.pk) if condition in query}
    assert [f""""wallet_entry"."wallet_id" = '{USER}'""" in query for query in reversals] == [True]
