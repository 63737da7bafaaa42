"""Buying credits: from the wish to the paid Checkout Session.

Whatever tells of a session (a webhook, twenty at once, or reconciliation weeks later) ends in `settle`,
which may run any number of times and credits once.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.misar_ids import is_misar_id
from misar_billing import money
from misar_billing.errors import BillingError
from misar_billing.transactions import retried
from wallet import ledger, return_urls, stripe_gateway
from wallet.models import PRODUCT_LENGTH, STRIPE_ID_LENGTH, Entry, TopUp
from wallet.stripe_gateway import text_at

logger = logging.getLogger(__name__)

DOLLARS_MIN = 10
DOLLARS_MAX = 100_000
# What a paid session may hold, in cents (contract 13).
PAID_CENTS_MIN = 100
PAID_CENTS_MAX = 10_000_000

State = TopUp.State


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


def start(*, user_id: str, amount_dollars: int, product: str, return_url: str) -> str:
    """Open a checkout for whole dollars (10 to 100,000) and return the address to send the user to.

    Nothing is credited here. Raises StripeOutOfReach; the top-up is then closed as failed.
    """
    assert DOLLARS_MIN <= amount_dollars <= DOLLARS_MAX, "the edge has refused anything else"
    cents = money.cents_from_dollars(amount_dollars)
    # Committed before Stripe is asked: no row is locked and no transaction open while we wait.
    topup = TopUp.objects.create(
        user_id=user_id, product=product, amount_cents=cents, livemode=stripe_gateway.is_live()
    )
    try:
        session = stripe_gateway.create_checkout(
            topup_id=topup.pk,
            user_id=user_id,
            product=product,
            amount_cents=cents,
            success_url=return_urls.success(return_url),
            cancel_url=return_urls.cancelled(return_url),
        )
    except BillingError as error:
        TopUp.objects.filter(pk=topup.pk, state=State.CREATING).update(state=State.FAILED, remark=str(error))
        raise
    # The state may have moved on already: Stripe's word can overtake its own answer.
    TopUp.objects.filter(pk=topup.pk, stripe_session_id=None).update(stripe_session_id=session.id)
    TopUp.objects.filter(pk=topup.pk, state=State.CREATING).update(state=State.CREATED)
    return session.url


# --- Settling ---------------------------------------------------------------------------------------


def is_ours(session: dict[str, Any]) -> bool:
    """Whether a session is a top-up of this wallet: its metadata says so, nothing else does."""
    return text_at(session, "metadata", "type") == "wallet_topup"


@retried
def settle(session: dict[str, Any], *, happened_at: datetime, unpaid: State = State.PENDING) -> str:
    """Bring the books to what Stripe says of this session, and return a remark for staff, mostly empty.

    Paid means credited, once per session over all wallets; anything else moves no credits and only
    leads an open top-up to the `unpaid` state. Raises Parked where it cannot be credited.
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
        topup = _topup_of(checkout)
        if topup.state in (State.CREATING, State.CREATED, State.PENDING):
            _save(topup, state=unpaid, payment_intent_id=checkout.payment_intent_id)
    return "" if status == "unpaid" else "No money came with it: nothing to credit."


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
        topup_id=topup_id if _is_plain(topup_id) else "",
        user_id=user_id,
        product=product[:PRODUCT_LENGTH] if product.isprintable() else "",
        payment_intent_id=intent if _is_plain(intent) else "",
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
    topup = _topup_of(checkout)
    if topup.state == State.PAID:
        return topup.remark
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
    return remark


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
    )
    # Another event of the same session may be making it too: then theirs is the row.
    TopUp.objects.bulk_create([unknown], ignore_conflicts=True)
    return TopUp.objects.locked().get(stripe_session_id=checkout.session_id)


def _save(topup: TopUp, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(topup, name, value)
    topup.save(update_fields=list(changes))


def _is_plain(stripe_id: str) -> bool:
    return 1 <= len(stripe_id) <= STRIPE_ID_LENGTH and stripe_id.isprintable()
