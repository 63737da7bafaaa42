"""The only file that uses Stripe's library. It returns plain dicts and raises our own errors.

The fields of an answer that decide what to do next have the right type, or the caller gets StripeOutOfReach.
Whether a payment can be credited is decided in sessions.py.
"""

import json
import logging
import re
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from http import HTTPStatus
from typing import Any, TypeGuard, TypeVar

import requests
import stripe
from django.conf import settings

from foundation import deadlines
from foundation.http import outgoing
from foundation.http.strict_json import depth_of
from foundation.text import beginning
from wallet.books.models import STRIPE_ID_LENGTH
from wallet.errors import BadSignature, StripeOutOfReach, UnreadableEvent, WrongAnswer
from wallet.payments.return_urls import URL_CHARACTERS

logger = logging.getLogger(__name__)

T = TypeVar("T")

DASHBOARD = "https://dashboard.stripe.com"
# The version of Stripe's API that stripe-python 16 sends. This file uses the parameters of this version, so
# another version needs other code.
API_VERSION = "2026-10-28.endive"
CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 3
RETRIES_MAX = 1
# The limit for a whole call, with its retries, even if the answer arrives very slowly.
CALL_SECONDS_MAX = 9
# A page of 100 sessions has about 500 KB.
EVENT_NESTING_MAX = 200  # Stripe's own events have less than 20 levels.
ANSWER_BYTES_MAX = 4 * 1024 * 1024
STRIPE_ID = re.compile(rf"[!-~]{{1,{STRIPE_ID_LENGTH}}}")
# A name in Stripe's errors, such as parameter_unknown or line_items[0][quantity]; no secret key.
NAME = re.compile(r"(?!.*[sr]k_)[a-z0-9_.\[\]]{1,100}")
# The length of the longest URL that Stripe sends.
URL_LENGTH_MAX = 5000
# 3000-01-01 in Unix seconds. Python cannot read every later time.
TIME_MAX = 32_503_680_000
SIGNATURE_AGE_SECONDS_MAX = 300
# A checkout that the user leaves open expires after this time. The user has enough time to look for a card.
SESSION_SECONDS = 3600
# Stripe refuses a new session that would expire sooner than this.
SESSION_SECONDS_MIN = 1800
# While a call runs, Stripe refuses a second call with the same idempotency key. We retry it for this long.
BUSY_SECONDS_MAX = 6
BUSY_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class CheckoutSession:
    """A session just created, and the URL where the user pays."""

    id: str
    url: str


@dataclass(frozen=True)
class RefundAnswer:
    """Stripe's answer to a refund: the id of the refund, or why Stripe made none. The other one is ""."""

    refund_id: str = ""
    refusal: str = ""


def is_live() -> bool:
    """Whether our key is a live key of Stripe, with which payments move real money."""
    return settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))


def page_of_payment(payment_intent_id: str, *, live: bool | None = None) -> str:
    """The address of a payment's page in Stripe's dashboard; "" if this is not the id of a payment.

    `live` says whether the payment is in live mode; without it, the mode of our key counts.
    """
    if not payment_intent_id.startswith("pi_"):
        return ""
    mode = "" if (is_live() if live is None else live) else "/test"
    return f"{DASHBOARD}{mode}/payments/{payment_intent_id}"


