"""Buying credits: from the wish to the paid Checkout Session.

Whatever tells of a session (a webhook, twenty at once, or reconciliation weeks later) ends in `settle`,
which may run any number of times and credits once. Staff may have resolved a payment by hand instead
(`webhooks.resolve`): then it is never credited here.

Locks are taken in this order: the Checkout Session (`hold`), its event, its top-up, the wallet.
"""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.misar_ids import is_misar_id
from foundation import money
from foundation.database.transactions import retried
from foundation.errors import BillingError
from wallet import ledger, receipts, return_urls, stripe_gateway
from wallet.errors import CheckoutOver, TopUpDone
from wallet.models import FORM_KEY_LENGTH, PRODUCT_LENGTH, STRIPE_ID_LENGTH, Entry, StripeEvent, TopUp
from wallet.stripe_gateway import text_at

logger = logging.getLogger(__name__)

DOLLARS_MIN = 10
DOLLARS_MAX = 100_000
# What a paid session may hold, in cents (contract 13).
PAID_CENTS_MIN = 100
PAID_CENTS_MAX = 10_000_000
# Twice a checkout's hour: for a person who comes back.
LATELY = timedelta(hours=2)
ON_THEIR_WAY_MAX = 20
# So long after its start a checkout can be opened that will last as long as Stripe wants it to.
REOPENED_AFTER_MAX = timedelta(
    seconds=stripe_gateway.SESSION_SECONDS - stripe_gateway.SESSION_SECONDS_MIN - 60
)

State = TopUp.State


NOT_PAID = "Stripe has no money yet: it waits for the bank, or the bank refused. Nothing was credited."
RESOLVED_REMARK = "Its payment was resolved by hand."


class Parked(Exception):
    """Raised when a session is for us but cannot be credited: staff must look, and trying again is no use."""


@dataclass(frozen=True)
class Checkout:
    """What a session says, once it has been judged."""

    session_id: str
    topup_id: str
    user_id: str
    product: str
    payment_intent_id: str
    livemode: bool
    # None while no money is there.
    paid_cents: int | None


# --- Starting ---------------------------------------------------------------------------------------


def start(*, user_id: str, amount_dollars: int, product: str, return_url: str, key: str = "") -> str:
    """Open a checkout for whole dollars (10 to 100,000) and return the address to send the user to.

    Nothing is credited here. Raises StripeOutOfReach; the top-up is then closed as failed.

    With a form's one-time key (1 to 64 characters), the same user and amount again come to the same checkout,
    also when both are sent at once. Raises TopUpDone where it was paid or its payment is on its way, and
    CheckoutOver where it has ended.
    """
    assert DOLLARS_MIN <= amount_dollars <= DOLLARS_MAX, "the edge has refused anything else"
    assert len(key) <= FORM_KEY_LENGTH, "the form has refused anything longer"
    wish = TopUp(
        user_id=user_id,
        product=product,
        amount_cents=money.cents_from_dollars(amount_dollars),
        form_key=key,
        livemode=stripe_gateway.is_live(),
    )
    # Committed before Stripe is asked: no row is locked and no transaction open while we wait.
    topup = _first_of_its_form(wish)
    is_new = topup.pk == wish.pk
    if not is_new and (address := _address_again(topup)):
        return address
    return _open(topup, return_url=return_url, is_new=is_new)


def is_open(*, user_id: str, amount_dollars: int, key: str) -> bool:
    """Whether the checkout of this form is being opened, or was: the form sent again still leads there."""
    of_the_form = TopUp.objects.filter(
        user_id=user_id, form_key=key, amount_cents=money.cents_from_dollars(amount_dollars)
    )
    return of_the_form.filter(state__in=[State.CREATING, State.CREATED]).exists()


def _first_of_its_form(wish: TopUp) -> TopUp:
    """The wish itself, written down; or the one that its form asked for before."""
    if not wish.form_key:
        wish.save(force_insert=True)
        return wish
    # Of two sent at once the constraint lets one in, and makes the other wait until it is there.
    TopUp.objects.bulk_create([wish], ignore_conflicts=True)
    return TopUp.objects.get(user_id=wish.user_id, form_key=wish.form_key, amount_cents=wish.amount_cents)


