"""Buying credits: opening a Checkout Session, and finding the user's latest one."""

from datetime import timedelta

from django.utils import timezone

from foundation import money
from foundation.errors import BillingError, KeyReused
from wallet.payments import return_urls, stripe_gateway
from wallet.payments.models import FORM_KEY_LENGTH, TopUp
from wallet.payments.sessions import is_plain, text_at

State = TopUp.State

DOLLARS_MIN = 10
DOLLARS_MAX = 100_000
# Twice the hour of a checkout, for a user who comes back late.
LATELY = timedelta(hours=2)
ON_THEIR_WAY_MAX = 20
# A checkout may be opened this long after the top-up was created; Stripe requires at least 30 minutes until
# it expires.
REOPENED_AFTER_MAX = timedelta(
    seconds=stripe_gateway.SESSION_SECONDS - stripe_gateway.SESSION_SECONDS_MIN - 60
)

# What the form of a checkout that is over says when it is sent again.
PAID = "This top-up was paid already. Nothing was charged again."
ON_ITS_WAY = "The payment of this top-up is on its way. Nothing was charged again."
ENDED = "This checkout has ended. Nothing was charged; start again."


# --- Starting ---------------------------------------------------------------------------------------


def start(*, user_id: str, amount_dollars: int, product: str, return_url: str, key: str = "") -> str:
    """Open a checkout for whole dollars (10 to 100,000) and return the URL where the user pays.

    Nothing is credited here. Raises StripeOutOfReach; the top-up is then closed as failed.

    With a form's key (1 to 64 characters), the same user and amount again get the same checkout, also if the
    form is sent twice at once. Raises KeyReused if that checkout was paid, its payment
    is on its way, or it has ended.
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
    # Committed before the call to Stripe: no row is locked and no transaction open while we wait.
    topup = _first_of_its_form(requested)
    is_new = topup.pk == requested.pk
    if not is_new and (address := _address_again(topup)):
        return address
    return _open(topup, return_url=return_url, is_new=is_new)


def is_open(*, user_id: str, amount_dollars: int, key: str) -> bool:
    """Whether the checkout of this form is being opened or is open: the form sent again still leads there."""
    of_the_form = TopUp.objects.filter(
        user_id=user_id, form_key=key, amount_cents=money.cents_from_dollars(amount_dollars)
    )
    return of_the_form.filter(state__in=[State.CREATING, State.CREATED]).exists()


def _first_of_its_form(requested: TopUp) -> TopUp:
    """The requested top-up, now saved, or the one that its form created before."""
    if not requested.form_key:
        requested.save(force_insert=True)
        return requested
    # If the form is sent twice at once, the constraint accepts one row and the other request waits for it.
    TopUp.objects.bulk_create([requested], ignore_conflicts=True)
    return TopUp.objects.get(
        user_id=requested.user_id, form_key=requested.form_key, amount_cents=requested.amount_cents
    )


def _address_again(topup: TopUp) -> str:
    """The URL of the checkout of a form that was sent before; "" while it is being opened.

    Raises KeyReused if that checkout is over.
    """
    if topup.state in (State.PAID, State.PENDING):
        raise KeyReused(PAID if topup.state == State.PAID else ON_ITS_WAY)
    if topup.state in (State.FAILED, State.EXPIRED):
        raise KeyReused(ENDED)
    if topup.stripe_session_id is None:
        # The request ended before the user got the URL. After this time Stripe would refuse to open it.
        if timezone.now() - topup.created_at > REOPENED_AFTER_MAX:
            raise KeyReused(ENDED)
        return ""
    # Stripe may know more than its events have said so far.
    session = stripe_gateway.session_while_waited_for(topup.stripe_session_id) or {}
    if session.get("status") == "complete":
        raise KeyReused(PAID if session.get("payment_status") == "paid" else ON_ITS_WAY)
    if session.get("status") != "open":
        raise KeyReused(ENDED)
    return text_at(session, "url")


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
            of_a_form=bool(topup.form_key),  # The second request may reach Stripe first.
        )
    except BillingError as error:
        if is_new:  # Otherwise the first request decides; it may still be waiting for Stripe.
            creating = TopUp.objects.filter(pk=topup.pk, state=State.CREATING)
            creating.update(state=State.FAILED, remark=str(error))
        raise
    # Unless an event came before Stripe's answer: then the row has the session already, and a later state.
    waiting = TopUp.objects.filter(pk=topup.pk, stripe_session_id=None)
    waiting.update(stripe_session_id=session.id, state=State.CREATED, remark="")
    return session.url


# --- Looking back -----------------------------------------------------------------------------------


def returning(*, user_id: str, session_id: str) -> TopUp | None:
    """The user's own top-up of a Checkout Session; None for another user's or an unknown one."""
    if not is_plain(session_id):
        return None
    return TopUp.objects.of_user(user_id).filter(stripe_session_id=session_id).first()


def latest(user_id: str) -> TopUp | None:
    """The newest top-up that the user started within the last two hours."""
    return TopUp.objects.of_user(user_id).filter(created_at__gt=timezone.now() - LATELY).first()


def on_their_way(user_id: str) -> list[TopUp]:
    """The user's payments that have not arrived yet, newest first, at most 20."""
    return list(TopUp.objects.of_user(user_id).filter(state=State.PENDING)[:ON_THEIR_WAY_MAX])