def create_checkout(
    *,
    topup_id: str,
    user_id: str,
    product: str,
    amount_cents: int,
    success_url: str,
    cancel_url: str,
    started_at: datetime,
    of_a_form: bool = False,
) -> CheckoutSession:
    """Create a Checkout Session for one top-up. The session expires an hour after `started_at`.

    The top-up's id is the idempotency key. If any process makes the same call again within a day, Stripe
    returns the same session. Stripe refuses the key with other parameters, so all parameters come from the
    top-up or its form. A user can send a form twice at the same time: with `of_a_form`, the second call
    waits for the first one. Raises StripeOutOfReach within 10 s.
    """
    # The session carries this data for the webhook. The payment intent carries it for refunds and disputes.
    metadata = {"type": "wallet_topup", "user_id": user_id, "product": product, "topup_id": topup_id}
    params: Any = {
        "mode": "payment",
        "allowed_payment_method_types": ["card"],
        # The next two are off, so that no default in Stripe's dashboard changes what a dollar buys.
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": {"enabled": False},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": amount_cents,
                    "product_data": {"name": "Misar credits"},
                },
            }
        ],
        # Stripe allows 200 characters. Staff search for this id in Stripe's dashboard; no code reads it.
        "client_reference_id": beginning(user_id, 200),
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "success_url": success_url,
        "cancel_url": cancel_url,
        "expires_at": int(started_at.timestamp()) + SESSION_SECONDS,
    }
    options: Any = {"idempotency_key": topup_id}

    def create() -> CheckoutSession:
        session = _plain(_client().v1.checkout.sessions.create(params=params, options=options))
        return CheckoutSession(id=_id_of(session), url=payment_page(session))

    return _within_limits(partial(_once_free, create) if of_a_form else create)


def _once_free(call: Callable[[], T]) -> T:
    """Make a call. Retry it while Stripe is busy with another call that has the same idempotency key."""
    began = time.monotonic()
    while True:
        try:
            return call()
        except stripe.StripeError as error:
            busy = error.http_status == HTTPStatus.CONFLICT
            if not busy or time.monotonic() - began > BUSY_SECONDS_MAX:
                raise
        time.sleep(BUSY_PAUSE_SECONDS)


def retrieve_session(session_id: str, *, expand: Sequence[str] = ()) -> dict[str, Any] | None:
    """A session as Stripe has it now; None if Stripe knows no such session. Raises StripeOutOfReach.

    `expand` names the linked objects that Stripe sends in the place of their ids.
    """
    return _translated(lambda: _session_or_none(session_id, expand=expand))


def session_while_waited_for(session_id: str) -> dict[str, Any] | None:
    """Like `retrieve_session`, but for a user who waits: it takes at most 10 s, and few may run at once."""
    return _within_limits(lambda: _session_or_none(session_id))


def _session_or_none(session_id: str, *, expand: Sequence[str] = ()) -> dict[str, Any] | None:
    assert session_id, "an empty id would ask for the list"
    params: Any = {"expand": list(expand)} if expand else {}
    answer = _plain_or_none(lambda client: client.v1.checkout.sessions.retrieve(session_id, params=params))
    if answer is None:
        return None
    session = checked(answer)
    if session["id"] != session_id:
        raise wrong_answer("it is another session than the one we asked for")
    return session


def _plain_or_none(call: Callable[[stripe.StripeClient], object]) -> dict[str, Any] | None:
    try:
        return _plain(call(_client()))
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            return None
        raise


def answer_of(call: Callable[[stripe.StripeClient], object]) -> dict[str, Any]:
    """Make a call for a command, and return its answer as a plain dict. Raises StripeOutOfReach."""
    return _translated(lambda: _plain(call(_client())))


def object_or_none(call: Callable[[stripe.StripeClient], object]) -> dict[str, Any] | None:
    """Like `answer_of`, for one object by its id: None if Stripe knows no such object."""
    return _translated(lambda: _plain_or_none(call))


# --- Refunds ----------------------------------------------------------------------------------------


def create_refund(
    *, request_id: str, payment_intent_id: str, amount_cents: int, look_first: bool = False
) -> RefundAnswer:
    """Refund a part of a payment, or all of it, for a staff member who waits. Return Stripe's answer.

    `request_id` is the idempotency key: the same call again returns the same refund. Stripe may forget a key
    after 24 hours. So for an older request, `look_first` looks for its refund before it makes one. Raises
    StripeOutOfReach within 10 s; the refund may have been made then.
    """
    params: Any = {
        "payment_intent": payment_intent_id,
        "amount": amount_cents,
        "metadata": {"type": "wallet_refund", "refund_request": request_id},
    }
    options: Any = {"idempotency_key": request_id}

    def create() -> RefundAnswer:
        made = _refund_of_request(params) if look_first else None
        try:
            made = made or _plain(_client().v1.refunds.create(params=params, options=options))
        except stripe.InvalidRequestError as error:
            if not _is_refusal(error):
                raise
            logger.warning("Stripe refused a refund: %s %s", _name(error.code), _name(error.param))
            return RefundAnswer(refusal=_refusal_in_words(error))
        if (made.get("payment_intent"), made.get("amount")) != (payment_intent_id, amount_cents):
            raise wrong_answer("it is another refund than the one we asked for")
        return RefundAnswer(refund_id=_id_of(made, "refund"))

    return _within_limits(partial(_once_free, create))


