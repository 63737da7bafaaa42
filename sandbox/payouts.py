"""Payouts: Stripe sends what is on the balance to the merchant's bank, by itself each day, or when asked.

Money can be paid out from the second midnight (UTC) after it moved. An automatic payout knows what is in it.
Payouts are made when a program asks for them, each as of its midnight. The money of a payout that fails or is
canceled is on the balance again, and is in a later payout.
"""

import time
from itertools import groupby

from sandbox import shapes, store
from sandbox.errors import NoSuchObject, Refused
from sandbox.store import Body, Document

DAY_SECONDS = 86_400


def let_time_pass(now: float) -> None:
    """Make the automatic payouts of all midnights up to now. What does not add up to money waits a day."""
    with store.transaction():
        while due := sorted(store.due("balance_transaction", now), key=lambda moved: moved.due_at or 0):
            for midnight, group in groupby(due, key=lambda moved: int(moved.due_at or 0)):
                moves = list(group)
                if sum(moved.body["net"] for moved in moves) > 0:
                    _pay_out(moves, created=midnight)
                    continue
                for moved in moves:
                    moved.due_at = midnight + DAY_SECONDS
                    store.save(moved)


def pay_out_now() -> Document:
    """An automatic payout of all money that waits, at once."""
    with store.transaction():
        waiting = store.due("balance_transaction", float("inf"))
        if sum(moved.body["net"] for moved in waiting) <= 0:
            raise Refused("There is no money to pay out.")
        return _pay_out(waiting, created=int(time.time()))


def pay_out_by_hand(amount: int, *, status: str = "paid") -> Document:
    """A payout that the merchant asked for. Stripe does not know which transactions are in it."""
    with store.transaction():
        return _sent(amount, created=int(time.time()), automatic=False, items=[], status=status)


def fail(payout_id: str) -> Document:
    """The bank returned the money of a payout, even long after it was paid."""
    reason = {"failure_code": "could_not_process", "failure_message": "The bank could not process it."}
    return _came_back(payout_id, "failed", allowed=("pending", "paid"), **reason)


def cancel(payout_id: str) -> Document:
    """The merchant canceled a payout that was not on its way yet. Automatic ones cannot be canceled."""
    return _came_back(payout_id, "canceled", allowed=("pending",))


def items_of(payout_id: str) -> list[str]:
    """The ids of the transactions in an automatic payout, its own included; [] for other payouts."""
    payout = store.get("payout", payout_id)
    return list(payout.notes["items"]) if payout else []


def _pay_out(moves: list[Document], *, created: int) -> Document:
    for moved in moves:
        moved.due_at = None
        store.save(moved)
    amount = sum(moved.body["net"] for moved in moves)
    return _sent(amount, created=created, automatic=True, items=[moved.id for moved in moves])


def _came_back(payout_id: str, status: str, *, allowed: tuple[str, ...], **reason: str) -> Document:
    with store.transaction():
        payout = store.get("payout", payout_id)
        if payout is None:
            raise NoSuchObject("payout", payout_id, param="payout")
        if payout.body["status"] not in allowed:
            raise Refused(f"This payout is {payout.body['status']}.")
        payout.body |= {"status": status, "failure_balance_transaction": shapes.new_id("txn_1"), **reason}
        store.save(payout)
        moved = shapes.transaction_of_returned_payout(payout.body, created=int(time.time()))
        store.add(Document(moved, session=""))
    return payout


def _sent(amount: int, *, created: int, automatic: bool, items: list[str], status: str = "paid") -> Document:
    body: Body = shapes.payout(amount=amount, created=created, automatic=automatic, status=status)
    store.add(Document(shapes.transaction_of_payout(body), session=""))
    if automatic:
        items = [*items, body["balance_transaction"]]
    return store.add(Document(body, session="", notes={"items": items}))
