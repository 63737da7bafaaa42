"""One user's wallet with all that products do to it, step by step (contract 4.12)."""

from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.django_db

ENDS, DAY_ENDS = "2025-12-06T00:00:00Z", "2025-11-30T00:00:00Z"


def test_the_story_of_the_contract(as_service, as_user, give, article_rate, clock):
    def has(balance: int, held: int, lot: int, paid: int) -> None:
        """Where the wallet stands, as its user reads it."""
        funds = as_user("usr_1").get("/io/wallet/funds").json()
        figures = {"balance": balance, "held": held, "available": balance - held, "paid": paid}
        assert funds == funds | figures | {"granted": lot}
        clock.advance(1)

    clock.set(datetime(2025, 11, 29, 10, tzinfo=UTC))
    give("usr_1", 25)
    has(25, 0, 0, 25)
    grant = as_service.grant(credits=10, expires_at=ENDS).json()
    assert grant == grant | {"state": "active", "credits": 10, "remaining": 10, "expires_at": ENDS}
    has(35, 0, 10, 25)
    budget = as_service.budget(20).json()
    assert budget == budget | {"credits": 20, "spent": 0, "left": 20, "resets_at": DAY_ENDS}
    has(35, 0, 10, 25)
    assert as_service.deduct(count=3, idempotency_key="article:a").json() == {
        "allowed": True,
        "balanceBefore": 35,
        "balanceAfter": 32,
        "deducted": 3,
    }
    has(32, 0, 7, 25)
    hold = as_service.hold(count=8).json()
    assert hold == hold | {"allowed": True, "balanceBefore": 32, "balanceAfter": 24, "held": 8}
    has(32, 8, 7, 25)
    captured = as_service.end(hold["holdId"], "capture", count=5).json()
    assert captured == captured | {"state": "captured", "captured_count": 5, "captured_credits": 5}
    has(27, 0, 2, 25)
    refund = as_service.refund(charge_key="article:a", credits=2).json()
    assert refund == refund | {"refunded": 2, "refundable": 1, "lapsed": 0, "available": 29}
    has(29, 0, 4, 25)
    assert as_service.deduct(count=15).json() == {
        "allowed": False,
        "balanceBefore": 14,
        "required": 15,
        "limitedBy": {
            "limit": "budget",
            "setBy": "product",
            "product": "blog",
            "period": "day",
            "credits": 20,
            "spent": 6,
            "resetsAt": DAY_ENDS,
        },
    }
    has(29, 0, 4, 25)
    # The grant ends, and what comes back to it ends at once.
    clock.set(datetime(2025, 12, 6, tzinfo=UTC))
    has(25, 0, 0, 25)
    refund = as_service.refund(charge_key="article:a", key="undo:2").json()
    assert refund == refund | {"refunded": 1, "refundable": 0, "lapsed": 1, "available": 25}
    has(25, 0, 0, 25)
    rows = as_service.get("/io/wallet/transactions", user_id="usr_1").json()["items"]
    told = [(row["type"], row["credits"], row["balance_after"]) for row in rows]
    assert told[::-1] == [
        ("topup", 25, 25),
        ("grant", 10, 35),
        ("deduct", -3, 32),
        ("capture", -5, 27),
        ("refund", 2, 29),
        ("expiry", -4, 25),
        ("refund", 1, 26),
        ("expiry", -1, 25),
    ]
    # A captured hold's parts go back the other way round: first what was paid, then to the grant.
    refund = as_service.refund(hold_id=hold["holdId"], key="undo:3").json()
    assert refund == refund | {"refunded": 5, "lapsed": 5, "available": 25}