def _address_again(topup: TopUp) -> str:
    """Where a form leads that was sent before: to its checkout, or "" where that is only being opened.

    Raises TopUpDone and CheckoutOver.
    """
    if topup.state in (State.PAID, State.PENDING):
        raise TopUpDone(on_its_way=topup.state == State.PENDING)
    if topup.state in (State.FAILED, State.EXPIRED):
        raise CheckoutOver
    if topup.stripe_session_id is None:
        # Cut off before anybody was told the address. Stripe would not open it any more either.
        if timezone.now() - topup.created_at > REOPENED_AFTER_MAX:
            raise CheckoutOver
        return ""
    # Stripe may know more than its events have told so far.
    session = stripe_gateway.session_while_waited_for(topup.stripe_session_id) or {}
    if session.get("status") == "complete":
        raise TopUpDone(on_its_way=session.get("payment_status") != "paid")
    if session.get("status") != "open":
        raise CheckoutOver
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
            of_a_form=bool(topup.form_key),  # The second one may come to Stripe first.
        )
    except BillingError as error:
        if is_new:  # Else the first request, which may be waiting for Stripe still, has the say.
            creating = TopUp.objects.filter(pk=topup.pk, state=State.CREATING)
            creating.update(state=State.FAILED, remark=str(error))
        raise
    # Unless Stripe's word has overtaken its own answer: then the row has the session, and is further on.
    waiting = TopUp.objects.filter(pk=topup.pk, stripe_session_id=None)
    waiting.update(stripe_session_id=session.id, state=State.CREATED, remark="")
    return session.url


# --- Looking back -----------------------------------------------------------------------------------


def returning(*, user_id: str, session_id: str) -> TopUp | None:
    """The user's own top-up of a Checkout Session; None for anybody else's, or one never heard of."""
    if not _is_plain(session_id):
        return None
    return TopUp.objects.of_user(user_id).filter(stripe_session_id=session_id).first()


def latest(user_id: str) -> TopUp | None:
    """The newest top-up that the user asked for within the last two hours."""
    return TopUp.objects.of_user(user_id).filter(created_at__gt=timezone.now() - LATELY).first()


def on_their_way(user_id: str) -> list[TopUp]:
    """The user's payments that were made and have not arrived, newest first, at most 20."""
    return list(TopUp.objects.of_user(user_id).filter(state=State.PENDING)[:ON_THEIR_WAY_MAX])


# --- Settling ---------------------------------------------------------------------------------------


def is_ours(session: dict[str, Any]) -> bool:
    """Whether a session is a top-up of this wallet: its metadata says so, nothing else does."""
    return text_at(session, "metadata", "type") == "wallet_topup"


@retried
def settle(session: dict[str, Any], *, happened_at: datetime, unpaid: State = State.PENDING) -> str:
    """Bring the books to what Stripe says of this session, and return a remark for staff, mostly empty.

    Paid means credited, once per session over all wallets; anything else moves no credits and only
    leads an open top-up to the `unpaid` state. Raises Parked where it cannot be credited, or where staff
    resolved its payment by hand.
    """
    if session.get("mode") != "payment":
        return "Not a payment: nothing to credit."
    checkout = judge(session)
    status = session.get("payment_status")
    if status == "paid":
        return _credit(checkout, happened_at=happened_at)
    if status == "no_payment_required":
        unpaid = State.FAILED  # Nothing is on its way.
    with transaction.atomic():
        hold(checkout.session_id)
        if was_resolved(checkout.session_id):
            return "Its payment was resolved by hand."  # Nothing is on its way any more.
        topup = _topup_of(checkout)
        if topup.state in (State.CREATING, State.CREATED, State.PENDING):
            _save(topup, state=unpaid, payment_intent_id=checkout.payment_intent_id)
    return "" if status == "unpaid" else "No money came with it: nothing to credit."


