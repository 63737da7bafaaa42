"""What the page says about a top-up that a user comes back from."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from foundation import money
from wallet.books import ledger
from wallet.payments import checkout, settlement
from wallet.payments.models import TopUp

State = TopUp.State
# How long after a payment the page still thanks for it. A user may keep the address, or send it to others.
NEWS_FOR = timedelta(hours=2)


@dataclass(frozen=True)
class News:
    """What came of a checkout, in a sentence; `state` is the word for it in `top_up_state`."""

    state: str
    sentence: str = ""
    tone: str = "plain"


NO_NEWS = News("unknown")
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
LEFT = News("failed", "Payment not completed. If you did pay, your credits will appear here shortly.")


def news_of(user_id: str, *, outcome: str, session_id: str) -> News:
    """What came of the checkout a user comes back from, by our own books: the address proves nothing.

    `outcome` is the address's word (success, cancelled), `session_id` the Checkout Session if Stripe named
    one. There is no news about another user's checkout, or about one that was paid long ago.
    """
    if outcome not in ("success", "cancelled"):
        return NO_NEWS
    named = session_id.startswith("cs_")  # Stripe fills in the id after a payment only.
    topup = checkout.returning(user_id=user_id, session_id=session_id) if named else checkout.latest(user_id)
    if topup is None:
        return NO_NEWS
    if topup.state in (State.CREATING, State.CREATED):
        return _adding(topup) if outcome == "success" else LEFT
    if topup.state == State.PAID:
        return _thanks_for(topup) if outcome == "success" else NO_NEWS
    if settlement.was_settled_by_hand(topup):
        return BY_HAND
    return {State.PENDING: ON_ITS_WAY, State.EXPIRED: EXPIRED}.get(State(topup.state), FAILED)


def _adding(topup: TopUp) -> News:
    credits = money.credits(money.credits_from_cents(topup.amount_cents or 0))
    return News("waiting", f"Adding your {credits}. This usually takes a few seconds.", "warn")


def _thanks_for(topup: TopUp) -> News:
    entry = topup.entry
    if entry is None or entry.created_at < timezone.now() - NEWS_FOR:
        return News("paid")
    verb = "was" if entry.credits == 1 else "were"
    balance = money.plain(ledger.balance_of(topup.user_id))
    return News("paid", f"{money.credits(entry.credits)} {verb} added. Your balance is {balance}.", "good")
