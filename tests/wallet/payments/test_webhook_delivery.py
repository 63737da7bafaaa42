"""POST /io/wallet/webhook: signatures, bodies, events that are not ours, and failures (contract 13)."""

import json
import time

import pytest
from django.db import transaction
from django.test import Client

from tests.conftest import signed
from tests.crowd import locked_by_another, wallet_locked_by_another
from tests.deployment import TIMES
from tests.limits import OF_A_REQUEST, limited
from tests.wallet.inbox import (
    DAY,
    PATH,
    RECEIVED,
    SECRET,
    metadata,
    nothing_moved,
    parked,
    post,
    signature_of,
    stored,
)
from tests.wallet.payments.test_trouble import quickly
from wallet.books.funds import available_of
from wallet.errors import EventFailed
from wallet.models import StripeEvent
from wallet.payments import inbox

pytestmark = pytest.mark.django_db

# --- Not ours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "type",
    [
        "payment_intent.succeeded",
        "charge.succeeded",
        "invoice.paid",
        "customer.created",
        "checkout.session.unheard_of",
        "something.new.in.2031",
    ],
)
def test_of_other_events_only_id_and_type_are_kept(deliver, checkout_event, type):
    assert deliver(checkout_event(type=type)).content == RECEIVED
    event = stored()
    assert (event.state, event.type, event.payload, event.stripe_session_id) == ("ignored", type, "", "")
    assert event.handled_at
    assert nothing_moved()


@pytest.mark.parametrize(
    "other",
    [
        {"type": "tip"},
        {"type": "WALLET_TOPUP"},
        {"type": "wallet_topup\0"},
        {"type": ["wallet_topup"]},
        {"type": None},
        {},
        None,
        [],
        "wallet_topup",
    ],
)
def test_a_checkout_of_something_else_is_ignored(deliver, checkout_event, other):
    assert deliver(checkout_event(metadata=other, client_reference_id="usr_1")).content == RECEIVED
    assert (stored().state, stored().payload) == ("ignored", "")
    assert nothing_moved()


@pytest.mark.parametrize(
    "data", [None, [], "x", {}, {"object": None}, {"object": []}, {"object": "cs_test_1"}]
)
def test_an_event_about_nothing_is_ignored(deliver, checkout_event, data):
    assert deliver(checkout_event(event={"data": data})).content == RECEIVED
    assert stored().state == "ignored"


@pytest.mark.parametrize(
    "type",
    [
        "charge.refunded",
        "charge.refund.updated",
        "refund.created",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.closed",
    ],
)
def test_refunds_and_disputes_of_unknown_payments_are_kept_whole(deliver, checkout_event, type):
    subject = {
        "id": "x_1",
        "currency": "usd",
        "payment_intent": "pi_1",
        "amount": 500,
        "amount_refunded": 500,
    }
    event = checkout_event(type=type, event={"data": {"object": subject}})
    assert deliver(event).content == RECEIVED
    kept = stored()
    assert (kept.state, kept.payment_intent_id, kept.tries) == ("handled", "pi_1", 1)
    assert kept.remark == "No top-up has this payment. It is kept in case the top-up is reported later."
    assert json.loads(kept.payload) == event
    assert nothing_moved()
    assert deliver(event).content == RECEIVED


# --- Odd text ---------------------------------------------------------------------------------------

ODD = ["\0", "a\0b", "\ud800", "a\udfffb", "\x1b[31m", "\u2028"]


@pytest.mark.parametrize("odd", ODD)
def test_odd_text_in_an_id_of_the_event_is_unreadable(deliver, checkout_event, odd):
    assert deliver(checkout_event(event={"id": odd})).status_code == 400
    assert deliver(checkout_event(event={"type": odd})).status_code == 400
    assert not StripeEvent.objects.exists()


@pytest.mark.parametrize("odd", [*ODD, "", "c" * 256, 7, None])
def test_odd_text_in_the_id_of_a_session_is_parked(deliver, checkout_event, odd):
    assert deliver(checkout_event(event_id="evt_1", id=odd)).content == RECEIVED
    assert parked("The session has no id.")


# Each odd value once, each place at least twice.
ODD_SOMEWHERE: list[tuple[object, str]] = list(
    zip(
        [*ODD, "x" * 5000, 7, None, [], {"a": "\0"}, "\0"],
        ["product", "topup_id", "payment_intent", "customer", "status", "anything"] * 2,
        strict=True,
    )
)


@pytest.mark.parametrize(("odd", "place"), ODD_SOMEWHERE)
def test_odd_text_anywhere_else_does_not_stop_the_credit(deliver, checkout_event, odd, place):
    changes = {"metadata": metadata() | {place: odd}} if place in ("product", "topup_id") else {place: odd}
    assert deliver(checkout_event(**changes)).content == RECEIVED
    assert available_of("usr_1") == 25
    assert (stored().state, stored().traceback) == ("handled", "")


