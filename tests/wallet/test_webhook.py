"""POST /io/wallet/webhook (contract 13), with real signatures over HTTP."""

import hashlib
import hmac
import itertools
import json
import time
from datetime import UTC, datetime

import pytest
from django.test import Client

from tests.conftest import signed
from tests.crowd import locked_by_somebody, wallet_locked_by_somebody
from wallet import ledger, webhooks
from wallet.errors import EventFailed
from wallet.models import Entry, StripeEvent, TopUp, Wallet

pytestmark = pytest.mark.django_db

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


@pytest.fixture
def asked_for(db):
    """Our record of a checkout of $25 that usr_1 asked for."""
    return TopUp.objects.create(
        user_id="usr_1", product="mail", amount_cents=2500, state="created", stripe_session_id="cs_test_1"
    )


def nothing_moved():
    return not Entry.objects.exists() and not Wallet.objects.exists()


def stored():
    """The one event in the inbox."""
    return StripeEvent.objects.get()


# --- Credit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", PAID_TYPES)
def test_a_paid_checkout_is_credited(deliver, checkout_event, asked_for, type):
    answer = deliver(checkout_event(type=type, amount_total=2500, event={"created": 1_780_000_000}))
    assert (answer.status_code, answer.content) == (200, RECEIVED)
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Request-ID"]
    entry = Entry.objects.get()
    assert (entry.kind, entry.credits, entry.stripe_session_id, entry.actor) == (
        "topup",
        25,
        "cs_test_1",
        "stripe",
    )
    assert entry.effective_at == datetime.fromtimestamp(1_780_000_000, tz=UTC)
    asked_for.refresh_from_db()
    assert (asked_for.state, asked_for.paid_cents, asked_for.entry) == ("paid", 2500, entry)
    assert (asked_for.payment_intent_id, asked_for.remark) == ("pi_cs_test_1", "")
    event = stored()
    assert (event.state, event.type, event.tries, event.remark, event.traceback) == (
        "handled",
        type,
        1,
        "",
        "",
    )
    assert event.handled_at
    assert json.loads(event.payload)["id"] == event.pk


@pytest.mark.parametrize(
    ("cents", "credits"), [(100, 1), (199, 1), (1000, 10), (2599, 25), (10_000_000, 100_000)]
)
def test_credits_are_whole_dollars_rounded_down(deliver, checkout_event, cents, credits):
    assert deliver(checkout_event(amount_total=cents)).status_code == 200
    assert ledger.balance_of("usr_1") == credits


def test_a_session_we_have_no_record_of_is_credited_by_its_metadata(deliver, checkout_event):
    assert deliver(checkout_event()).status_code == 200
    topup = TopUp.objects.get()
    assert (topup.user_id, topup.product, topup.state, topup.amount_cents) == ("usr_1", "blog", "paid", None)
    assert Entry.objects.get().product == "blog"


def test_a_session_that_was_cut_off_from_its_record_finds_it(deliver, checkout_event):
    """Stripe made the session, we never heard its id: the webhook brings it."""
    asked = TopUp.objects.create(user_id="usr_1", product="blog", amount_cents=2500, state="failed")
    assert deliver(checkout_event(metadata=metadata(topup_id=asked.pk))).status_code == 200
    topup = TopUp.objects.get()
    assert (topup.pk, topup.state, topup.stripe_session_id) == (asked.pk, "paid", "cs_test_1")


def test_a_record_of_another_session_is_left_alone(deliver, checkout_event, asked_for):
    event = checkout_event(session_id="cs_test_2", metadata=metadata(topup_id=asked_for.pk))
    assert deliver(event).status_code == 200
    asked_for.refresh_from_db()
    assert (asked_for.state, asked_for.stripe_session_id) == ("created", "cs_test_1")
    assert ledger.balance_of("usr_1") == 25