def _refund_of_request(params: Any) -> dict[str, Any] | None:
    """Return the refund that an earlier call with these parameters made, or None."""
    of_payment: Any = {"payment_intent": params["payment_intent"], "limit": 100}
    refunds = _plain(_client().v1.refunds.list(params=of_payment)).get("data")
    if not isinstance(refunds, list):
        raise wrong_answer("it is no list of refunds")
    ours = (each for each in refunds if isinstance(each, dict) and each.get("metadata") == params["metadata"])
    return next(ours, None)


def _is_refusal(error: stripe.InvalidRequestError) -> bool:
    """Return whether Stripe read the request and refused it. Otherwise its outcome is not known."""
    body = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    return isinstance(body, dict) and body.get("type") == "invalid_request_error"


def _refusal_in_words(error: stripe.InvalidRequestError) -> str:
    if error.code == "charge_already_refunded":
        return "Stripe has refunded this payment in full already."
    if error.code == "charge_disputed":
        return "This payment is disputed, so Stripe does not refund it."
    if error.code == "resource_missing":
        return "Stripe does not know this payment."
    if error.param == "amount":
        return "Less than this is left of the payment at Stripe."
    return f"Stripe refused the refund ({_name(error.code)})."


# --- What we use of an answer -----------------------------------------------------------------------


def payment_page(session: dict[str, Any]) -> str:
    """The URL where the user pays an open session. Raises StripeOutOfReach if it is no payment page."""
    url = session.get("url")
    if (
        isinstance(url, str)
        and len(url) <= URL_LENGTH_MAX
        and URL_CHARACTERS.fullmatch(url)
        and any(url.startswith(f"{origin}/") for origin in settings.CHECKOUT_ORIGINS)
    ):
        return url
    raise wrong_answer("its url is no payment page at one of CHECKOUT_ORIGINS")


def _plain(answer: object) -> dict[str, Any]:
    """An answer of Stripe's library as a plain dict."""
    if not isinstance(answer, stripe.StripeObject):
        raise wrong_answer("it is no object")
    return answer.to_dict()


def _id_of(answer: dict[str, Any], kind: str = "checkout.session") -> str:
    """The id of an object of this kind. Raises StripeOutOfReach if it is of another kind, or has no id."""
    stripe_id = answer.get("id")
    if answer.get("object", kind) != kind:
        raise wrong_answer(f"it is no {kind.rpartition('.')[2]}")
    if not isinstance(stripe_id, str) or not STRIPE_ID.fullmatch(stripe_id):
        raise wrong_answer("its id is no id")
    return stripe_id


def checked(session: object) -> dict[str, Any]:
    """Return a session of Stripe. Raises StripeOutOfReach unless its fields have the right types."""
    if not isinstance(session, dict):
        raise wrong_answer("a session is no object")
    _id_of(session)
    for name in ("mode", "status", "payment_status"):
        if not isinstance(session.get(name), str | None):
            raise wrong_answer(f"{name} is no text")
    if not isinstance(session.get("metadata"), dict | None):
        raise wrong_answer("metadata is no object")
    if not is_time(session.get("created")):
        raise wrong_answer("created is no time")
    return session


def is_time(value: object) -> TypeGuard[int]:
    """Return whether the value is a time in whole Unix seconds, up to the year 3000."""
    return type(value) is int and 0 < value < TIME_MAX


def wrong_answer(reason: str) -> WrongAnswer:
    """Log why an answer of Stripe cannot be used, and return the error to raise."""
    logger.error("Stripe gave a wrong answer: %s", reason)
    return WrongAnswer()


