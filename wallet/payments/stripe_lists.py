"""Lists and single objects of Stripe, for reconciliation: sessions, refunds, disputes, balance transactions.

A list is read in pages of 100 objects, newest first. Stripe allows about 100 reads a second, more than calls
one after the other can make. The fields that reconciliation uses have the right type, or the caller gets
StripeOutOfReach. Linked objects are expanded, at most four levels deep, as far as Stripe does it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from wallet.payments import stripe_gateway
from wallet.payments.stripe_gateway import (
    NAME,
    STRIPE_ID,
    answer_of,
    is_time,
    object_or_none,
    wrong_answer,
)

Body = dict[str, Any]

PAGE_SIZE = 100
# More objects than any day has. The limit ends a list that never ends by itself.
LISTED_MAX = 1_000_000
# Stripe's ids have no other characters. Another text in an address could ask for something else.
ASKABLE = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
CURRENCY = re.compile(r"[a-z]{3}", re.ASCII)
# PostgreSQL's bigint.
AMOUNT_MAX = 2**63 - 1
OF_SESSIONS = ("payment_intent.latest_charge",)


@dataclass(frozen=True)
class Kind:
    """One list of Stripe: where the client has it, what is expanded in it, and the check of its objects."""

    name: str
    service: Callable[[Any], Any]
    expand: tuple[str, ...]
    check: Callable[[Any], Body]
    filters: tuple[tuple[str, str], ...] = ()


# --- What we use of an object -----------------------------------------------------------------------


def _session(value: object) -> Body:
    session = stripe_gateway.checked(value)
    intent = session.get("payment_intent")
    if isinstance(intent, dict):
        _require_id(intent, "payment_intent")
        _require(intent.get("amount_received"), int | None, "amount_received")
        _require(intent.get("status"), str | None, "the status of a payment intent")
        charge = intent.get("latest_charge")
        if isinstance(charge, dict):
            _require_times(charge)
    return session


def _refund(value: object) -> Body:
    refund = _movable(value, "refund")
    _require(refund.get("amount"), int, "the amount of a refund")
    moved_back = refund.get("failure_balance_transaction")
    if isinstance(moved_back, dict):
        _require_times(moved_back)
    return refund


def _dispute(value: object) -> Body:
    dispute = _movable(value, "dispute")
    _require(dispute.get("amount"), int, "the amount of a dispute")
    moves = dispute.get("balance_transactions")
    _require(moves, list | None, "balance_transactions")
    for move in moves or ():
        _require(move, dict, "a balance transaction")
        _require_id(move, "balance_transaction")
        _require_times(move)
        _require(move.get("amount"), int, "the amount of a balance transaction")
    return dispute


def _movable(value: object, name: str) -> Body:
    """A refund or a dispute, as far as both are the same."""
    _require(value, dict, name)
    assert isinstance(value, dict)
    _require_id(value, name)
    _require_times(value)
    _require_name(value.get("status"), "the status")
    return value


def _balance_transaction(value: object) -> Body:
    _require(value, dict, "a balance transaction")
    assert isinstance(value, dict)
    _require_id(value, "balance_transaction")
    _require_times(value)
    _require(value.get("amount"), int, "the amount of a balance transaction")
    _require_name(value.get("reporting_category"), "reporting_category")
    source = value.get("source")
    if isinstance(source, dict):
        check = {"refund": _refund, "dispute": _dispute, "charge": _charge}.get(str(source.get("object")))
        if check:
            check(source)
    return value


def _movement(value: object) -> Body:
    moved = _balance_transaction(value)
    _require(moved.get("fee"), int, "the fee of a balance transaction")
    _require_currency(moved)
    return moved


def _payout(value: object) -> Body:
    payout = _movable(value, "payout")
    _require(payout.get("amount"), int, "the amount of a payout")
    _require(payout.get("automatic"), bool, "automatic")
    _require_name(payout.get("reconciliation_status"), "reconciliation_status")
    _require_currency(payout)
    if not is_time(payout.get("arrival_date")):
        raise wrong_answer("arrival_date is no time")
    return payout


def _require_currency(value: Body) -> None:
    if not CURRENCY.fullmatch(str(value.get("currency"))):
        raise wrong_answer("the currency is no currency")


def _charge(value: Body) -> Body:
    _require_id(value, "charge")
    return value


def _require(value: object, wanted: Any, name: str) -> None:
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise wrong_answer(f"{name} has the wrong type")
    if isinstance(value, int) and abs(value) > AMOUNT_MAX:
        raise wrong_answer(f"{name} is too large to be stored")


def _require_name(value: object, name: str) -> None:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise wrong_answer(f"{name} is no name")


def _require_id(value: Body, name: str) -> None:
    if value.get("object") != name or not isinstance(value.get("id"), str):
        raise wrong_answer(f"it is no {name}")
    if not STRIPE_ID.fullmatch(value["id"]):
        raise wrong_answer("its id is no id")


def _require_times(value: Body) -> None:
    if not is_time(value.get("created")):
        raise wrong_answer("created is no time")


# --- The lists --------------------------------------------------------------------------------------

SESSIONS = Kind(
    "checkout.session",
    lambda client: client.v1.checkout.sessions,
    OF_SESSIONS,
    _session,
    filters=(("status", "complete"),),
)
REFUNDS = Kind(
    "refund",
    lambda client: client.v1.refunds,
    ("payment_intent", "failure_balance_transaction"),
    _refund,
)
DISPUTES = Kind("dispute", lambda client: client.v1.disputes, ("payment_intent",), _dispute)
BALANCE_TRANSACTIONS = Kind(
    "balance_transaction", lambda client: client.v1.balance_transactions, ("source",), _balance_transaction
)

# The same list for what a month comes to: it needs fees, and links of all kinds.
MOVEMENTS = replace(BALANCE_TRANSACTIONS, check=_movement)
PAYOUTS = Kind("payout", lambda client: client.v1.payouts, (), _payout)


def pages(kind: Kind, *, first: datetime, end: datetime) -> Iterator[list[Body]]:
    """Yield the objects that were created from `first` on and before `end`, in pages, newest first.

    Of the sessions only those that the user completed. Raises StripeOutOfReach, also if the list repeats an
    object or does not end.
    """
    return _pages(kind, {"created": _between(first, end)} | dict(kind.filters))


def sessions_of_payment(payment_intent_id: str) -> list[Body]:
    """Return the Checkout Sessions of a payment intent: one, or none. Raises StripeOutOfReach."""
    return next(_pages(SESSIONS, {"payment_intent": payment_intent_id}), [])


def refunds_of_payment(payment_intent_id: str) -> list[Body]:
    """Return the refunds of a payment intent. Raises StripeOutOfReach."""
    return [each for page in _pages(REFUNDS, {"payment_intent": payment_intent_id}) for each in page]


def movements_in_payout(payout_id: str) -> Iterator[list[Body]]:
    """Yield the balance transactions in an automatic payout, its own included. Raises StripeOutOfReach.

    Of other payouts Stripe does not know what is in them.
    """
    return _pages(MOVEMENTS, {"payout": payout_id})


def has_any(kind: Kind, *, first: datetime, end: datetime) -> bool:
    """Return whether an object was created from `first` on and before `end`. Raises StripeOutOfReach."""
    params = {"created": _between(first, end), "limit": 1} | dict(kind.filters)
    return bool(_page(kind, params)[0])


def _between(first: datetime, end: datetime) -> dict[str, int]:
    return {"gte": int(first.timestamp()), "lt": int(end.timestamp())}


def _pages(kind: Kind, filters: Body) -> Iterator[list[Body]]:
    params = filters | {"limit": PAGE_SIZE, "expand": [f"data.{path}" for path in kind.expand]}
    seen: set[str] = set()
    has_more = True
    while has_more:
        page, has_more = _page(kind, params)
        ids = [each["id"] for each in page]
        seen_before = len(seen)
        seen.update(ids)
        if len(seen) < seen_before + len(ids) or len(seen) > LISTED_MAX or (has_more and not ids):
            raise wrong_answer("its list repeats itself or does not end")
        if page:
            yield page
        params = params | {"starting_after": ids[-1] if ids else ""}


def _page(kind: Kind, params: Body) -> tuple[list[Body], bool]:
    """One page of a list, and whether more pages follow."""
    page = answer_of(lambda client: kind.service(client).list(params=params))
    objects, has_more = page.get("data"), page.get("has_more")
    if not isinstance(objects, list) or not isinstance(has_more, bool):
        raise wrong_answer("it is no list")
    return [kind.check(each) for each in objects], has_more


# --- One object -------------------------------------------------------------------------------------


def session(session_id: str) -> Body | None:
    """Return a session as Stripe has it now; None if Stripe knows no such session.

    Raises StripeOutOfReach.
    """
    if not ASKABLE.fullmatch(session_id):
        return None
    found = stripe_gateway.retrieve_session(session_id, expand=OF_SESSIONS)
    return None if found is None else _session(found)


def one(kind: Kind, object_id: str) -> Body | None:
    """Return a refund or a dispute as Stripe has it now; None if Stripe does not know it.

    Raises StripeOutOfReach.
    """
    if not ASKABLE.fullmatch(object_id):
        return None
    params = {"expand": list(kind.expand)}
    found = object_or_none(lambda client: kind.service(client).retrieve(object_id, params=params))
    if found is None:
        return None
    if kind.check(found)["id"] != object_id:
        raise wrong_answer("it is another object than the one we asked for")
    return found
