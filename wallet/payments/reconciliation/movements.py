"""Read Stripe's balance transactions, each a move of money, for what no other list shows.

The lists of sessions, refunds and disputes are by the time of creation. Money may move long after it: a
delayed payment, a refund that fails, a dispute that is won. A balance transaction is created when the money
moves, and it names its source, which is then compared like one from a list.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from wallet.payments import stripe_lists
from wallet.payments.models import TopUp
from wallet.payments.reconciliation import facts, payments
from wallet.payments.reconciliation.findings import Finding, Task
from wallet.payments.reconciliation.records import OfPayments
from wallet.payments.sessions import payment_at, text_at

Body = dict[str, Any]

OF_CHARGES = ("charge",)
OF_REFUNDS = ("refund", "refund_failure")
OF_DISPUTES = ("dispute", "dispute_reversal")
# Moves of money between Stripe and us, or our bank. They belong to no payment of a user.
NOT_OF_PAYMENTS = ("fee", "network_cost", "payout", "payout_reversal", "tax", "topup", "topup_reversal")


def compared(
    page: Sequence[Body], task: Task, *, listed_from: datetime, unknown: Counter[str]
) -> Iterator[Finding]:
    """Compare the sources of these balance transactions with the books.

    Sources created since `listed_from` are passed over: they are in the other lists. What this code does not
    know is counted in `unknown`.
    """
    start = listed_from.timestamp()
    sources: dict[str, dict[str, Body]] = {"charge": {}, "refund": {}, "dispute": {}}
    for moved in page:
        category, source = moved["reporting_category"], moved.get("source")
        if category in NOT_OF_PAYMENTS:
            continue
        kind = _kind_of(category)
        if kind is None or not isinstance(source, dict) or source.get("object") != kind:
            unknown[f"balance transactions of the category {category[:50]}"] += 1
        elif moved.get("currency") != "usd":
            unknown["balance transactions in another currency than US dollars"] += 1
        elif kind == "charge" or source["created"] < start:
            sources[kind][source["id"]] = source
    yield from facts.compared(facts.REFUNDS, list(sources["refund"].values()), task)
    yield from facts.compared(facts.DISPUTES, list(sources["dispute"].values()), task)
    yield from _of_older_sessions(list(sources["charge"].values()), task, start)


def _kind_of(category: str) -> str | None:
    kinds = {"charge": OF_CHARGES, "refund": OF_REFUNDS, "dispute": OF_DISPUTES}
    return next((kind for kind, categories in kinds.items() if category in categories), None)


def _of_older_sessions(charges: Sequence[Body], task: Task, start: float) -> Iterator[Finding]:
    """Compare the sessions of these charges that were created before `start`, so that no list had them."""
    intents = {payment_at(charge): charge for charge in charges if payment_at(charge)}
    records = OfPayments(intents)
    for intent_id, charge in intents.items():
        topup = records.of(intent_id).topup
        if not _may_be_older(charge, topup, start):
            continue
        found = stripe_lists.sessions_of_payment(intent_id)
        yield from payments.compared([each for each in found if each["created"] < start], task)


def _may_be_older(charge: Body, topup: TopUp | None, start: float) -> bool:
    if topup is not None:
        return topup.created_at.timestamp() < start
    return text_at(charge, "metadata", "type") == "wallet_topup"
