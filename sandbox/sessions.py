"""What happens to a Checkout Session: created, paid, declined, paid later, settled, failed, expired.

Each verb changes the session, its payment and its charge together and records the event that Stripe would
send. A verb that does not fit the session's state raises Refused and changes nothing.
"""

import os
import time

from sandbox import events, shapes, store
from sandbox.errors import NoSuchObject, Refused
from sandbox.shapes import Order
from sandbox.store import Document

DECLINED = "Your card was declined."
NOT_SETTLED = "The bank transfer did not come through."


def find(session_id: str) -> Document:
    session = store.get("checkout.session", session_id)
    if session is None:
        raise NoSuchObject("checkout.session", session_id, param="session")
    return session


def create(
    order: Order,
    *,
    expires_at: int,
    page_address: str,
    metadata: dict[str, str],
    client_reference_id: str | None,
    success_url: str | None,
    cancel_url: str | None,
    automatic_tax: bool,
    adaptive_pricing: bool,
) -> Document:
    """An open session whose page is below `page_address`."""
    session_id = shapes.new_id("cs_test_a1", 56)
    body = shapes.checkout_session(
        order,
        session_id=session_id,
        created=int(time.time()),
        expires_at=expires_at,
        metadata=metadata,
        client_reference_id=client_reference_id,
        success_url=success_url,
        cancel_url=cancel_url,
        url=f"{page_address}/{session_id}",
        automatic_tax=automatic_tax,
        adaptive_pricing=adaptive_pricing,
    )
    return store.add(Document(body, session=session_id, notes=order.as_notes(), due_at=expires_at))


def pay(session_id: str) -> Document:
    """The card is accepted: the session is paid at once."""
    with store.transaction():
        session, intent = _confirmed(session_id)
        _receive(session, intent)
        session.due_at = None
        _save(session, intent)
        events.record("checkout.session.completed", session)
    return session


def pay_later(session_id: str) -> Document:
    """The buyer chose a payment method that takes days. Here the money comes by itself after some seconds."""
    with store.transaction():
        session, intent = _confirmed(session_id)
        intent.body["status"] = "processing"
        session.due_at = time.time() + delay_seconds()
        _save(session, intent)
        events.record("checkout.session.completed", session)
    return session


def decline(session_id: str) -> Document:
    """The card is declined; the session stays open for another try. Stripe sends no event for it."""
    with store.transaction():
        session = _open_session(session_id)
        intent = _payment_of(session)
        shapes.refuse(intent.body, code="card_declined", message=DECLINED)
        session.body["payment_intent"] = intent.id
        _save(session, intent)
    return session


def settle(session_id: str) -> Document:
    """The money of a delayed payment arrived."""
    with store.transaction():
        session, intent = _under_way(session_id)
        _receive(session, intent)
        session.due_at = None
        _save(session, intent)
        events.record("checkout.session.async_payment_succeeded", session)
    return session


def fail(session_id: str) -> Document:
    """The money of a delayed payment will not arrive."""
    with store.transaction():
        session, intent = _under_way(session_id)
        shapes.refuse(intent.body, code="payment_intent_payment_attempt_failed", message=NOT_SETTLED)
        session.due_at = None
        _save(session, intent)
        events.record("checkout.session.async_payment_failed", session)
    return session


def expire(session_id: str, *, by_request: bool = True) -> Document:
    """The session can't be paid any more."""
    with store.transaction():
        session = find(session_id)
        if session.body["status"] != "open":
            raise Refused(
                'Only Checkout Sessions with a status in ["open"] can be expired. '
                f"This Checkout Session has a status of `{session.body['status']}`."
            )
        session.body["status"] = "expired"
        session.body["url"] = None
        session.due_at = None
        store.save(session)
        events.record("checkout.session.expired", session, by_request=by_request)
    return session


def let_time_pass(now: float) -> None:
    """Do what is due: unpaid sessions expire, delayed payments succeed."""
    for session in store.due("checkout.session", now):
        try:
            if session.body["status"] == "open":
                expire(session.id, by_request=False)
            else:
                settle(session.id)
        except Refused:  # Another call was faster.
            continue


def delay_seconds() -> float:
    """How long a delayed payment takes, in seconds."""
    return float(os.environ.get("SANDBOX_DELAYED_SECONDS") or 20)


def state_of(session: Document) -> str:
    """The state in one word: open, expired, paid, on_its_way or failed."""
    status, payment_status = session.body["status"], session.body["payment_status"]
    if status != "complete":
        return str(status)
    if payment_status == "paid":
        return "paid"
    return "on_its_way" if session.due_at is not None else "failed"


def last_refusal(session: Document) -> str:
    """Why the last try to pay failed, as a sentence; "" if none failed."""
    intent = store.get("payment_intent", session.body["payment_intent"] or "")
    refusal = intent.body["last_payment_error"] if intent else None
    return str(refusal["message"]) if refusal else ""


def _open_session(session_id: str) -> Document:
    session = find(session_id)
    if session.body["status"] != "open":
        raise Refused(f"This session is {state_of(session).replace('_', ' ')}: it takes no payment any more.")
    if session.body["expires_at"] <= time.time():
        raise Refused("This session has expired.")
    return session


def _confirmed(session_id: str) -> tuple[Document, Document]:
    """An open session whose form was just completed, and its payment."""
    session = _open_session(session_id)
    intent = _payment_of(session)
    shapes.complete(session.body, intent.body)
    return session, intent


def _under_way(session_id: str) -> tuple[Document, Document]:
    session = find(session_id)
    if state_of(session) != "on_its_way":
        raise Refused("Only a delayed payment that is on its way can succeed or fail later.")
    return session, _payment_of(session)


def _payment_of(session: Document) -> Document:
    """The payment of a session. It is created at the first try to pay."""
    if intent := store.get("payment_intent", session.body["payment_intent"] or ""):
        return intent
    body = shapes.payment_intent(Order.from_notes(session.notes), created=int(time.time()))
    return store.add(Document(body, session=session.id))


def _receive(session: Document, intent: Document) -> None:
    charge = Document(shapes.charge(intent.body, created=int(time.time())), session=session.id)
    shapes.succeed(session.body, intent.body, charge.body)
    store.add(charge)
    store.add(Document(shapes.transaction_of_charge(charge.body), session=session.id))


def _save(*documents: Document) -> None:
    for document in documents:
        store.save(document)
