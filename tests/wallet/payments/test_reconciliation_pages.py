"""A page of Stripe's objects is compared in a few queries, however many objects it has."""

import time
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import paid_checkout
from wallet.payments import reversals, settlement
from wallet.payments.reconciliation import facts, payments
from wallet.payments.reconciliation.findings import Task

pytestmark = pytest.mark.django_db

NOW = int(time.time())


def sessions_of(count):
    events = [paid_checkout(f"cs_test_{n}", user_id=f"usr_{n}") for n in range(count)]
    return [event["data"]["object"] for event in events]


def refunds_of(count):
    return [
        {
            "id": f"re_{n}",
            "object": "refund",
            "amount": 500,
            "currency": "usd",
            "created": NOW,
            "status": "succeeded",
            "payment_intent": f"pi_cs_test_{n}",
        }
        for n in range(count)
    ]


def disputes_of(count):
    moved = {"object": "balance_transaction", "amount": -500, "currency": "usd", "created": NOW}
    return [
        refund
        | {
            "id": f"dp_{n}",
            "object": "dispute",
            "status": "lost",
            "balance_transactions": [moved | {"id": f"txn_{n}"}],
        }
        for n, refund in enumerate(refunds_of(count))
    ]


@pytest.fixture
def followed(db):
    """Forty payments, each with a refund and a dispute, all in the books."""
    for session, refund, dispute in zip(sessions_of(40), refunds_of(40), disputes_of(40), strict=True):
        settlement.settle(session, happened_at=timezone.now())
        reversals.refund(refund, happened_at=timezone.now())
        reversals.dispute(dispute, happened_at=timezone.now())


@pytest.mark.parametrize(
    ("compared", "page"),
    [
        (payments.compared, sessions_of),
        (partial(facts.compared, facts.REFUNDS), refunds_of),
        (partial(facts.compared, facts.DISPUTES), disputes_of),
    ],
    ids=["sessions", "refunds", "disputes"],
)
def test_the_queries_of_a_page_do_not_grow_with_it(followed, compared, page):
    task = Task(at=timezone.now(), applies=True)
    counts = []
    for size in (2, 40):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert list(compared(page(size), task)) == []
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 7