def test_odd_text_in_a_refund_is_kept_as_it_was_signed(deliver):
    refund = (
        b'{"id": "re_1", "payment_intent": "pi_1", "currency": "usd", "amount": 1, "note": "\\u0000\\ud800"}'
    )
    body = b'{"id": "evt_1", "object": "event", "type": "refund.created", "data": {"object": %s}}' % refund
    assert deliver(body).content == RECEIVED
    assert (stored().state, stored().payload.encode()) == ("handled", body)


# --- The signature ----------------------------------------------------------------------------------


def refused(answer, sentence="Invalid Stripe signature"):
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})
    assert answer["Content-Type"] == "application/json"
    assert not StripeEvent.objects.exists()
    assert nothing_moved()
    return True


@pytest.fixture
def body(checkout_event):
    return json.dumps(checkout_event()).encode()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        ",",
        "=",
        "t=,v1=",
        "v1=00",
        "t=1",
        "t=now,v1=00",
        "t=1,t=2,v1=00",
        "t=-1,v1=00",
        "t=" + "9" * 5000 + ",v1=00",
        "t=1_0,v1=00",
        "t=\u0663,v1=00".encode().decode("latin-1"),
        "t=1,v1=\xff\xfe",
        "\xff\xfe\xfd",
        "t=1,v1=" + "é",
        "t=1,v1=\t",
        "t=1," + "v1=00," * 1000,
    ],
)
def test_an_odd_signature_is_refused(body, header):
    assert refused(post(body, header))


@pytest.mark.parametrize("odd", ["\xff", "é", "v1=\xff\xfe"])
def test_odd_bytes_beside_a_good_signature_are_no_500(body, odd):
    assert post(body, f"{signed(body)},{odd}").status_code in (200, 400)
    assert post(body, f"{signed(body)},v1={odd}").status_code in (200, 400)


def test_a_wrong_secret_another_body_and_another_scheme_are_refused(body, checkout_event):
    assert refused(post(body, signed(body, secret="whsec_of_somebody")))
    assert refused(post(body, signed(body + b" ")))
    assert refused(post(body.replace(b"2500", b"9900"), signed(body)))
    assert refused(post(body, signature_of(body, scheme="v0")))


@pytest.mark.parametrize("seconds", [-DAY, -301, 301, 310, DAY, 10**9])
def test_a_timestamp_more_than_five_minutes_off_is_refused(body, seconds):
    told = False
    while not told:  # What is 301 seconds ahead is soon but 300 ahead; then it is sent again.
        with transaction.atomic():
            stamp = int(time.time()) + seconds
            answer = post(body, signed(body, at=stamp))
            if told := abs(stamp - time.time()) > 300:
                assert refused(answer)
            transaction.set_rollback(True)


@pytest.mark.parametrize("seconds", [-295, -1, 0, 1, 295])
def test_a_timestamp_within_five_minutes_is_fine(body, seconds):
    in_time = False
    while not in_time:  # On a busy machine what is 295 seconds old may be 301 when it is read.
        stamp = int(time.time()) + seconds
        answer = post(body, signed(body, at=stamp))
        in_time = abs(stamp - time.time()) < 300
    assert answer.content == RECEIVED


def test_a_good_stamp_does_not_lend_itself_to_an_old_signature(body):
    old = signed(body, at=int(time.time()) - DAY)
    assert refused(post(body, f"t={int(time.time())},{old}"))
    assert refused(post(body, f"{old},t={int(time.time())}"))


def test_while_a_secret_is_rolled_both_are_good(body, settings):
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", "whsec_old"]
    assert refused(post(body, signed(body, secret=SECRET)))
    assert post(body, signed(body, secret="whsec_old")).content == RECEIVED
    assert post(body, signed(body, secret="whsec_new")).content == RECEIVED


def test_one_good_signature_of_several_is_enough(body):
    stamp, good = signed(body).split(",")
    assert post(body, f"{stamp},v1={'0' * 64},{good},v0=00").content == RECEIVED


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_is_genuine(body, settings, secrets):
    settings.STRIPE_WEBHOOK_SECRETS = secrets
    assert refused(post(body, signature_of(body, secret="")))


def test_no_other_credential_opens_the_door(body, service_key):
    answer = Client().post(
        PATH, body, content_type="application/json", headers={"x-wallet-service-key": service_key}
    )
    assert refused(answer)


