"""The differences between Stripe and the books: their kinds, and what each kind means.

docs/checks.md says for each kind what staff should do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import TextChoices

# What happened at Stripe since then may be on its way to us: its webhook, or the next delivery of it.
ON_ITS_WAY = timedelta(minutes=15)


class Kind(TextChoices):
    """What differs, in the words of the command."""

    # Open: Stripe and the books still differ.
    UNCREDITED = "uncredited", "paid at Stripe, not credited"
    UNPAID = "unpaid", "credited, but not paid at Stripe"
    PARKED = "parked", "a person must decide"
    AMOUNT = "amount", "credited with another amount"
    PAYMENT = "payment", "credited under another session or payment intent"
    USER = "user", "credited to another user"
    CURRENCY = "currency", "credited, but not paid in US dollars"
    STATE = "state", "recorded in another state"
    REVERSAL = "reversal", "a refund or dispute that the books do not follow"
    ORPHAN = "orphan", "in the books, but not at Stripe"
    # Repaired: this run has brought the books to what Stripe says.
    CREDITED = "credited", "paid at Stripe, credited now"
    FOLLOWED = "followed", "a refund or dispute, followed now"
    UPDATED = "updated", "a record, updated now"


REPAIRED = (Kind.CREDITED, Kind.FOLLOWED, Kind.UPDATED)
# The headings of the back-office.
HEADINGS: dict[str, str] = {
    Kind.UNCREDITED: "Paid at Stripe, not credited",
    Kind.UNPAID: "Credited, but not paid at Stripe",
    Kind.PARKED: "The ledger can't follow Stripe without a review",
    Kind.AMOUNT: "Credited with another amount than paid",
    Kind.PAYMENT: "Credited under another session or payment intent",
    Kind.USER: "Credited to another user",
    Kind.CURRENCY: "Credited, but not paid in US dollars",
    Kind.STATE: "Recorded in another state than Stripe's",
    Kind.REVERSAL: "Refunds and disputes that the ledger does not follow",
    Kind.ORPHAN: "In the ledger, but unknown to Stripe",
}
# What a run has repaired, in the report that the back-office shows.
REPAIRED_HEADINGS: dict[str, str] = {
    Kind.CREDITED: "Repaired: paid at Stripe, credited by this run",
    Kind.FOLLOWED: "Repaired: refund or dispute, followed by this run",
    Kind.UPDATED: "Repaired: record, updated by this run",
}


@dataclass(frozen=True)
class Finding:
    """One difference between Stripe and the books.

    `session_id` is the Checkout Session, and `stripe_id` is the object that differs: the session itself, a
    refund, a dispute, or an entry that has none of them. `user_id` is the user of the payment in our books,
    or as Stripe says; "" if neither is known.
    """

    kind: Kind
    session_id: str
    user_id: str
    cents: int | None
    remark: str = ""
    stripe_id: str = ""

    @property
    def is_open(self) -> bool:
        """Whether Stripe and the books still differ."""
        return self.kind not in REPAIRED

    @property
    def subject(self) -> str:
        """The id at Stripe that staff search for."""
        return self.stripe_id or self.session_id


@dataclass(frozen=True)
class Task:
    """How to compare: at which time, and whether to repair what can be repaired.

    `on_answer` is called after each answer of Stripe about a single object.
    """

    at: datetime
    applies: bool
    on_answer: Callable[[], None] = lambda: None
    on_their_way: set[str] = field(default_factory=set)

    def is_on_its_way(self, stripe_id: str, happened_at: datetime | None) -> bool:
        """Return whether a report of Stripe may still come, so that a difference is no finding yet.

        If so, the id is added to `on_their_way`. With `applies`, nothing is waited for: the books are brought
        to what Stripe says at once.
        """
        if self.applies or happened_at is None or happened_at <= self.at - ON_ITS_WAY:
            return False
        self.on_their_way.add(stripe_id)
        return True