def verified_event(body: bytes, signature: str) -> dict[str, Any]:
    """The event in the body of a webhook, if Stripe signed this body in the last five minutes.

    Otherwise raises BadSignature. Raises UnreadableEvent if Stripe signed something that is no event.
    """
    try:
        text = body.decode("utf-8")
        genuine = any(_is_signed(text, signature, secret) for secret in settings.STRIPE_WEBHOOK_SECRETS)
    except (ValueError, TypeError) as error:  # Invalid characters in the body or the header.
        raise BadSignature from error
    if not genuine:
        raise BadSignature
    # Python's parser goes as deep as the stack has room, which is less where an event is read again.
    if depth_of(text) > EVENT_NESTING_MAX:
        raise UnreadableEvent
    try:
        event = json.loads(text)
    except ValueError as error:
        raise UnreadableEvent from error
    if not isinstance(event, dict) or event.get("object", "event") != "event":
        raise UnreadableEvent
    return event


def _is_signed(text: str, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(text, header, secret, tolerance=SIGNATURE_AGE_SECONDS_MAX)
    except stripe.SignatureVerificationError:
        return False
    # The library accepts every timestamp from the future. This function allows a small difference only.
    stamps = [int(part[2:]) for part in header.split(",") if part.startswith("t=")]
    return all(stamp <= time.time() + SIGNATURE_AGE_SECONDS_MAX for stamp in stamps)


# --- The client and its limits ----------------------------------------------------------------------


@cache
def _client() -> stripe.StripeClient:
    """One client per process, made on first use, so that no socket is opened before gunicorn forks."""
    # Otherwise the library tells Stripe our kernel and an id of the machine, kept in the home directory.
    stripe.enable_telemetry = False
    return stripe.StripeClient(
        settings.STRIPE_SECRET_KEY,
        stripe_version=API_VERSION,
        base_addresses={"api": settings.STRIPE_API_BASE},
        max_network_retries=RETRIES_MAX,
        http_client=stripe.RequestsClient(
            timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
            session=outgoing.bounded(
                requests.Session(), bytes_max=ANSWER_BYTES_MAX, seconds_max=CALL_SECONDS_MAX
            ),
        ),
    )


@cache
def _places() -> threading.BoundedSemaphore:
    """The semaphore that limits how many calls of this process may run at once."""
    return threading.BoundedSemaphore(settings.STRIPE_CALLS_AT_ONCE)


def _within_limits(call: Callable[[], T]) -> T:
    """Make a call for a user who waits. It has a time limit, and only a few calls may run at the same time.

    If all places are taken, the call is refused immediately. So when Stripe does not answer, enough threads
    stay free for charges. A call that reaches the time limit goes on in its own thread, and keeps its place
    until it ends.
    """
    places = _places()
    if not places.acquire(blocking=False):
        raise StripeOutOfReach
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(_translated(call))
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            places.release()

    try:
        threading.Thread(target=work, name="stripe", daemon=True).start()
    except RuntimeError as error:  # The process can start no more threads.
        places.release()
        raise StripeOutOfReach from error
    try:
        with deadlines.paused():
            return outcome.result(timeout=CALL_SECONDS_MAX)
    except TimeoutError as error:
        raise StripeOutOfReach from error


def _translated(call: Callable[[], T]) -> T:
    """Turn Stripe's errors into our own. Stripe's messages are not logged: they may repeat what we sent."""
    try:
        return call()
    except StripeOutOfReach:
        raise
    except stripe.InvalidRequestError as error:
        logger.error("Stripe refused our request: %s %s", _name(error.code), _name(error.param))
        raise StripeOutOfReach from error
    except stripe.StripeError as error:
        logger.warning("Stripe is out of reach: %s", type(error).__name__)
        raise StripeOutOfReach from error
    except Exception as error:
        # If an answer is no JSON object, or `error` in it is a text, the library raises errors of any type.
        where = traceback.extract_tb(error.__traceback__)[-1]
        logger.error(
            "Stripe gave an answer that its library cannot read: %s in %s", type(error).__name__, where.name
        )
        raise StripeOutOfReach from error


def _name(value: object) -> str:
    """The name of an error or of a parameter, for the log; "?" if the value is no such name, or a key."""
    return value if isinstance(value, str) and NAME.fullmatch(value) else "?"
