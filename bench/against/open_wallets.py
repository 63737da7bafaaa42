"""Migrates the database, opens wallets and issues a service key, with the code of either checkout.

It runs in a process of its own, in the folder of the checkout. So it may only use what every commit since the
first one that grants credits and keeps budgets has (e1fbd58). Standard input: the kinds as JSON. Standard
output: the secret of the key.
"""

import json
import sys
from datetime import timedelta
from typing import Any

import django
from django.core.management import call_command
from django.utils import timezone

OPENING_CREDITS = 1_000_000_000  # No wallet runs out.


def open_wallets(kinds: list[dict[str, Any]]) -> str:
    """Open the wallets and return the secret of a key that may charge them."""
    from accounts.service_keys import issue_service_key
    from wallet.books import ledger
    from wallet.models import Entry, ReconciliationRun

    key, secret = issue_service_key(product="bench")
    # Each adjustment names the act of a staff member, or a run.
    run = ReconciliationRun.objects.create(state=ReconciliationRun.State.FINISHED, since=timezone.now())
    for kind in kinds:
        for user_id in kind["user_ids"]:
            ledger.credit(
                user_id=user_id,
                credits=OPENING_CREDITS,
                kind=Entry.Kind.ADJUSTMENT,  # Needs no payment, and never expires.
                actor=f"command:reconcile_stripe:{run.pk}",
                reason="bench",
            )
            open_holds(key, user_id, kind["open_holds"], kind["feature"])
            grant(user_id, kind["grants"])
            set_budgets(user_id, kind["budgets"])
    return secret


def open_holds(key: Any, user_id: str, count: int, feature: str) -> None:
    """Set credits aside so many times."""
    if not count:
        return
    from wallet.charges import holds

    for number in range(count):
        holds.authorize(
            service=key,
            user_id=user_id,
            feature=feature,
            ttl_seconds=holds.TTL_SECONDS_MAX,
            key=f"bench:{number}",
        )


def grant(user_id: str, count: int) -> None:
    """Grant credits so many times; each grant is large enough for all charges."""
    if not count:
        return
    from wallet.grants import granting

    for number in range(count):
        granting.grant(
            user_id=user_id,
            credits=granting.CREDITS_MAX,
            expires_at=timezone.now() + timedelta(days=365),
            reason="bench",
            key=f"bench:{number}",
            actor="bench",
        )


def set_budgets(user_id: str, count: int) -> None:
    """Set so many budgets (at most two) that are never used up."""
    if not count:
        return
    from wallet.charges import budgets

    for set_by, product, period in [("user", "", "day"), ("product", "bench", "month")][:count]:
        budgets.set_budget(
            user_id=user_id, set_by=set_by, product=product, period=period, credits=budgets.CREDITS_MAX
        )


if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)
    sys.stdout.write(open_wallets(json.load(sys.stdin)))