@retried
@transaction.atomic
def settle_as_told(session: dict[str, Any]) -> str:
    """Bring the books to what Stripe answered of a session just now; tell what it said and what followed."""
    if not is_ours(session):
        return "Stripe does not call this a top-up of the wallet; nothing was changed."
    status = session.get("status")
    if status == "open":
        return "Stripe still waits for the user to pay; nothing was changed."
    session_id = text_at(session, "id")
    hold(session_id)
    credited = TopUp.objects.filter(stripe_session_id=session_id, state=State.PAID)
    was_credited = credited.exists()
    created_at = datetime.fromtimestamp(session["created"], tz=UTC)
    unpaid = State.EXPIRED if status == "expired" else State.PENDING
    try:
        remark = settle(session, happened_at=created_at, unpaid=unpaid)
    except Parked as parked:
        return f"It cannot be credited: {parked}"
    if session.get("payment_status") != "paid":
        return "Stripe calls it expired." if status == "expired" else remark or NOT_PAID
    if was_credited:
        return "Stripe calls it paid, and its credits had come in already."
    entry = Entry.objects.get(topup__in=credited)
    return f"Stripe calls it paid: {money.credits(entry.credits)} came in. {remark}".strip()


def judge(session: dict[str, Any]) -> Checkout:
    """What a session says, or Parked with the reason."""
    session_id = text_at(session, "id")
    user_id = text_at(session, "metadata", "user_id")
    product = text_at(session, "metadata", "product")
    if not _is_plain(session_id):
        raise Parked("The session has no id.")
    if not is_misar_id(user_id):
        raise Parked("metadata.user_id is missing or malformed.")
    if session.get("livemode") not in (None, False, True):
        raise Parked("livemode is neither true nor false.")
    if bool(session.get("livemode")) != stripe_gateway.is_live():
        raise Parked("Its livemode does not match the mode of our Stripe key.")
    topup_id, intent = text_at(session, "metadata", "topup_id"), text_at(session, "payment_intent")
    return Checkout(
        session_id=session_id,
        topup_id=plain_or_nothing(topup_id),
        user_id=user_id,
        product=product[:PRODUCT_LENGTH] if product.isprintable() else "",
        payment_intent_id=plain_or_nothing(intent),
        livemode=bool(session.get("livemode")),
        paid_cents=_paid_cents(session) if session.get("payment_status") == "paid" else None,
    )


def _paid_cents(session: dict[str, Any]) -> int:
    currency, amount = session.get("currency"), session.get("amount_total")
    if currency != "usd":
        raise Parked("The payment is not in US dollars.")
    if type(amount) is not int:
        raise Parked("amount_total is not an integer.")
    if not PAID_CENTS_MIN <= amount <= PAID_CENTS_MAX:
        raise Parked(f"amount_total is {amount} cents, outside {PAID_CENTS_MIN} to {PAID_CENTS_MAX}.")
    return amount


@transaction.atomic
def _credit(checkout: Checkout, *, happened_at: datetime) -> str:
    paid_cents = checkout.paid_cents
    assert paid_cents is not None
    hold(checkout.session_id)
    topup = _topup_of(checkout)
    if topup.state == State.PAID:
        return topup.remark
    if was_resolved(checkout.session_id):
        raise Parked("This payment was resolved by hand before: it is not credited again.")
    entry = ledger.credit(
        user_id=checkout.user_id,
        credits=money.credits_from_cents(paid_cents),
        kind=Entry.Kind.TOPUP,
        actor="stripe",
        product=checkout.product or topup.product,
        stripe_session_id=checkout.session_id,
        effective_at=happened_at,
    )
    remark = ""
    if topup.amount_cents not in (None, paid_cents):
        remark = f"Paid {money.dollars(paid_cents)}, asked for {money.dollars(topup.amount_cents or 0)}."
    _save(
        topup,
        state=State.PAID,
        paid_cents=paid_cents,
        paid_at=happened_at,
        entry=entry,
        payment_intent_id=checkout.payment_intent_id,
        remark=remark,
    )
    receipts.queue(topup)
    return remark


def hold(session_id: str) -> None:
    """Take turns on a Checkout Session until the caller's transaction ends; "" is nobody's session.

    Whoever credits a session and whoever resolves it by hand comes through here first. A lock on a row would
    not do: reconciliation may credit a session of which there is no event and no top-up yet.
    """
    if session_id:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"checkout {session_id}"]
            )


