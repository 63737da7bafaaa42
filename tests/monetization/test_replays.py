"""Idempotency-Key: the same request again gets the same answer, also when it comes many times at once."""

import hashlib
import hmac
from collections import Counter
from functools import partial

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from foundation.errors import KeyReused
from monetization import replays, sponsors, subscriptions
from monetization.errors import PositionTaken
from monetization.models import FirstAnswer, Sponsor, Subscription, SubscriptionEvent, Tip
from monetization.privacy import erasure
from monetization.replays import Made
from tests.crowd import at_once, begin, outcomes_at_once, patiently, wait_until_another_waits
from tests.monetization.conftest import (
    SPONSOR_BODY,
    SPONSORS,
    SUBSCRIPTION_BODY,
    SUBSCRIPTIONS,
    TIP,
    caller_with,
    key_of,
)
from tests.monetization.records import change as change_subscription
from tests.monetization.records import subscribe, tip
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

Endpoint = FirstAnswer.Endpoint
KEY = {"Idempotency-Key": "order-1"}
# Without Stripe's ids, so that the key alone decides.
SUBSCRIBED = {name: value for name, value in SUBSCRIPTION_BODY.items() if name != "stripe_subscription_id"}
TIPPED = {"amount_cents": 500, "email": "reader@example.com"}
EACH = [(SPONSORS, SPONSOR_BODY, Sponsor), (SUBSCRIPTIONS, SUBSCRIBED, Subscription), (TIP, TIPPED, Tip)]
each_endpoint = pytest.mark.parametrize(("path", "body", "model"), EACH)


def once(creator, make, *, key="order-1", body=None, endpoint=Endpoint.TIP):
    return replays.once(creator=creator, endpoint=endpoint, key=key, body=body or {"amount": 1}, make=make)


def making_a_tip(creator, amount_cents=500):
    def make():
        made = tip(creator, amount_cents)
        return Made(made.pk, {"b": made.pk, "a": "é", "n": None})

    return make


# --- The verb ---------------------------------------------------------------------------------------


def test_the_same_key_and_body_is_made_once_and_answered_the_same_in_the_same_order(creator):
    first = once(creator, making_a_tip(creator))
    again = once(creator, making_a_tip(creator))
    assert list(again.items()) == list(first.items())
    assert Tip.objects.count() == FirstAnswer.objects.count() == 1
    assert FirstAnswer.objects.get().row_id == first["b"]


def test_another_body_is_refused_and_makes_nothing(creator):
    once(creator, making_a_tip(creator))
    with pytest.raises(KeyReused):
        once(creator, making_a_tip(creator), body={"amount": 2})
    assert Tip.objects.count() == 1


def test_the_order_of_a_bodys_fields_is_no_difference(creator):
    first = once(creator, making_a_tip(creator), body={"a": 1, "b": 2})
    assert once(creator, making_a_tip(creator), body={"b": 2, "a": 1}) == first


@pytest.mark.parametrize("other", [{"a": "1"}, {"a": 1, "b": None}, {"a": True}, {}])
def test_bodies_that_look_alike_are_told_apart(creator, other):
    assert replays.digest_of({"a": 1}) != replays.digest_of(other)


def test_a_digest_tells_nothing_without_our_secret(creator, settings):
    before = replays.digest_of({"email": "reader@example.com"})
    settings.SECRET_KEY = "another secret of the tests, long enough for anybody"
    assert replays.digest_of({"email": "reader@example.com"}) != before


def test_a_key_is_each_creators_and_each_endpoints_own(creator, stranger):
    answers = [
        once(creator, making_a_tip(creator)),
        once(stranger, making_a_tip(stranger), body={"amount": 2}),
        once(creator, making_a_tip(creator), endpoint=Endpoint.SPONSOR, body={"amount": 3}),
    ]
    assert len({answer["b"] for answer in answers}) == 3


def test_without_a_key_everything_is_new(creator):
    assert once(creator, making_a_tip(creator), key="") != once(creator, making_a_tip(creator), key="")
    assert not FirstAnswer.objects.exists()


@pytest.mark.parametrize("key", ["order-1", ""])
@pytest.mark.parametrize(
    "error", [PositionTaken("header", []), ValueError(), IntegrityError(), OperationalError()]
)
def test_what_fails_leaves_nothing_behind_and_the_key_free(creator, error, key):
    def make():
        tip(creator)
        raise error

    with pytest.raises(type(error)):
        once(creator, make, key=key)
    assert not Tip.objects.exists()
    assert not FirstAnswer.objects.exists()
    assert once(creator, making_a_tip(creator), key=key, body={"amount": 2})["a"] == "é"