@pytest.mark.parametrize("product", [None, "", 7, ["blog"], {"a": 1}])
def test_a_missing_product_does_not_stop_the_credit(deliver, checkout_event, product):
    assert deliver(checkout_event(metadata=metadata(product=product))).status_code == 200
    assert Entry.objects.get().product == ""
    assert ledger.balance_of("usr_1") == 25


def test_a_missing_product_is_taken_from_our_record(deliver, checkout_event, asked_for):
    deliver(checkout_event(metadata=metadata(product=None)))
    assert Entry.objects.get().product == "mail"


def test_an_endless_product_is_cut(deliver, checkout_event):
    assert deliver(checkout_event(metadata=metadata(product="b" * 500))).status_code == 200
    assert Entry.objects.get().product == "b" * 100


@pytest.mark.parametrize("user_id", ["用户", "🙂 with blanks", "u" * 255, "staff:1"])
def test_any_misar_id_is_fine_also_one_never_seen(deliver, checkout_event, user_id):
    assert deliver(checkout_event(user_id=user_id)).status_code == 200
    assert ledger.balance_of(user_id) == 25


def test_another_amount_than_asked_is_credited_as_paid_and_flagged(deliver, checkout_event, asked_for):
    assert deliver(checkout_event(amount_total=2000)).status_code == 200
    assert ledger.balance_of("usr_1") == 20
    asked_for.refresh_from_db()
    assert asked_for.remark == "Paid $20.00, asked for $25.00."
    assert (stored().state, stored().remark) == ("handled", asked_for.remark)


@pytest.mark.parametrize("created", [None, "now", 0, -5, 10**30, 1.5, True])
def test_an_event_without_a_sensible_date_happened_now(deliver, checkout_event, created):
    before = datetime.now(tz=UTC)
    assert deliver(checkout_event(event={"created": created})).status_code == 200
    assert before <= Entry.objects.get().effective_at <= datetime.now(tz=UTC)


# --- Once -------------------------------------------------------------------------------------------


def test_a_redelivery_credits_nothing(deliver, checkout_event):
    event = checkout_event()
    assert [deliver(event).content for _ in range(3)] == [RECEIVED] * 3
    assert ledger.balance_of("usr_1") == 25
    assert stored().tries == 1


def test_a_session_is_credited_once_however_many_events_tell_of_it(deliver, checkout_event):
    for n, type in enumerate(PAID_TYPES * 2):
        assert deliver(checkout_event(event_id=f"evt_{n}", type=type)).status_code == 200
    # Not even with another amount.
    assert deliver(checkout_event(event_id="evt_more", amount_total=9900)).status_code == 200
    assert ledger.balance_of("usr_1") == 25
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"handled"}


def test_a_session_is_credited_to_one_user_only(deliver, checkout_event):
    deliver(checkout_event(event_id="evt_1", user_id="usr_1"))
    assert deliver(checkout_event(event_id="evt_2", user_id="usr_2")).content == RECEIVED
    assert (ledger.balance_of("usr_1"), ledger.balance_of("usr_2")) == (25, 0)
    event = StripeEvent.objects.get(pk="evt_2")
    assert (event.state, event.handled_at) == ("parked", None)
    assert "names another user" in event.remark


# --- When the money comes later, or never -----------------------------------------------------------


def test_an_unpaid_checkout_waits_and_is_credited_when_the_money_comes(deliver, checkout_event, asked_for):
    deliver(checkout_event(payment_status="unpaid"))
    asked_for.refresh_from_db()
    assert (asked_for.state, asked_for.payment_intent_id) == ("pending", "pi_cs_test_1")
    assert nothing_moved()
    deliver(checkout_event(type="checkout.session.async_payment_succeeded"))
    asked_for.refresh_from_db()
    assert asked_for.state == "paid"
    assert ledger.balance_of("usr_1") == 25


