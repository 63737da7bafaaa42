"""One delivery to the webhook, and what came of it."""

import hashlib
import hmac
import time

from django.test import Client

from wallet.models import Entry, StripeEvent, Wallet

PATH = "/io/wallet/webhook"
RECEIVED = b'{"received":true}'
PAID_TYPES = ["checkout.session.completed", "checkout.session.async_payment_succeeded"]
SECRET = "whsec_of_the_tests"
DAY = 24 * 3600


def post(body, header, **options):
    """One delivery, with exactly this header."""
    options.setdefault("content_type", "application/json")
    environ = {} if header is None else {"HTTP_STRIPE_SIGNATURE": header}
    # Not `post`, which would encode the body in the charset that the content type names.
    return Client(raise_request_exception=False).generic("POST", PATH, body, **environ, **options)


def signature_of(body: bytes, *, at=None, secret=SECRET, scheme="v1"):
    """The same scheme as Stripe's library, for bytes that are no text."""
    at = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},{scheme}={digest}"


def metadata(**changes):
    full = {"type": "wallet_topup", "user_id": "usr_1", "product": "blog"} | changes
    return {name: value for name, value in full.items() if value is not None}


def nothing_moved():
    return not Entry.objects.exists() and not Wallet.objects.exists()


def stored():
    """The one event in the inbox."""
    return StripeEvent.objects.get()


def parked(reason):
    """Stored, flagged with the reason, nothing credited, and no record left behind."""
    event = stored()
    assert (event.state, event.handled_at, event.tries, event.traceback) == ("parked", None, 1, "")
    assert reason in event.remark
    assert event.payload
    assert nothing_moved()
    return True
