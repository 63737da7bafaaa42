"""The wallet's endpoints, a good request to each, and what each error of theirs looks like."""

import json
from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.conftest import Caller

DEDUCT, TOPUP, WEBHOOK = "/io/wallet/deduct", "/io/wallet/topup-session", "/io/wallet/webhook"
BALANCE, TRANSACTIONS, RATES = "/io/wallet/balance", "/io/wallet/transactions", "/io/wallet/rates"
HOLDS, QUOTE, REFUND, FUNDS = "/io/wallet/holds", "/io/wallet/quote", "/io/wallet/refund", "/io/wallet/funds"
HOLD = f"{HOLDS}/hold_01jb3kq2w8z6h6c1d1e0r2m4aa"
CAPTURE, VOID, EXTEND = f"{HOLD}/capture", f"{HOLD}/void", f"{HOLD}/extend"
GRANTS, BUDGETS = "/io/wallet/grants", "/io/wallet/budgets"
GRANT_VOID = f"{GRANTS}/grant_01jb3kq2w8z6h6c1d1e0r2m4aa/void"

# A good body for each endpoint that reads one. There are no such charge, no such hold and no such grant.
GOOD: dict[str, dict[str, Any]] = {
    DEDUCT: {"user_id": "usr_1", "feature": "blog.article.generate"},
    TOPUP: {"user_id": "usr_1", "amountDollars": 10, "product": "blog", "returnUrl": "/"},
    QUOTE: {"user_id": "usr_1", "feature": "blog.article.generate"},
    REFUND: {"user_id": "usr_1", "charge_key": "article:1", "credits": 1, "idempotency_key": "undo:1"},
    HOLDS: {"user_id": "usr_1", "feature": "blog.article.generate", "idempotency_key": "chat:1"},
    CAPTURE: {"user_id": "usr_1", "count": 1},
    VOID: {"user_id": "usr_1"},
    EXTEND: {"user_id": "usr_1", "ttl_seconds": 60},
    GRANTS: {
        "user_id": "usr_1",
        "credits": 1,
        "expires_at": f"{timezone.now() + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}",
        "reason": "Welcome",
        "idempotency_key": "welcome",
    },
    GRANT_VOID: {"user_id": "usr_1"},
    BUDGETS: {"user_id": "usr_1", "period": "day", "credits": 5, "alert_percent": 80},
}
WRITES = list(GOOD)
# `/holds`, `/grants` and `/budgets` are read and written.
OWN_READS = [BALANCE, TRANSACTIONS, FUNDS, HOLDS, HOLD, GRANTS, BUDGETS]
READS = [*OWN_READS, RATES]
ALL = list(dict.fromkeys([*WRITES, WEBHOOK, *READS]))


def methods_of(path: str) -> set[str]:
    """The methods that an endpoint has."""
    reading = {"GET", "HEAD"} if path in READS else set()
    if path == BUDGETS:
        return reading | {"PUT", "DELETE"}
    return reading | ({"POST"} if path in [*WRITES, WEBHOOK] else set())


def write(caller: Caller, path: str, body: Any = None, **options: Any) -> Any:
    """Send a body to an endpoint, by the method that reads it there."""
    return caller.send("put" if path == BUDGETS else "post", path, body, **options)


WITH_CODES = (HOLDS, QUOTE, REFUND, FUNDS, GRANTS, BUDGETS)


def refused(response: Any, path: str, status: int, sentence: str | None = None, code: str = "") -> None:
    """The answer is an error of that status in the path's envelope, and nothing else."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-ID"].startswith("req_")
    body = json.loads(response.content)
    # Every method but GET asks a deciding endpoint for something that it must deny.
    denies = path == DEDUCT or (path == HOLDS and response.wsgi_request.method not in ("GET", "HEAD"))
    has_code = f"{path}/".startswith(tuple(f"{root}/" for root in WITH_CODES))
    assert set(body) == {"error"} | ({"allowed"} if denies else set()) | ({"code"} if has_code else set())
    assert body.get("allowed", False) is False
    assert body["error"]
    if sentence is not None:
        assert body["error"] == sentence
    if code:
        assert body["code"] == code