@pytest.mark.parametrize(
    ("type", "state"),
    [("checkout.session.async_payment_failed", "failed"), ("checkout.session.expired", "expired")],
)
def test_a_checkout_that_came_to_nothing(deliver, checkout_event, asked_for, type, state):
    assert deliver(checkout_event(type=type, payment_status="unpaid", status="expired")).status_code == 200
    asked_for.refresh_from_db()
    assert asked_for.state == state
    assert nothing_moved()
    assert (stored().state, stored().remark) == ("handled", "")


@pytest.mark.parametrize("type", ["checkout.session.expired", "checkout.session.async_payment_failed"])
def test_nothing_overrides_paid(deliver, checkout_event, asked_for, type):
    deliver(checkout_event())
    assert deliver(checkout_event(type=type, payment_status="unpaid")).status_code == 200
    asked_for.refresh_from_db()
    assert asked_for.state == "paid"
    assert ledger.balance_of("usr_1") == 25


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_in_any_order_what_was_paid_is_credited_once(deliver, checkout_event, asked_for, order):
    told = [
        checkout_event(event_id="evt_unpaid", payment_status="unpaid"),
        checkout_event(event_id="evt_paid", type="checkout.session.async_payment_succeeded"),
        checkout_event(event_id="evt_expired", type="checkout.session.expired", payment_status="unpaid"),
        checkout_event(event_id="evt_again", type="checkout.session.completed"),
    ]
    for place in order:
        assert deliver(told[place]).status_code == 200
    asked_for.refresh_from_db()
    assert asked_for.state == "paid"
    assert ledger.balance_of("usr_1") == 25
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"handled"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_in_any_order_what_failed_is_failed(deliver, checkout_event, asked_for, order):
    told = [
        checkout_event(payment_status="unpaid"),
        checkout_event(type="checkout.session.async_payment_failed", payment_status="unpaid"),
    ]
    for place in order:
        deliver(told[place])
    asked_for.refresh_from_db()
    assert asked_for.state == "failed"
    assert nothing_moved()


@pytest.mark.parametrize("status", ["no_payment_required", "processing", "PAID", "", None, True, ["paid"]])
def test_only_paid_is_paid(deliver, checkout_event, asked_for, status):
    assert deliver(checkout_event(payment_status=status)).content == RECEIVED
    assert nothing_moved()
    assert stored().remark == "No money came with it: nothing to credit."


def test_a_free_checkout_is_not_a_payment_on_its_way(deliver, checkout_event, asked_for):
    deliver(checkout_event(payment_status="no_payment_required", amount_total=0))
    asked_for.refresh_from_db()
    assert asked_for.state != "pending"


@pytest.mark.parametrize("mode", ["setup", "subscription", "", None, ["payment"]])
def test_only_a_payment_is_a_payment(deliver, checkout_event, asked_for, mode):
    assert deliver(checkout_event(mode=mode, amount_total=None)).content == RECEIVED
    assert nothing_moved()
    assert (stored().state, stored().remark) == ("handled", "Not a payment: nothing to credit.")


# --- Parked -----------------------------------------------------------------------------------------


def parked(reason):
    """Stored, flagged with the reason, nothing credited, and no record left behind."""
    event = stored()
    assert (event.state, event.handled_at, event.tries, event.traceback) == ("parked", None, 1, "")
    assert reason in event.remark
    assert event.payload
    assert nothing_moved()
    return True


@pytest.mark.parametrize(
    "amount",
    ["2500", 2500.0, 1e3, True, None, [2500], {"cents": 2500}, 99, 0, -100, 10_000_001, 10**30],
)
@pytest.mark.parametrize("type", PAID_TYPES)
def test_an_impossible_amount_is_parked(deliver, checkout_event, asked_for, amount, type):
    assert deliver(checkout_event(amount_total=amount, type=type)).content == RECEIVED
    assert parked("amount_total is ")
    asked_for.refresh_from_db()
    assert asked_for.state == "created"


