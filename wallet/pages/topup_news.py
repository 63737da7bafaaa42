"""Decide what the wallet page says to a user who returns from a checkout."""

from datetime import timedelta

from django.utils import timezone

from wallet.payments import checkout, resolving, returning
from wallet.payments.models import TopUp

State = TopUp.State
# The page thanks the user for a payment only for this long. Later, the user may open the same address again
# from a bookmark, or another person may open it.
NEWS_FOR = timedelta(hours=2)
NO_NEWS = ("unknown", None)


def news_of(user_id: str, *, outcome: str, session_id: str) -> tuple[str, TopUp | None]:
    """Return the state of the checkout that a user returns from, and its top-up.

    The state comes from our books, because a user can change the address of the page. It is one of waiting,
    left, on_its_way, paid, failed, expired, by_hand and unknown. The top-up is None if the state is unknown,
    for example if the checkout belongs to another user. It is also None if its credits were added over
    two hours ago. `outcome` (success or cancelled) and `session_id` come from the address. `session_id` is
    the Checkout Session; Stripe adds it only after a payment.
    """
    if outcome not in ("success", "cancelled"):
        return NO_NEWS
    named = session_id.startswith("cs_")  # Stripe puts the id here only after a payment.
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
    if resolving.was_settled_by_hand(topup):
        return "by_hand", topup
    return {State.PENDING: "on_its_way", State.EXPIRED: "expired"}.get(State(topup.state), "failed"), topup


def latest_news_of(user_id: str, *, outcome: str, session_id: str) -> tuple[str, TopUp | None]:
    """Return the same as `news_of`, but ask Stripe first if our books still wait for the payment."""
    news, topup = news_of(user_id, outcome=outcome, session_id=session_id)
    if news != "waiting" or topup is None:
        return news, topup
    returning.ask_stripe(topup)
    return news_of(user_id, outcome=outcome, session_id=session_id)