def test_an_answer_that_cannot_be_written_down_is_not_committed(creator):
    def make():
        return Made(tip(creator).pk, {"a": object()})

    with pytest.raises(TypeError):
        once(creator, make)
    assert not Tip.objects.exists()


@pytest.mark.parametrize("key", ["order-1", ""])
def test_the_whole_answer_is_there_before_anything_is_committed(creator, key):
    """After the commit nothing may fail: a client posts again after a failure."""
    seen = []

    def make():
        made = tip(creator)
        seen.append(connection.in_atomic_block)
        return Made(made.pk, {})

    depth = len(connection.savepoint_ids)

    def look():
        seen.append(len(connection.savepoint_ids) > depth)
        return make()

    once(creator, look, key=key)
    assert seen == [True, True]


def test_two_keys_for_one_payment_are_one_tip_and_one_answer(creator):
    def make():
        made = tip(creator, stripe_payment_id="pi_1")
        return Made(made.pk, {"id": made.pk})

    assert once(creator, make, key="order-1") == once(creator, make, key="order-2")
    assert (Tip.objects.count(), FirstAnswer.objects.count()) == (1, 2)


# --- Over the API -----------------------------------------------------------------------------------


@each_endpoint
def test_a_replay_is_the_first_answer_byte_for_byte(api, path, body, model):
    first = api.post(path, body, headers=KEY)
    again = api.post(path, dict(reversed(body.items())), headers=KEY)
    assert first.status_code == again.status_code in (200, 201)
    assert again.content == first.content
    assert again["Content-Type"] == first["Content-Type"] == "application/json"
    assert model.objects.count() == 1


@each_endpoint
def test_a_replay_is_the_first_answer_whatever_became_of_the_row(creator, api, path, body, model):
    first = api.post(path, body, headers=KEY)
    if model is Subscription:
        change_subscription(Subscription.objects.get(), status="cancelled", plan="annual", amount_cents=1)
    if model is Sponsor:
        Sponsor.objects.update(cancelled_at=Sponsor.objects.get().created_at, sponsor_name="Other")
    if model is Tip:
        creator.plan_id = "enterprise"
        creator.save(update_fields=["plan_id"])
    assert api.post(path, body, headers=KEY).content == first.content


@each_endpoint
def test_the_key_with_another_body_is_409(api, path, body, model):
    api.post(path, body, headers=KEY)
    field = {SPONSORS: "sponsor_name", SUBSCRIPTIONS: "plan", TIP: "name"}[path]
    other = api.post(path, body | {field: "Other"}, headers=KEY)
    assert other.status_code == 409
    assert other.json() == {
        "success": False,
        "error": "This Idempotency-Key was used for another request",
    }
    assert model.objects.count() == 1


def test_a_body_that_was_refused_does_not_use_the_key_up(api):
    assert api.post(TIP, {"amount_cents": 49}, headers=KEY).status_code == 400
    assert api.post(TIP, TIPPED, headers=KEY).status_code == 200


def test_a_conflict_does_not_use_the_key_up(creator, api):
    tip(creator, 700, stripe_payment_id="pi_1")
    assert api.post(TIP, TIPPED | {"stripe_payment_id": "pi_1"}, headers=KEY).status_code == 409
    assert api.post(TIP, TIPPED | {"stripe_payment_id": "pi_2"}, headers=KEY).status_code == 200


def test_an_edit_of_the_row_changes_no_replay(creator, api):
    first = api.post(SPONSORS, SPONSOR_BODY, headers=KEY)
    Sponsor.objects.update(sponsor_name="Other", position="footer")
    assert api.post(SPONSORS, SPONSOR_BODY, headers=KEY).content == first.content


@each_endpoint
def test_a_readers_address_is_not_kept_with_the_answer(api, path, body, model):
    first = api.post(path, body, headers=KEY)
    assert "reader@example.com" not in FirstAnswer.objects.get().answer
    assert ("reader@example.com" in first.content.decode()) is (model is Subscription)


# --- Answers kept by an earlier release, which kept the whole body ----------------------------------