@pytest.mark.parametrize("currency", ["eur", "jpy", "USD", "", None, 840])
def test_another_currency_is_parked(deliver, checkout_event, currency):
    assert deliver(checkout_event(currency=currency)).content == RECEIVED
    assert parked("not in US dollars")
    assert not TopUp.objects.exists()


@pytest.mark.parametrize(
    "user_id",
    [None, "", 7, ["usr_1"], {"id": "usr_1"}, "u" * 256, "usr\n1", "usr\x001", "usr\ud8001", "\u200b"],
)
@pytest.mark.parametrize("paid", ["paid", "unpaid"])
def test_a_user_who_cannot_be_is_parked_and_nobody_stands_in(deliver, checkout_event, user_id, paid):
    event = checkout_event(
        metadata=metadata(user_id=user_id), client_reference_id="usr_1", customer="usr_1", payment_status=paid
    )
    assert deliver(event).content == RECEIVED
    assert parked("metadata.user_id is missing or malformed")


def test_a_record_that_names_another_user_is_parked(deliver, checkout_event, asked_for):
    assert deliver(checkout_event(user_id="usr_2")).content == RECEIVED
    assert parked(f"Our record of the session ({asked_for.pk}) names another user.")
    asked_for.refresh_from_db()
    assert (asked_for.state, asked_for.user_id) == ("created", "usr_1")


def test_a_record_that_is_claimed_by_another_user_is_parked(deliver, checkout_event):
    asked = TopUp.objects.create(user_id="usr_1", product="blog", amount_cents=2500)
    event = checkout_event(metadata=metadata(user_id="usr_2", topup_id=asked.pk))
    assert deliver(event).content == RECEIVED
    assert parked("names another user")
    asked.refresh_from_db()
    assert asked.stripe_session_id is None


@pytest.mark.parametrize("account", ["acct_1", "acct_other"])
def test_an_event_of_a_connected_account_is_parked(deliver, checkout_event, account):
    assert deliver(checkout_event(event={"account": account})).content == RECEIVED
    assert parked("connected account")


@pytest.mark.parametrize("account", [None, ""])
def test_no_account_is_ours(deliver, checkout_event, account):
    assert deliver(checkout_event(event={"account": account})).content == RECEIVED
    assert ledger.balance_of("usr_1") == 25


@pytest.mark.parametrize("key", ["sk_live_of_the_tests", "rk_live_of_the_tests"])
@pytest.mark.parametrize(
    ("of_event", "of_session"),
    [(False, False), (None, None), (False, True), (True, False), ("true", True), (1, 0)],
)
def test_test_money_never_credits_live_wallets(deliver, checkout_event, settings, key, of_event, of_session):
    settings.STRIPE_SECRET_KEY = key
    event = checkout_event(event={"livemode": of_event}, livemode=of_session)
    assert deliver(event).content == RECEIVED
    assert parked("livemode")


@pytest.mark.parametrize(
    ("of_event", "of_session"), [(True, True), (True, False), (False, True), ("false", False)]
)
def test_live_money_never_credits_test_wallets(deliver, checkout_event, of_event, of_session):
    event = checkout_event(event={"livemode": of_event}, livemode=of_session)
    assert deliver(event).content == RECEIVED
    assert parked("livemode")


@pytest.mark.parametrize("key", ["sk_live_of_the_tests", "rk_live_of_the_tests"])
def test_live_money_credits_live_wallets(deliver, checkout_event, settings, key):
    settings.STRIPE_SECRET_KEY = key
    deliver(checkout_event(event={"livemode": True}, livemode=True))
    assert ledger.balance_of("usr_1") == 25
    assert TopUp.objects.get().livemode is True


def test_a_parked_event_stays_parked_when_it_is_delivered_again(deliver, checkout_event):
    event = checkout_event(currency="eur")
    deliver(event)
    assert deliver(event).content == RECEIVED
    assert parked("not in US dollars")


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
def test_refunds_and_disputes_are_kept_whole_for_later(deliver, checkout_event, type):
    subject = {"id": "re_1", "object": "refund", "payment_intent": "pi_1", "amount": 500}
    event = checkout_event(type=type, event={"data": {"object": subject}})
    assert deliver(event).content == RECEIVED
    kept = stored()
    assert (kept.state, kept.handled_at, kept.tries) == ("kept", None, 0)
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


