"""Holds over the API: authorize, capture in part, void, extend, and what the other answers show of them."""

FEATURE = "blog.article.generate"


def hold(as_service, **body):
    return as_service.post(
        "/io/wallet/holds", {"user_id": "usr_1", "feature": FEATURE, "idempotency_key": "chat:77", **body}
    )


def test_a_hold_is_captured_in_part(give, article_rate, as_service):
    give("usr_1", 42)
    made = hold(as_service, count=5).json()
    hold_id, expires_at = made.pop("holdId"), made.pop("expiresAt")
    assert made == {"allowed": True, "balanceBefore": 42, "balanceAfter": 37, "held": 5}
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 37}
    captured = as_service.post(f"/io/wallet/holds/{hold_id}/capture", {"user_id": "usr_1", "count": 3})
    row = captured.json()
    assert row.pop("created_at")
    assert row.pop("ended_at")
    assert row.pop("transaction_id").startswith("txn_")
    assert row == {
        "id": hold_id,
        "user_id": "usr_1",
        "product": "blog",
        "state": "captured",
        "feature": FEATURE,
        "count": 5,
        "credits": 5,
        "captured_count": 3,
        "captured_credits": 3,
        "expires_at": expires_at,
    }
    again = as_service.post(f"/io/wallet/holds/{hold_id}/capture", {"user_id": "usr_1", "count": 3})
    assert again.content == captured.content
    assert again["Idempotent-Replayed"] == "true"
    funds = as_service.get("/io/wallet/funds", user_id="usr_1").json()
    assert funds.pop("at")
    assert funds == {
        "user_id": "usr_1", "balance": 39, "held": 0, "available": 39, "paid": 39, "granted": 0, "grants": [],
    }  # fmt: skip
    refund = as_service.post(
        "/io/wallet/refund", {"user_id": "usr_1", "hold_id": hold_id, "credits": 2, "idempotency_key": "undo"}
    ).json()
    assert (refund["refunded"], refund["refundable"], refund["lapsed"], refund["available"]) == (2, 1, 0, 41)


def test_a_voided_and_an_extended_hold(give, article_rate, as_service):
    give("usr_1", 6)
    first = hold(as_service, count=5).json()["holdId"]
    refused = hold(as_service, count=2, idempotency_key="chat:78")
    assert refused.json() == {"allowed": False, "balanceBefore": 1, "required": 2}
    assert as_service.deduct(count=2).json() == {"allowed": False, "balanceBefore": 1, "required": 2}
    assert as_service.deduct().json()["balanceAfter"] == 0
    extended = as_service.post(f"/io/wallet/holds/{first}/extend", {"user_id": "usr_1", "ttl_seconds": 5000})
    assert extended.json()["state"] == "open"
    voided = as_service.post(f"/io/wallet/holds/{first}/void", {"user_id": "usr_1"}).json()
    assert voided["state"] == "voided"
    assert voided["ended_at"]
    ended = hold(as_service, count=5)
    assert (ended.status_code, ended.json()["code"], ended.json()["allowed"]) == (409, "key_ended", False)
    items = as_service.get("/io/wallet/holds", user_id="usr_1").json()
    assert [row["state"] for row in items["items"]] == ["voided"]
    assert items["nextCursor"] is None


def test_an_overdue_hold_is_not_held(give, article_rate, as_service, after):
    give("usr_1", 6)
    first = hold(as_service, count=5, ttl_seconds=1).json()
    after(first["holdId"])
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 6}
    assert as_service.deduct(count=6).json()["balanceBefore"] == 6
    late = as_service.post(f"/io/wallet/holds/{first['holdId']}/capture", {"user_id": "usr_1"})
    assert (late.status_code, late.json()["code"]) == (409, "hold_expired")
