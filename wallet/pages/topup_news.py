"""What the page says about a top-up that a user comes back from."""

from datetime import timedelta

from django.utils import timezone

from wallet.payments import checkout, settlement
from wallet.payments.models import TopUp

State = TopUp.State
# How long after a payment the page still thanks for it. A user may keep the address, or send it to others.
NEWS_FOR = timedelta(hours=2)
NO_NEWS = ("unknown", None)


def news_of(user_id: str, *, outcome: str, session_id: str) -> tuple[str, TopUp | None]:
    """What came of the checkout a user comes back from, by our own books: the address proves nothing.

    It is one of waiting, left, on_its_way, paid, failed, expired, by_hand and unknown, with the top-up that
    the page speaks of. There is none for another user's checkout, or for one that was paid long ago.
    `outcome` is the address's word (success, cancelled), `session_id` the Checkout Session if Stripe named
    one.
    """
    if outcome not in ("success", "cancelled"):
        return NO_NEWS
    named = session_id.startswith("cs_")  # Stripe fills in the id after a payment only.
    topup = checkout.returning(user_id=user_id, session_id=session_id) if named else checkout.latest(user_id)
    if topup is None:
        return NO_NEWS
    if topup.state in (State.CREATING, State.CREATED):
        return "waiting" if outcome == "success" else "left", topup
    if topup.state == State.PAID:
        if outcome == "cancelled":
            return NO_NEWS
        is_news = topup.entry is not None and topup.entry.created_at >= timezone.now() - NEWS_FOR
        return "paid", topup if is_news else None
    if settlement.was_settled_by_hand(topup):
        return "by_hand", topup
    return {State.PENDING: "on_its_way", State.EXPIRED: "expired"}.get(State(topup.state), "failed"), topup