# --- The body ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"\xff\xfe", b'{"id": "evt_\xed\xa0\x80"}', b'{"id": "evt_1\xc0\x80"}'])
def test_a_body_that_is_not_utf_8_is_refused(raw):
    assert refused(post(raw, signature_of(raw)))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"7",
        b'"x"',
        b"{",
        b"nonsense",
        b"\xef\xbb\xbf{}",
        b'{"id": "evt_\0"}',
        b'[{"id": "evt_1", "object": "event", "type": "checkout.session.completed"}]',
        b'{"id": "evt_1"}',
        b'{"type": "checkout.session.completed"}',
        b'{"id": "", "type": "checkout.session.completed"}',
        b'{"id": 7, "type": "checkout.session.completed"}',
        b'{"id": ["evt_1"], "type": "checkout.session.completed"}',
        b'{"id": "evt_1", "type": null}',
        b'{"id": "evt_1", "type": ""}',
        b'{"id": "evt_' + b"1" * 255 + b'", "type": "checkout.session.completed"}',
        # A thin event: only a reference, no session.
        b'{"id": "evt_1", "object": "v2.core.event", "type": "v1.checkout.session.completed"}',
        b'{"id": "evt_1", "object": "checkout.session", "type": "checkout.session.completed"}',
        b'{"id": "evt_1", "object": "event", "type": "x", "n": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_signed_but_no_event_is_refused(raw):
    assert refused(post(raw, signature_of(raw)), "The body is not a Stripe event")


def test_a_body_is_read_up_to_one_mebibyte(checkout_event):
    event = checkout_event(type="invoice.paid")
    room = 1024 * 1024 - len(json.dumps(event | {"padding": ""}))
    largest = json.dumps(event | {"padding": "x" * room}).encode()
    assert len(largest) == 1024 * 1024
    assert post(largest, signed(largest)).content == RECEIVED
    larger = largest + b" "
    answer = post(larger, signed(larger))
    assert (answer.status_code, answer.json()) == (413, {"error": "The body is too large"})


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "", "application/json; charset=utf-16"]
)
def test_no_media_type_is_asked_for(body, content_type):
    assert post(body, signed(body), content_type=content_type).content == RECEIVED


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_a_webhook_is_posted(method, db):
    answer = getattr(Client(), method)(PATH)
    assert (answer.status_code, answer.json()) == (405, {"error": "Method not allowed"})
    assert answer["Allow"] == "POST"


# --- When it fails ----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["wallet", "topup"])
@pytest.mark.django_db(transaction=True)
def test_an_event_whose_effect_failed_is_kept_with_the_reason_and_comes_again(
    give, deliver, checkout_event, asked_for, table
):
    give("usr_1", 5)
    locked = {
        "wallet": wallet_locked_by_another("usr_1"),
        "topup": locked_by_another("SELECT 1 FROM wallet_topup WHERE stripe_session_id = 'cs_test_1'"),
    }
    event = checkout_event()
    with limited(OF_A_REQUEST.times(TIMES)), locked[table]:
        answer = quickly(lambda: deliver(event))
    assert answer.status_code == 503
    assert answer.json() == {"error": "The event was stored but could not be handled yet"}
    assert int(answer["Retry-After"]) >= 1
    failed = stored()
    assert (failed.state, failed.handled_at, failed.tries) == ("waiting", None, 1)
    assert "LockNotAvailable" in failed.traceback
    assert StripeEvent.objects.filter(handled_at=None, state="waiting").count() == 1
    assert available_of("usr_1") == 5

    assert deliver(event).content == RECEIVED
    handled = stored()
    assert (handled.state, handled.traceback, handled.tries) == ("handled", "", 2)
    assert available_of("usr_1") == 30


@pytest.mark.django_db(transaction=True)
def test_staff_can_replay_an_event_that_failed(give, deliver, checkout_event):
    give("usr_1", 5)
    with wallet_locked_by_another("usr_1"):
        deliver(checkout_event())
        with pytest.raises(EventFailed):
            inbox.handle(stored())
    assert stored().tries == 2
    event = stored()
    inbox.handle(event)
    assert (event.state, event.tries, event.traceback) == ("handled", 3, "")
    inbox.handle(event)  # Again is harmless.
    assert available_of("usr_1") == 30


def test_staff_can_replay_a_parked_event_once_its_cause_is_gone(deliver, checkout_event, settings):
    settings.STRIPE_SECRET_KEY = "sk_live_set_by_mistake"
    deliver(checkout_event())
    assert parked("livemode")
    settings.STRIPE_SECRET_KEY = "sk_test_of_the_tests"
    event = stored()
    inbox.handle(event)
    assert (event.state, event.remark) == ("handled", "")
    assert available_of("usr_1") == 25


def test_a_replay_of_what_is_parked_for_good_stays_parked(deliver, checkout_event):
    deliver(checkout_event(currency="eur"))
    inbox.handle(stored())
    assert (stored().state, stored().tries) == ("parked", 2)
    assert nothing_moved()
