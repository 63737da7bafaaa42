"""The payment of docs/ledger.md that is refunded and disputed, with the numbers of its table."""

from datetime import UTC, datetime

import pytest

from wallet.books.models import Entry
from wallet.models import TopUp
from wallet.payments import reported, reversals, settlement

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SESSION = {
    "id": "cs_test_1",
    "mode": "payment",
    "payment_status": "paid",
    "amount_total": 2550,
    "currency": "usd",
    "payment_intent": "pi_1",
    "metadata": {"type": "wallet_topup", "user_id": "ada", "product": "blog"},
}


def refund(refund_id, cents, status):
    body = {"id": refund_id, "payment_intent": "pi_1", "currency": "usd", "amount": cents, "status": status}
    reversals.refund(body, happened_at=NOON)


def dispute(status, *moved):
    movements = [{"id": f"txn_{n}", "amount": cents, "currency": "usd"} for n, cents in enumerate(moved)]
    body = {"id": "dp_1", "payment_intent": "pi_1", "currency": "usd", "amount": 2550, "status": status}
    reversals.dispute(body | {"balance_transactions": movements}, happened_at=NOON)


@pytest.mark.django_db
def test_the_worked_payment():
    rows = []
    seen: set[str] = set()

    def row():
        topup = TopUp.objects.get(stripe_session_id="cs_test_1")
        left = reported.of_topup(topup).left_of(topup.paid_cents or 0)
        written = [entry for entry in Entry.objects.of_user("ada") if entry.pk not in seen]
        seen.update(entry.pk for entry in written)
        moved = [(entry.kind, entry.credits) for entry in written]
        rows.append((left, *moved, Entry.objects.of_payment(user_id="ada", session_id="cs_test_1")))

    settlement.settle(SESSION, happened_at=NOON)
    row()
    refund("re_1", 50, "succeeded")
    row()
    refund("re_2", 1000, "pending")
    row()
    refund("re_2", 1000, "succeeded")
    row()
    refund("re_2", 1000, "failed")
    row()
    dispute("needs_response", -2550)
    row()
    dispute("won", -2550, 2550)
    row()
    assert rows == [
        (2550, ("topup", 25), 25),
        (2500, 25),
        (1500, ("clawback", -10), 15),
        (1500, 15),
        (2500, ("reinstatement", 10), 25),
        (0, ("clawback", -25), 0),
        (2500, ("reinstatement", 25), 25),
    ]