@pytest.mark.parametrize("odd", [*ODD, "x" * 5000, 7, None, [], {"a": "\0"}])
@pytest.mark.parametrize("place", ["product", "topup_id", "payment_intent", "customer", "status", "anything"])
def test_odd_text_anywhere_else_does_not_stop_the_credit(deliver, checkout_event, odd, place):
    changes = {"metadata": metadata() | {place: odd}} if place in ("product", "topup_id") else {place: odd}
    assert deliver(checkout_event(**changes)).content == RECEIVED
    assert ledger.balance_of("usr_1") == 25
    assert (stored().state, stored().traceback) == ("handled", "")


def test_odd_text_in_a_refund_is_kept_as_it_was_signed(deliver):
    body = b'{"id": "evt_1", "object": "event", "type": "refund.created", "note": "\\u0000\\ud800"}'
    assert deliver(body).content == RECEIVED
    assert stored().payload.encode() == body


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
    assert refused(post(body, signed(body, at=int(time.time()) + seconds)))


@pytest.mark.parametrize("seconds", [-295, -1, 0, 1, 295])
def test_a_timestamp_within_five_minutes_is_fine(body, seconds):
    assert post(body, signed(body, at=int(time.time()) + seconds)).content == RECEIVED


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
        "wallet": wallet_locked_by_somebody("usr_1"),
        "topup": locked_by_somebody("SELECT 1 FROM wallet_topup WHERE stripe_session_id = 'cs_test_1'"),
    }
    event = checkout_event()
    with locked[table]:
        began = time.monotonic()
        answer = deliver(event)
        assert time.monotonic() - began < 3
    assert answer.status_code == 503
    assert answer.json() == {"error": "The event was stored but could not be handled yet"}
    assert int(answer["Retry-After"]) >= 1
    failed = stored()
    assert (failed.state, failed.handled_at, failed.tries) == ("waiting", None, 1)
    assert "LockNotAvailable" in failed.traceback
    assert StripeEvent.objects.unhandled().count() == 1
    assert ledger.balance_of("usr_1") == 5

    assert deliver(event).content == RECEIVED
    handled = stored()
    assert (handled.state, handled.traceback, handled.tries) == ("handled", "", 2)
    assert ledger.balance_of("usr_1") == 30


@pytest.mark.django_db(transaction=True)
def test_staff_can_replay_an_event_that_failed(give, deliver, checkout_event):
    give("usr_1", 5)
    with wallet_locked_by_somebody("usr_1"):
        deliver(checkout_event())
        with pytest.raises(EventFailed):
            webhooks.handle(stored())
    assert stored().tries == 2
    event = stored()
    webhooks.handle(event)
    assert (event.state, event.tries, event.traceback) == ("handled", 3, "")
    webhooks.handle(event)  # Again is harmless.
    assert ledger.balance_of("usr_1") == 30


def test_staff_can_replay_a_parked_event_once_its_cause_is_gone(deliver, checkout_event, settings):
    settings.STRIPE_SECRET_KEY = "sk_live_set_by_mistake"
    deliver(checkout_event())
    assert parked("livemode")
    settings.STRIPE_SECRET_KEY = "sk_test_of_the_tests"
    event = stored()
    webhooks.handle(event)
    assert (event.state, event.remark) == ("handled", "")
    assert ledger.balance_of("usr_1") == 25


def test_a_replay_of_what_is_parked_for_good_stays_parked(deliver, checkout_event):
    deliver(checkout_event(currency="eur"))
    webhooks.handle(stored())
    assert (stored().state, stored().tries) == ("parked", 2)
    assert nothing_moved()