def was_resolved(session_id: str) -> bool:
    """Whether staff resolved the payment of this session by hand: gave its credits, or closed its event.

    Exact only for whoever holds the session.
    """
    given = Entry.objects.filter(stripe_session_id=session_id, kind=Entry.Kind.ADJUSTMENT)
    if not session_id or given.exists():
        return bool(session_id)
    closed = StripeEvent.objects.of_session(session_id).filter(state=StripeEvent.State.RESOLVED)
    return any(tells_of_payment(event) for event in closed)


def tells_of_payment(event: StripeEvent) -> bool:
    """Whether a stored event of a checkout says that it was paid, or cannot be read and so may say it."""
    session = _session_in(event.payload)
    return session is None or text_at(session, "payment_status") == "paid"


def session_of(event: StripeEvent) -> dict[str, Any]:
    """The session a stored event tells of, as Stripe wrote it; {} where there is none to read."""
    return _session_in(event.payload) or {}


def _session_in(payload: str) -> dict[str, Any] | None:
    """None where nobody can read it: no JSON, or nested too deeply."""
    try:
        told = json.loads(payload or "{}")
    except (ValueError, RecursionError):
        return None
    data = told.get("data") if isinstance(told, dict) else None
    session = data.get("object") if isinstance(data, dict) else None
    return session if isinstance(session, dict) else {}


def close_resolved(session_id: str, *, given_to: str = "") -> None:
    """End the wait of a session's open top-up, whoever's it is: staff resolved its payment by hand.

    `given_to` is the Misar ID that got the credits, "" where nobody did.
    """
    waiting = TopUp.objects.locked().filter(stripe_session_id=session_id)
    for topup in waiting.filter(state__in=[State.CREATED, State.PENDING]):
        elsewhere = given_to not in ("", topup.user_id)
        remark = f"{RESOLVED_REMARK} The credits went to {given_to}." if elsewhere else RESOLVED_REMARK
        _save(topup, state=State.FAILED, remark=remark)


def was_settled_by_hand(topup: TopUp) -> bool:
    """Whether a top-up failed only because staff settled its payment themselves."""
    return topup.state == State.FAILED and was_resolved(topup.stripe_session_id or "")


def _topup_of(checkout: Checkout) -> TopUp:
    """Our record of the session, locked; made now where there is none. Parked where it names another user."""
    topup = TopUp.objects.locked().filter(stripe_session_id=checkout.session_id).first()
    if topup is None:
        topup = _claim(checkout) or _make(checkout)
    if topup.user_id != checkout.user_id:
        raise Parked(f"Our record of the session ({topup.pk}) names another user.")
    return topup


def _claim(checkout: Checkout) -> TopUp | None:
    """The top-up that asked for this session and was cut off before it learnt its id."""
    topup = TopUp.objects.locked().filter(pk=checkout.topup_id, stripe_session_id=None).first()
    if topup and topup.user_id == checkout.user_id:
        _save(topup, stripe_session_id=checkout.session_id)
    return topup


def _make(checkout: Checkout) -> TopUp:
    unknown = TopUp(
        user_id=checkout.user_id,
        product=checkout.product,
        state=State.CREATED,
        stripe_session_id=checkout.session_id,
        livemode=checkout.livemode,
        created_at=timezone.now(),
    )
    # Another event of the same session may be making it too: then theirs is the row.
    TopUp.objects.bulk_create([unknown], ignore_conflicts=True)
    return TopUp.objects.locked().get(stripe_session_id=checkout.session_id)


def _save(topup: TopUp, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(topup, name, value)
    topup.save(update_fields=list(changes))


def plain_or_nothing(stripe_id: str) -> str:
    """An id of Stripe's as our columns hold it; "" for what cannot be one."""
    return stripe_id if _is_plain(stripe_id) else ""


def _is_plain(stripe_id: str) -> bool:
    return 1 <= len(stripe_id) <= STRIPE_ID_LENGTH and stripe_id.isprintable()