EARLIER_BODIES = {
    SPONSORS: (
        "sponsor",
        "spon_01m8kbbc5ngeshxrgnsjn7kep7",
        '{"active_from": "2025-12-01 00:00:00+00:00", "active_until": "2025-12-31 23:59:59+00:00", '
        '"currency": "USD", "logo_url": "https://cdn.example.com/acme-logo.png", "position": "header", '
        '"price_cents": 29900, "sponsor_name": "Acme Corp", "target_url": "https://acme.example.com"}',
        '{"success": true, "data": {"id": "spon_01m8kbbc5ngeshxrgnsjn7kep7", "sponsor_name": '
        '"Acme \\u00e9", "position": "header", "active_from": "2025-12-01T00:00:00Z", '
        '"active_until": "2025-12-31T23:59:59Z"}}',
        '{"success":true,"data":{"id":"spon_01m8kbbc5ngeshxrgnsjn7kep7","sponsor_name":"Acme é",'
        '"position":"header","active_from":"2025-12-01T00:00:00Z","active_until":"2025-12-31T23:59:59Z"}}',
    ),
    SUBSCRIPTIONS: (
        "subscription",
        "sub_01m8kbbc80ppxwr042m5e8s6ky",
        '{"amount_cents": 799, "currency": "USD", "plan": "monthly", '
        '"subscriber_email": "reader@example.com"}',
        '{"success": true, "data": {"id": "sub_01m8kbbc80ppxwr042m5e8s6ky", '
        '"subscriber_email": "reader@example.com", "plan": "monthly", "status": "active"}}',
        '{"success":true,"data":{"id":"sub_01m8kbbc80ppxwr042m5e8s6ky",'
        '"subscriber_email":"reader@example.com","plan":"monthly","status":"active"}}',
    ),
    TIP: (
        "tip",
        "tip_01m8kbbc9n97w68dj6q3z92vy7",
        '{"amount_cents": 500, "currency": "USD", "email": "reader@example.com"}',
        '{"success": true, "tip_id": "tip_01m8kbbc9n97w68dj6q3z92vy7", "gross_amount_cents": 500, '
        '"platform_fee_cents": 25, "net_amount_cents": 475, "timestamp": "2026-11-29T09:49:31Z"}',
        '{"success":true,"tip_id":"tip_01m8kbbc9n97w68dj6q3z92vy7","gross_amount_cents":500,'
        '"platform_fee_cents":25,"net_amount_cents":475,"timestamp":"2026-11-29T09:49:31Z"}',
    ),
}


def keep_as_before(creator, settings, path, *, erased=False):
    """Write an answer down as the release before did, erased or not; the bytes it was answered with."""
    endpoint, row_id, request, answer, wire = EARLIER_BODIES[path]
    digest = hmac.new(settings.SECRET_KEY.encode(), request.encode(), hashlib.sha256).hexdigest()
    if erased:
        digest, answer = "", answer.replace("reader@example.com", "reader-0f@erased.invalid")
    sql(
        "INSERT INTO monetization_firstanswer (creator_id, endpoint, key, digest, row_id, answer, created_at)"
        " VALUES (%s, %s, 'order-1', %s, %s, %s, now())",
        *(creator.pk, endpoint, digest, row_id, answer),
    )
    if endpoint == "subscription":
        row = subscribe(creator)
        row.pk, row.plan = row_id, "annual"
        row.subscriber_email = row.reader = "reader-0f@erased.invalid" if erased else "reader@example.com"
        row.save(force_insert=True)
    return wire.encode()


@each_endpoint
def test_an_answer_of_the_release_before_is_replayed_byte_for_byte(creator, api, settings, path, body, model):
    first = keep_as_before(creator, settings, path)
    there = model.objects.count()
    again = api.post(path, body, headers=KEY)
    assert again.status_code == (200 if path == TIP else 201)
    assert again.content == first
    assert model.objects.count() == there
    other = api.post(path, body | {"currency": "EUR"}, headers=KEY)
    assert other.status_code == 409


@each_endpoint
def test_an_answer_that_the_release_before_erased_is_still_refused(creator, api, settings, path, body, model):
    keep_as_before(creator, settings, path, erased=True)
    there = model.objects.count()
    again = api.post(path, body, headers=KEY)
    assert again.status_code == 409
    assert again.json()["error"] == "This Idempotency-Key was used for another request"
    assert model.objects.count() == there


@pytest.mark.parametrize("path", [SUBSCRIPTIONS, TIP])
def test_an_answer_of_the_release_before_can_be_erased(creator, api, settings, path):
    keep_as_before(creator, settings, path)
    if path == TIP:
        given = tip(creator, email="reader@example.com")
        FirstAnswer.objects.update(row_id=given.pk)
    erasure.erase("reader@example.com", actor="operator")
    first = FirstAnswer.objects.get()
    assert (first.digest, "reader@example.com" in first.answer) == ("", False)
    assert api.post(path, SUBSCRIBED if path == SUBSCRIPTIONS else TIPPED, headers=KEY).status_code == 409


