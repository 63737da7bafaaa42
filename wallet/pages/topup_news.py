"""What came of a top-up that was just made, and what a debt means."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from foundation import money
from wallet.books import ledger
from wallet.payments import checkout, settlement
from wallet.payments.models import TopUp

State = TopUp.State
# How long after a payment the page still thanks for it: later, the address was kept or sent on.
NEWS_FOR = timedelta(hours=2)


# --- A top-up that was just made --------------------------------------------------------------------


@dataclass(frozen=True)
class News:
    """What came of a checkout, in a sentence; `state` is the word for it in `top_up_state`."""

    state: str
    sentence: str = ""
    tone: str = "plain"

    @property
    def is_waiting(self) -> bool:
        """Whether the page should look again by itself."""
        return self.state == "waiting"


NO_NEWS = News("unknown")
WAITING = News(
    "waiting", "Stripe has not confirmed the payment yet. This page looks again by itself.", "warn"
)
ON_ITS_WAY = News(
    "on_its_way",
    "Your bank has not confirmed the payment yet. Credits arrive when it does; you can close this page.",
    "warn",
)
FAILED = News("failed", "The payment did not go through. Nothing was charged.", "bad")
EXPIRED = News("failed", "This checkout has expired. Nothing was charged.", "bad")
BY_HAND = News(
    "failed", "Misar settled this payment by hand. If credits were added for it, your history shows them."
)
LEFT = News("failed", "You left the checkout. If you paid all the same, the credits arrive by themselves.")


def news_of(user_id: str, *, outcome: str, session_id: str) -> News:
    """What came of the checkout a user comes back from, by our own books: the address proves nothing.

    `outcome` is the address's word (success, cancelled), `session_id` the Checkout Session where Stripe named
    it. Nothing is said of a checkout that is not the user's, or was paid long ago.
    """
    if outcome not in ("success", "cancelled"):
        return NO_NEWS
    named = session_id.startswith("cs_")  # Stripe fills the name in after a payment only.
    topup = checkout.returning(user_id=user_id, session_id=session_id) if named else checkout.latest(user_id)
    if topup is None:
        return NO_NEWS
    if topup.state in (State.CREATING, State.CREATED):
        return WAITING if outcome == "success" else LEFT
    if topup.state == State.PAID:
        return _thanks_for(topup) if outcome == "success" else NO_NEWS
    if settlement.was_settled_by_hand(topup):
        return BY_HAND
    return {State.PENDING: ON_ITS_WAY, State.EXPIRED: EXPIRED}.get(State(topup.state), FAILED)


def _thanks_for(topup: TopUp) -> News:
    entry = topup.entry
    if entry is None or entry.created_at < timezone.now() - NEWS_FOR:
        return News("paid")
    balance = ledger.balance_of(topup.user_id)
    verb = "was" if entry.credits == 1 else "were"
    added = f"{money.credits(entry.credits)} {verb} added."
    return News("paid", f"{added} Your balance is {money.plain(balance)}.", "good")


# --- Words ------------------------------------------------------------------------------------------


def debt(balance: int) -> str:
    """What a user with a balance below zero should know before they pay.

    >>> debt(-12)
    'You owe 12 credits. The first $12 of your next top-up settle this.'
    >>> debt(-1)
    'You owe 1 credit. The first dollar of your next top-up settles this.'
    """
    owed = -balance
    if owed == 1:
        return "You owe 1 credit. The first dollar of your next top-up settles this."
    return f"You owe {money.credits(owed)}. The first ${owed:,} of your next top-up settle this."
