"""The wallet's endpoints, a good request to each, and what each error of theirs looks like."""

import json
from typing import Any

DEDUCT, TOPUP, WEBHOOK = "/io/wallet/deduct", "/io/wallet/topup-session", "/io/wallet/webhook"
BALANCE, TRANSACTIONS, RATES = "/io/wallet/balance", "/io/wallet/transactions", "/io/wallet/rates"
HOLDS, QUOTE, REFUND, FUNDS = "/io/wallet/holds", "/io/wallet/quote", "/io/wallet/refund", "/io/wallet/funds"
HOLD = f"{HOLDS}/hold_01jb3kq2w8z6h6c1d1e0r2m4aa"
CAPTURE, VOID, EXTEND = f"{HOLD}/capture", f"{HOLD}/void", f"{HOLD}/extend"

# A good body for each endpoint that reads one. There are no such charge and no such hold.
GOOD: dict[str, dict[str, Any]] = {
    DEDUCT: {"user_id": "usr_1", "feature": "blog.article.generate"},
    TOPUP: {"user_id": "usr_1", "amountDollars": 10, "product": "blog", "returnUrl": "/"},
    QUOTE: {"user_id": "usr_1", "feature": "blog.article.generate"},
    REFUND: {"user_id": "usr_1", "charge_key": "article:1", "credits": 1, "idempotency_key": "undo:1"},
    HOLDS: {"user_id": "usr_1", "feature": "blog.article.generate", "idempotency_key": "chat:1"},
    CAPTURE: {"user_id": "usr_1", "count": 1},
    VOID: {"user_id": "usr_1"},
    EXTEND: {"user_id": "usr_1", "ttl_seconds": 60},
}
WRITES = list(GOOD)
# `/holds` is read and written.
OWN_READS = [BALANCE, TRANSACTIONS, FUNDS, HOLDS, HOLD]
READS = [*OWN_READS, RATES]
ALL = list(dict.fromkeys([*WRITES, WEBHOOK, *READS]))


def methods_of(path: str) -> set[str]:
    """The methods that an endpoint has."""
    return ({"GET", "HEAD"} if path in READS else set()) | ({"POST"} if path in [*WRITES, WEBHOOK] else set())


def refused(response: Any, path: str, status: int, sentence: str | None = None, code: str = "") -> None:
    """The answer is an error of that status in the path's envelope, and nothing else."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-ID"].startswith("req_")
    body = json.loads(response.content)
    # Every method but GET asks a deciding endpoint for something that it must deny.
    denies = path == DEDUCT or (path == HOLDS and response.wsgi_request.method not in ("GET", "HEAD"))
    has_code = f"{path}/".startswith(tuple(f"{root}/" for root in (HOLDS, QUOTE, REFUND, FUNDS)))
    assert set(body) == {"error"} | ({"allowed"} if denies else set()) | ({"code"} if has_code else set())
    assert body.get("allowed", False) is False
    assert body["error"]
    if sentence is not None:
        assert body["error"] == sentence
    if code:
        assert body["code"] == code
