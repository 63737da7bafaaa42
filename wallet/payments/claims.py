"""Decide about a payment of Stripe once, over all wallets.

A payment has a row for its Checkout Session and a row for its payment intent (the model Payment). The first
transaction that decides about it wins; every other one waits for it and then sees the decision.

Transactions take locks in this order: the event, the rows of the payment (session, then payment intent), the
top-up, the wallet.
"""

from wallet.payments.models import Payment

State = Payment.State


def claim(
    stripe_id: str, *, session_id: str, state: Payment.State, user_id: str = "", entry_id: str = ""
) -> Payment:
    """Decide about a payment, unless that was done before. Return its row as it is now, locked.

    `state` is CREDITED or BY_HAND with the user and the id of the entry to be written, or CLOSED without
    them. The claim succeeded if the returned row has this state and entry. A payment that was closed can be
    claimed BY_HAND.
    """
    wanted = Payment(
        stripe_id=stripe_id, state=state, session_id=session_id, user_id=user_id, entry_id=entry_id
    )
    stored = _stored(wanted)
    is_open = stored.state == State.KNOWN or (stored.state == State.CLOSED and state == State.BY_HAND)
    if is_open:
        names = ("state", "session_id", "user_id", "entry_id")
        for name in names:
            setattr(stored, name, getattr(wanted, name))
        stored.save(update_fields=names)
    return stored


def known(payment_intent_id: str) -> Payment:
    """Return the row of a payment intent, locked. If there is none, insert it without a decision."""
    return _stored(Payment(stripe_id=payment_intent_id))


def of_session(session_id: str) -> Payment | None:
    """Return the row of a Checkout Session if its payment is decided; otherwise None."""
    return Payment.objects.filter(pk=session_id).exclude(state=State.KNOWN).first()


def _stored(row: Payment) -> Payment:
    # If another transaction is inserting the same row, this waits until that transaction ends.
    Payment.objects.bulk_create([row], ignore_conflicts=True)
    return Payment.objects.select_for_update().get(pk=row.pk)
