"""Buy credits: open a Checkout Session, and find a user's top-ups later."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from foundation import money
from foundation.errors import BillingError, KeyReused
from wallet.payments import return_urls, stripe_gateway
from wallet.payments.models import FORM_KEY_LENGTH, TopUp
from wallet.payments.sessions import is_plain

State = TopUp.State

DOLLARS_MIN = 10
DOLLARS_MAX = 100_000
# A checkout is open for one hour. LATELY is twice as long, for users who come back late.
LATELY = timedelta(hours=2)
ON_THEIR_WAY_MAX = 20
# A checkout may be opened at most this long after the top-up was created. Later, Stripe would refuse it,
# because a new checkout must stay open for at least 30 minutes.
REOPENED_AFTER_MAX = timedelta(
    seconds=stripe_gateway.SESSION_SECONDS - stripe_gateway.SESSION_SECONDS_MIN - 60
)

# The messages for a user who sends the form of a finished checkout again.
PAID = "This top-up was paid already. Nothing was charged again."
ON_ITS_WAY = "The payment of this top-up is on its way. Nothing was charged again."
ENDED = "This checkout has ended. Nothing was charged; start again."


# --- Starting ---------------------------------------------------------------------------------------


def start(*, user_id: str, amount_dollars: int, product: str, return_url: str, key: str = "") -> str:
    """Open a checkout for whole dollars (10 to 100,000) and return the URL where the user pays.

    No credits are added here. Raises StripeOutOfReach; the new top-up is then marked as failed.

    `key` is the key of a form (1 to 64 characters). If a user sends a form with the same key and amount
    again, the same checkout is returned. This is also true if the form is sent twice at the same time. Raises
    KeyReused if this checkout was paid, if its payment is on its way, or if it has ended.
    """
    assert DOLLARS_MIN <= amount_dollars <= DOLLARS_MAX, "the edge has refused anything else"
    assert len(key) <= FORM_KEY_LENGTH, "the form has refused anything longer"
    requested = TopUp(
        user_id=user_id,
        product=product,
        amount_cents=money.cents_from_dollars(amount_dollars),
        form_key=key,
        livemode=stripe_gateway.is_live(),
    )
    # Save the top-up before the call to Stripe. While we wait, no row is locked and no transaction is open.
    topup = _first_of_its_form(requested)
    is_new = topup.pk == requested.pk
    if not is_new and (address := _address_again(topup)):
        return address
    return _open(topup, return_url=return_url, is_new=is_new)


def is_open(*, user_id: str, amount_dollars: int, key: str) -> bool:
    """Return whether the checkout of this form is open or is being opened.

    If so, a user who sends the same form again gets the same checkout.
    """
    of_the_form = TopUp.objects.filter(
        user_id=user_id, form_key=key, amount_cents=money.cents_from_dollars(amount_dollars)
    )
    return of_the_form.filter(state__in=[State.CREATING, State.CREATED]).exists()


def _first_of_its_form(requested: TopUp) -> TopUp:
    """Save the requested top-up and return it. If its form has already created a top-up, return that one."""
    if not requested.form_key:
        requested.save(force_insert=True)
        return requested
    # If the form is sent twice at the same time, the constraint accepts only one row. The other request waits
    # until this row is saved, and then uses it.
    TopUp.objects.bulk_create([requested], ignore_conflicts=True)
    return TopUp.objects.get(
        user_id=requested.user_id, form_key=requested.form_key, amount_cents=requested.amount_cents
    )


def _address_again(topup: TopUp) -> str:
    """Return the URL of the checkout that this form has opened; "" if the checkout is not open yet.

    Raises KeyReused if this checkout was paid, if its payment is on its way, or if it has ended. Raises
    StripeOutOfReach.
    """
    if topup.state in (State.PAID, State.PENDING):
        raise KeyReused(PAID if topup.state == State.PAID else ON_ITS_WAY)
    if topup.state in (State.FAILED, State.EXPIRED):
        raise KeyReused(ENDED)
    if topup.stripe_session_id is None:
        # The first request is still waiting for Stripe, or it ended before the user got the URL. After
        # REOPENED_AFTER_MAX, Stripe would refuse to open the checkout.
        if timezone.now() - topup.created_at > REOPENED_AFTER_MAX:
            raise KeyReused(ENDED)
        return ""
    # Ask Stripe for the session: its state may have changed before we received an event about it.
    session = stripe_gateway.session_while_waited_for(topup.stripe_session_id) or {}
    if session.get("status") == "complete":
        raise KeyReused(PAID if session.get("payment_status") == "paid" else ON_ITS_WAY)
    if session.get("status") != "open":
        raise KeyReused(ENDED)
    return stripe_gateway.payment_page(session)


def _open(topup: TopUp, *, return_url: str, is_new: bool) -> str:
    try:
        session = stripe_gateway.create_checkout(
            topup_id=topup.pk,
            user_id=topup.user_id,
            product=topup.product,
            amount_cents=topup.amount_cents or 0,
            success_url=return_urls.success(return_url),
            cancel_url=return_urls.cancelled(return_url),
            started_at=topup.created_at,
            of_a_form=bool(topup.form_key),  # A form that is sent twice may call Stripe twice at once.
        )
        _save_session(topup, session.id)
    except BillingError as error:
        if is_new:  # If the top-up is not new, the first request may still succeed.
            creating = TopUp.objects.filter(pk=topup.pk, state=State.CREATING)
            creating.update(state=State.FAILED, remark=str(error))
        raise
    return session.url


def _save_session(topup: TopUp, session_id: str) -> None:
    """Save the id of the session that Stripe has just created for a top-up.

    Raises StripeOutOfReach if another top-up has this session: its user would pay for both.
    """
    # If an event came before Stripe's answer, the row already has the session and a later state. Then the
    # update changes nothing.
    waiting = TopUp.objects.filter(pk=topup.pk, stripe_session_id=None)
    try:
        with transaction.atomic():
            waiting.update(stripe_session_id=session_id, state=State.CREATED, remark="")
    except IntegrityError as error:
        raise stripe_gateway.wrong_answer("its new session belongs to another top-up") from error


# --- Finding top-ups --------------------------------------------------------------------------------


def returning(*, user_id: str, session_id: str) -> TopUp | None:
    """Return the user's top-up with this Checkout Session, or None if this user has no such top-up."""
    if not is_plain(session_id):
        return None
    return TopUp.objects.of_user(user_id).filter(stripe_session_id=session_id).first()


def latest(user_id: str) -> TopUp | None:
    """Return the newest top-up that the user started in the last two hours, or None."""
    return TopUp.objects.of_user(user_id).filter(created_at__gt=timezone.now() - LATELY).first()


def on_their_way(user_id: str) -> list[TopUp]:
    """Return the user's top-ups whose payment is still on its way, newest first; at most 20."""
    return list(TopUp.objects.of_user(user_id).filter(state=State.PENDING)[:ON_THEIR_WAY_MAX])