# --- Many at once -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@each_endpoint
def test_one_key_from_24_callers_is_one_row_and_24_equal_answers(creator, path, body, model):
    secret = key_of(creator, "monetization")

    def post():
        return caller_with(secret).post(path, body, headers=KEY)

    answers = at_once([lambda: patiently(post)] * 24)
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert answers[0].status_code in (200, 201)
    assert model.objects.count() == FirstAnswer.objects.count() == 1
    assert SubscriptionEvent.objects.count() == (1 if model is Subscription else 0)


STRIPE = [
    (SUBSCRIPTIONS, SUBSCRIPTION_BODY, Subscription),
    (TIP, TIPPED | {"stripe_payment_id": "pi_1"}, Tip),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "body", "model"), STRIPE)
@pytest.mark.parametrize("keyed", ["no key", "a key each"])
def test_one_stripe_id_from_24_callers_is_one_row_and_24_equal_answers(creator, path, body, model, keyed):
    secret = key_of(creator, "monetization")

    def post(n):
        headers = {"Idempotency-Key": f"order-{n}"} if keyed == "a key each" else {}
        return caller_with(secret).post(path, body, headers=headers)

    answers = at_once([partial(patiently, partial(post, n)) for n in range(24)])
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert answers[0].status_code in (200, 201)
    assert model.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_key_for_different_bodies_at_once_has_one_winner(creator):
    def post(n):
        amount = 500 + n
        return once(creator, making_a_tip(creator, amount), body={"amount": amount})

    outcomes = outcomes_at_once([partial(patiently, partial(post, n)) for n in range(12)])
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {type(None): 1, KeyReused: 11}
    assert Tip.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_request_that_waited_for_one_that_failed_makes_it(creator):
    second = []

    def make_and_fail():
        made = tip(creator, stripe_payment_id="pi_1")
        second.append(begin(lambda: once(creator, make)))
        wait_until_another_waits()
        raise ZeroDivisionError(made.pk)

    def make():
        made = tip(creator, stripe_payment_id="pi_1")
        return Made(made.pk, {"id": made.pk})

    with pytest.raises(ZeroDivisionError):
        once(creator, make_and_fail)
    assert second[0].result(timeout=120) == {"id": Tip.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_a_request_that_waited_for_one_that_succeeded_has_its_answer(creator):
    with transaction.atomic():
        first = once(creator, making_a_tip(creator))
        second = begin(lambda: once(creator, making_a_tip(creator)))
        wait_until_another_waits()
    assert second.result(timeout=120) == first
    assert Tip.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_request_that_waited_with_another_body_is_refused(creator):
    with transaction.atomic():
        once(creator, making_a_tip(creator))
        second = begin(lambda: once(creator, making_a_tip(creator, 700), body={"amount": 700}))
        wait_until_another_waits()
    with pytest.raises(KeyReused):
        second.result(timeout=120)
    assert Tip.objects.get().gross_cents == 500


@pytest.mark.django_db(transaction=True)
def test_a_key_and_a_stripe_id_raced_for_crosswise_end_with_one_of_each(creator):
    """Keys and Stripe ids are taken in one order by everybody, and a deadlock would be tried again."""

    def post(key, stripe_id):
        def make():
            made = subscriptions.record(
                creator=creator,
                subscriber_email="reader@example.com",
                plan="monthly",
                amount_cents=799,
                currency="USD",
                stripe_subscription_id=stripe_id,
            )
            return Made(made.pk, {"id": made.pk})

        return once(creator, make, key=key, body={"id": stripe_id}, endpoint=Endpoint.SUBSCRIPTION)

    pairs = [(f"order-{n % 2}", f"sub_{n // 2 % 2}") for n in range(16)]
    outcomes = outcomes_at_once([partial(patiently, partial(post, *pair)) for pair in pairs])
    assert {type(outcome.exception()) for outcome in outcomes} <= {type(None), KeyReused}
    # A key stands for the one body it came with first.
    assert FirstAnswer.objects.count() == 2
    assert Subscription.objects.count() == len(set(FirstAnswer.objects.values_list("row_id", flat=True)))


@pytest.mark.django_db(transaction=True)
def test_one_key_for_one_slot_from_many_is_placed_once_under_the_rule(creator):
    """A later request finds the slot taken by its own placement, and gets its answer all the same."""
    sponsors.set_one_at_a_time(creator=creator, on=True)
    secret = key_of(creator, "monetization")

    def post():
        return caller_with(secret).post(SPONSORS, SPONSOR_BODY, headers=KEY)

    answers = at_once([lambda: patiently(post)] * 12)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert Sponsor.objects.count() == 1
    other_key = caller_with(secret).post(SPONSORS, SPONSOR_BODY, headers={"Idempotency-Key": "order-2"})
    assert other_key.status_code == 409
