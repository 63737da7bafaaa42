"""The laws of creators' records: each bend of a tip, its refunds and a subscription's events is named.

The records are broken as only an operator with a superuser's rights could: triggers rest. It is rolled back.
"""

import pytest
from django.db import connection

from accounts.actors import actor_of
from monetization import laws, tips
from tests.monetization.records import refund, subscribe, tip
from tests.wallet import by_hand
from tests.wallet.entries import sql

YEARLY, GIVEN_BACK, SIGNED = list(laws.LAWS)[:3]

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


@pytest.fixture
def records(creator):
    """A tip of 500 with two refunds by staff and one by its creator, and a subscription. Triggers rest."""
    given = tip(creator)
    for key in ("form-1", "form-2"):
        refund(given, 100, key=key)
        by_hand.sign(actor=by_hand.STAFF, key=key, model="monetization.tip", row_id=given.pk)
    tips.refund(tip_id=given.pk, amount_cents=100, key="k", actor=actor_of(creator), creator=creator)
    subscription = subscribe(creator)
    connection.check_constraints()
    sql("SET LOCAL session_replication_role = replica")
    assert named() == []
    return {"tip": given.pk, "subscription": subscription.pk}


def named():
    return [(each.law, each.subject) for each in laws.find_violations()]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE monetization_tip SET refunded_cents = 200",
        "UPDATE monetization_tip SET fee_returned_cents = 0",
        "UPDATE monetization_refund SET amount_cents = 50 WHERE key = 'form-1'",
        "UPDATE monetization_refund SET currency = 'EUR' WHERE key = 'form-1'",
        "DELETE FROM monetization_refund WHERE key = 'form-1'",
        "DELETE FROM monetization_refund",
    ],
)
def test_a_tip_that_gave_back_what_its_refunds_do_not_say(records, change):
    sql(change)
    assert named() == [(GIVEN_BACK, records["tip"])]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM accounts_act WHERE form_key = 'form-2'",
        "UPDATE accounts_act SET row_id = 'tip_other' WHERE form_key = 'form-2'",
        "UPDATE accounts_act SET staff_id = 'staff:2' WHERE form_key = 'form-2'",
        "UPDATE monetization_refund SET actor = 'user:staff:2' WHERE key = 'form-2'",
        "UPDATE monetization_refund SET key = 'form-3' WHERE key = 'form-2'",
    ],
)
def test_a_refund_by_staff_without_its_act(records, change):
    [(refund_id,)] = sql("SELECT id FROM monetization_refund WHERE key = 'form-2'")
    sql(change)
    assert named() == [(SIGNED, refund_id)]


def test_a_refund_older_than_the_acts_needs_none(records):
    sql("DELETE FROM accounts_act")
    sql("UPDATE monetization_refund SET created_at = '2020-01-01Z'")
    assert named() == []


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM monetization_subscriptionevent",
        "UPDATE monetization_subscriptionevent SET yearly_cents_delta = 1",
        "UPDATE monetization_subscription SET yearly_cents = 1",
    ],
)
def test_a_subscription_that_brings_in_what_its_events_do_not_say(records, change):
    sql(change)
    assert named() == [(YEARLY, records["subscription"])]
