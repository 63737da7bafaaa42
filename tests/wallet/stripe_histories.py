"""Made-up histories of payments at Stripe, with the events that Stripe would send of them.

A history is drawn step by step. Each event has its object as it was at that moment. What the books should be
at the end is counted beside it in plain numbers, and only from what happened, not from the events.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st

from tests.wallet.reversed import charge_of, dispute_of, event_of, refund_of

BEGINNING = 1_790_000_000
USERS = ("usr_1", "usr_2")
ALIVE = ("pending", "requires_action", "succeeded")
DEAD = ("failed", "canceled")


@dataclass
class MadeUpPayment:
    """One payment at Stripe."""

    number: int
    user_id: str
    cents: int
    sinks: bool
    """Whether `amount_refunded` of its charge sinks again when a refund fails."""
    is_paid: bool = False
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    disputes: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunded_cents: int = 0

    @property
    def session_id(self) -> str:
        return f"cs_{self.number}"

    @property
    def intent_id(self) -> str:
        return f"pi_{self.number}"

    @property
    def session(self) -> dict[str, Any]:
        return {
            "id": self.session_id,
            "object": "checkout.session",
            "mode": "payment",
            "payment_status": "paid" if self.is_paid else "unpaid",
            "status": "complete",
            "amount_total": self.cents,
            "currency": "usd",
            "livemode": False,
            "payment_intent": self.intent_id,
            "metadata": {"type": "wallet_topup", "user_id": self.user_id, "product": "blog"},
        }

    @property
    def credits(self) -> int:
        """The credits that its user should have of it."""
        if not self.is_paid:
            return 0
        gone = sum(refund["amount"] for refund in self.refunds.values() if refund["status"] not in DEAD)
        moved = [each["amount"] for one in self.disputes.values() for each in one["balance_transactions"]]
        left = self.cents - gone - max(0, -sum(moved))
        return max(0, left) // 100


class History:
    """Payments, and the events that Stripe sent of them, oldest first."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.now = BEGINNING
        self.payments: list[MadeUpPayment] = []
        self.events: list[dict[str, Any]] = []
        for number in range(draw(st.integers(1, 3))):
            self._begin(number)
        for _ in range(draw(st.integers(0, 8))):
            payment = draw(st.sampled_from(self.payments))
            steps = [
                self._refund,
                self._change_refund,
                self._dispute,
                self._move_dispute,
                self._close_dispute,
            ]
            draw(st.sampled_from(steps))(payment)

    def balance_of(self, user_id: str) -> int:
        return sum(payment.credits for payment in self.payments if payment.user_id == user_id)

    def last_reports(self) -> list[dict[str, Any]]:
        """An event of each object, as it is at the end."""
        since = len(self.events)
        for payment in self.payments:
            self._tell("checkout.session.async_payment_succeeded", payment.session)
            for refund in payment.refunds.values():
                self._tell("refund.updated", refund)
            for dispute in payment.disputes.values():
                self._tell("charge.dispute.updated", dispute)
        reports, self.events = self.events[since:], self.events[:since]
        return reports

    def _tell(self, type: str, about: dict[str, Any]) -> None:
        # Stripe counts in whole seconds, so several events may have the same time.
        self.now += self.draw(st.sampled_from([0, 0, 1, 3600]))
        number = len(self.events)
        self.events.append(event_of(type, copy.deepcopy(about), id=f"evt_{number}", created=self.now))

    def _begin(self, number: int) -> None:
        user_id, cents = self.draw(st.sampled_from(USERS)), self.draw(st.integers(100, 4000))
        payment = MadeUpPayment(number, user_id, cents, sinks=self.draw(st.booleans()))
        self.payments.append(payment)
        if self.draw(st.booleans()):  # A delayed method of payment.
            self._tell("checkout.session.completed", payment.session)
            payment.is_paid = True
            self._tell("checkout.session.async_payment_succeeded", payment.session)
        else:
            payment.is_paid = True
            self._tell("checkout.session.completed", payment.session)

    def _refund(self, payment: MadeUpPayment) -> None:
        alive = [each["amount"] for each in payment.refunds.values() if each["status"] not in DEAD]
        if sum(alive) >= payment.cents:
            return
        cents = self.draw(st.integers(1, payment.cents - sum(alive)))
        id = f"re_{payment.number}_{len(payment.refunds)}"
        status = self.draw(st.sampled_from(ALIVE))
        payment.refunds[id] = refund_of(payment.intent_id, cents, id=id, status=status, created=self.now)
        payment.refunded_cents += cents
        told = [
            ("refund.created", payment.refunds[id]),
            ("charge.refunded", charge_of(payment.intent_id, payment.refunded_cents, amount=payment.cents)),
        ]
        for type, about in self.draw(st.permutations(told)):
            self._tell(type, about)

    def _change_refund(self, payment: MadeUpPayment) -> None:
        alive = [each for each in payment.refunds.values() if each["status"] not in DEAD]
        if not alive:
            return
        refund = self.draw(st.sampled_from(alive))
        refund["status"] = self.draw(st.sampled_from(ALIVE + DEAD))
        if refund["status"] in DEAD and payment.sinks:
            payment.refunded_cents -= refund["amount"]
        types = ["refund.updated", "charge.refund.updated"]
        if refund["status"] == "failed":
            types.append("refund.failed")
        for type in self.draw(st.lists(st.sampled_from(types), min_size=1, max_size=2)):
            self._tell(type, refund)

    def _dispute(self, payment: MadeUpPayment) -> None:
        id = f"dp_{payment.number}_{len(payment.disputes)}"
        status = self.draw(st.sampled_from(["needs_response", "warning_needs_response"]))
        cents = self.draw(st.sampled_from([payment.cents, (payment.cents + 1) // 2]))
        payment.disputes[id] = dispute_of(payment.intent_id, id=id, status=status, amount=cents)
        if self.draw(st.booleans()):  # The money may be gone before the dispute is first reported.
            self._move(payment.disputes[id], -cents)
        self._tell("charge.dispute.created", payment.disputes[id])

    def _move_dispute(self, payment: MadeUpPayment) -> None:
        if not payment.disputes:
            return
        dispute = self.draw(st.sampled_from(list(payment.disputes.values())))
        taken = -sum(each["amount"] for each in dispute["balance_transactions"])
        if taken:
            self._move(dispute, self.draw(st.sampled_from([taken, (taken + 1) // 2])))
            self._tell("charge.dispute.funds_reinstated", dispute)
        elif len(dispute["balance_transactions"]) < 3:
            self._move(dispute, -dispute["amount"])
            self._tell("charge.dispute.funds_withdrawn", dispute)

    def _close_dispute(self, payment: MadeUpPayment) -> None:
        if not payment.disputes:
            return
        dispute = self.draw(st.sampled_from(list(payment.disputes.values())))
        dispute["status"] = self.draw(st.sampled_from(["won", "lost", "warning_closed", "prevented"]))
        self._tell("charge.dispute.closed", dispute)

    def _move(self, dispute: dict[str, Any], cents: int) -> None:
        number = len(dispute["balance_transactions"])
        moved = {"id": f"txn_{dispute['id']}_{number}", "amount": cents, "currency": "usd"}
        dispute["balance_transactions"].append(moved)


@st.composite
def histories(draw: Any) -> History:
    """A made-up history."""
    return History(draw)
