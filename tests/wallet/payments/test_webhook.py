"""POST /io/wallet/webhook: which sessions are credited, when, and which are parked (contract 13)."""

import itertools
import json
from datetime import UTC, datetime

import pytest

from tests.wallet.inbox import PAID_TYPES, RECEIVED, metadata, nothing_moved, parked, stored
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent, TopUp

pytestmark = pytest.mark.django_db

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
    assert available_of("usr_1") == credits


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
    assert available_of("usr_1") == 25


@pytest.mark.parametrize("product", [None, "", 7, ["blog"], {"a": 1}])
def test_a_missing_product_does_not_stop_the_credit(deliver, checkout_event, product):
    assert deliver(checkout_event(metadata=metadata(product=product))).status_code == 200
    assert Entry.objects.get().product == ""
    assert available_of("usr_1") == 25


def test_a_missing_product_is_taken_from_our_record(deliver, checkout_event, asked_for):
    deliver(checkout_event(metadata=metadata(product=None)))
    assert Entry.objects.get().product == "mail"


def test_an_endless_product_is_cut(deliver, checkout_event):
    assert deliver(checkout_event(metadata=metadata(product="b" * 500))).status_code == 200
    assert Entry.objects.get().product == "b" * 100


@pytest.mark.parametrize("user_id", ["用户", "🙂 with blanks", "u" * 255, "staff:1"])
def test_any_misar_id_is_fine_also_one_never_seen(deliver, checkout_event, user_id):
    assert deliver(checkout_event(user_id=user_id)).status_code == 200
    assert available_of(user_id) == 25


def test_another_amount_than_asked_is_credited_as_paid_and_flagged(deliver, checkout_event, asked_for):
    assert deliver(checkout_event(amount_total=2000)).status_code == 200
    assert available_of("usr_1") == 20
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
    assert available_of("usr_1") == 25
    assert stored().tries == 1


def test_a_session_is_credited_once_however_many_events_tell_of_it(deliver, checkout_event):
    for n, type in enumerate(PAID_TYPES * 2):
        assert deliver(checkout_event(event_id=f"evt_{n}", type=type)).status_code == 200
    # Not even with another amount.
    assert deliver(checkout_event(event_id="evt_more", amount_total=9900)).status_code == 200
    assert available_of("usr_1") == 25
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"handled"}


def test_a_session_is_credited_to_one_user_only(deliver, checkout_event):
    deliver(checkout_event(event_id="evt_1", user_id="usr_1"))
    assert deliver(checkout_event(event_id="evt_2", user_id="usr_2")).content == RECEIVED
    assert (available_of("usr_1"), available_of("usr_2")) == (25, 0)
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
    assert available_of("usr_1") == 25


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
    assert available_of("usr_1") == 25


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
    assert available_of("usr_1") == 25
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
    [
        None,
        "",
        7,
        ["usr_1"],
        {"id": "usr_1"},
        "u" * 256,
        "usr\n1",
        "usr\x001",
        "usr\ud8001",
        "\u200b",
        "\u3164",
    ],
)
@pytest.mark.parametrize("paid", ["paid", "unpaid"])
def test_an_impossible_user_is_parked_and_no_other_is_credited(deliver, checkout_event, user_id, paid):
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
    assert available_of("usr_1") == 25


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
    assert available_of("usr_1") == 25
    assert TopUp.objects.get().livemode is True


def test_a_parked_event_stays_parked_when_it_is_delivered_again(deliver, checkout_event):
    event = checkout_event(currency="eur")
    deliver(event)
    assert deliver(event).content == RECEIVED
    assert parked("not in US dollars")
