"""Webhooks: signed, retried, duplicated, delayed, dropped, and kept over a restart."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe

from sandbox.webhooks import AT_ONCE_MAX, is_lost
from tests.sandbox.conftest import OLD_SECRET, SECRET, Receiver, StandIn, wait_until


def test_a_webhook_carries_the_event_and_one_signature_for_each_secret(stand_in: StandIn, receiver: Receiver):
    session = stand_in.paid_session()
    (webhook,) = receiver.wait_for(1)
    for secret in (SECRET, OLD_SECRET):
        webhook.verify(secret)
    with pytest.raises(stripe.SignatureVerificationError):
        webhook.verify("whsec_of_another_service")
    assert webhook.event["type"] == "checkout.session.completed"
    assert webhook.event["data"]["object"] == session


@pytest.mark.parametrize("answer", [500, 301, 404])
def test_anything_but_2xx_is_tried_again_with_a_fresh_signature(
    stand_in: StandIn, receiver: Receiver, answer: int
):
    receiver.answers = [answer]
    stand_in.paid_session()
    first, second = receiver.wait_for(2)
    assert first.event["id"] == second.event["id"]
    assert second.at - first.at >= 1
    assert first.signature != second.signature
    second.verify(SECRET)
    # The stand-in records an attempt after the receiver has answered it.
    wait_until(lambda: stand_in.look("deliveries")["data"][0]["state"] == "delivered")
    (delivery,) = stand_in.look("deliveries")["data"]
    assert [attempt["status"] for attempt in delivery["attempts"]] == [answer, 200]
    assert (delivery["state"], delivery["tries"]) == ("delivered", 2)


def test_an_answer_of_204_is_good_enough(stand_in: StandIn, receiver: Receiver):
    receiver.answers = [204]
    stand_in.paid_session()
    wait_until(lambda: stand_in.look("deliveries")["data"][0]["state"] == "delivered")


def test_a_webhook_without_a_receiver_is_tried_again(start_another: Callable[..., StandIn]):
    stand_in = start_another(SANDBOX_WEBHOOK_URL="http://127.0.0.1:9/")
    stand_in.paid_session()
    wait_until(lambda: stand_in.look("deliveries")["data"][0]["tries"] >= 2)
    (delivery,) = stand_in.look("deliveries")["data"]
    assert delivery["state"] == "waiting"
    assert delivery["attempts"][0]["status"] is None
    assert "ConnectionRefusedError" in delivery["attempts"][0]["remark"]


def test_webhooks_go_to_the_public_address_unless_another_is_set(
    start_another: Callable[..., StandIn], receiver: Receiver
):
    public_url = receiver.url.removesuffix("/io/wallet/webhook")
    start_another(SANDBOX_WEBHOOK_URL="", PUBLIC_URL=public_url).paid_session()
    receiver.wait_for(1)


def test_a_slow_answer_does_not_delay_the_next_webhook(stand_in: StandIn, receiver: Receiver):
    receiver.be_silent(True)
    for _ in range(3):
        stand_in.paid_session()
    receiver.wait_for(3)
    assert receiver.answered == 0


def test_an_event_is_sent_again_one_after_the_other(stand_in: StandIn, receiver: Receiver):
    stand_in.paid_session()
    (webhook,) = receiver.wait_for(1)
    receiver.seconds_to_answer = 0.2
    stand_in.control(f"events/{webhook.event['id']}/resend", times=2)
    _, second, third = receiver.wait_for(3)
    assert {second.event["id"], third.event["id"]} == {webhook.event["id"]}
    assert third.at - second.at >= 0.2


def test_an_event_is_sent_several_times_at_once(stand_in: StandIn, receiver: Receiver):
    stand_in.paid_session()
    event_id = receiver.wait_for(1)[0].event["id"]
    wait_until(lambda: stand_in.look("deliveries")["data"][0]["state"] == "delivered")
    # On a busy machine, the sandbox may have waited too long for an answer and tried again.
    answered = receiver.answered
    receiver.be_silent(True)
    stand_in.control(f"events/{event_id}/resend", times=5, at_once=True)
    copies = receiver.wait_for(answered + 5)
    assert receiver.answered == answered  # All five have arrived, and none is answered yet.
    assert {copy.event["id"] for copy in copies} == {event_id}


def test_webhooks_that_must_wait_for_others_follow_when_these_end(stand_in: StandIn, receiver: Receiver):
    stand_in.paid_session()
    (webhook,) = receiver.wait_for(1)
    wait_until(lambda: receiver.answered == 1)
    receiver.be_silent(True)
    for _ in range(2):
        stand_in.control(f"events/{webhook.event['id']}/resend", times=20, at_once=True)
    assert len(receiver.wait_for(1 + AT_ONCE_MAX)) == 1 + AT_ONCE_MAX
    receiver.be_silent(False)
    receiver.wait_for(41)
    wait_until(lambda: {each["state"] for each in stand_in.look("deliveries")["data"]} == {"delivered"})
    assert len(receiver.webhooks) == 41  # None was sent twice.


def test_webhooks_can_be_sent_late(stand_in: StandIn, receiver: Receiver):
    stand_in.control("settings", webhook_delay_seconds=0.7)
    paid_at = time.time()
    stand_in.paid_session()
    (webhook,) = receiver.wait_for(1)
    assert webhook.at - paid_at >= 0.7


def test_dropped_webhooks_are_never_sent(stand_in: StandIn, receiver: Receiver):
    stand_in.control("settings", drop_webhooks=True)
    session = stand_in.paid_session()
    wait_until(lambda: stand_in.look("deliveries")["data"][0]["state"] == "dropped")
    stand_in.control("settings", drop_webhooks=False)
    later = stand_in.paid_session()
    # A due webhook would have been sent before a later one.
    assert [hook.event["data"]["object"]["id"] for hook in receiver.wait_for(1)] == [later["id"]]
    assert len(stand_in.look("deliveries")["data"]) == 2
    assert stand_in.stripe.v1.checkout.sessions.retrieve(session["id"]).payment_status == "paid"


@pytest.mark.parametrize("share", [0, 0.1, 1 / 3, 0.5, 0.9, 1])
@pytest.mark.parametrize("every", [1, 2, 3, 5, 8])
def test_a_share_is_lost_evenly(share: float, every: int):
    """Also of the webhooks of one type, if that is every second or every third one."""
    for first in range(1, 200, 7):
        some = range(first, first + 48 * every, every)
        lost = sum(is_lost(delivery_id, share) for delivery_id in some)
        assert abs(lost - 48 * share) <= 6, (first, lost)


def test_a_share_of_the_webhooks_is_lost(stand_in: StandIn, receiver: Receiver):
    stand_in.control("settings", drop_share=1 / 3)
    for _ in range(12):
        session = stand_in.paid_session()
        stand_in.control(f"sessions/{session['id']}/refund", amount=100)
    wait_until(lambda: not stand_in.has_untried_deliveries())
    wait_until(lambda: receiver.answered == len(receiver.webhooks))
    states = [each["state"] for each in stand_in.look("deliveries")["data"]]
    assert states.count("dropped") + len(receiver.webhooks) == len(states) == 36
    assert 8 <= states.count("dropped") <= 16
    lost = stand_in.stripe.v1.events.list(params={"delivery_success": False, "limit": 100})
    assert len(lost.data) == states.count("dropped")


def test_webhooks_can_be_sent_twice(stand_in: StandIn, receiver: Receiver):
    stand_in.control("settings", double_webhooks=True)
    stand_in.paid_session()
    first, second = receiver.wait_for(2)
    assert first.event["id"] == second.event["id"]
    wait_until(lambda: not stand_in.has_untried_deliveries())
    assert len(stand_in.look("deliveries")["data"]) == len(receiver.webhooks) == 2


def test_webhooks_can_arrive_in_another_order(stand_in: StandIn, receiver: Receiver):
    stand_in.control("settings", shuffle_seconds=1)
    created = [stand_in.paid_session()["id"] for _ in range(12)]
    arrived = [hook.event["data"]["object"]["id"] for hook in receiver.wait_for(12)]
    assert sorted(arrived) == sorted(created)
    assert arrived != created  # By chance they are in order once in 479,001,600 times.


# --- Restarts ---------------------------------------------------------------------------------------


def test_everything_survives_a_restart(start_another: Callable[..., StandIn], receiver: Receiver):
    """Sessions, keys, settings, and webhooks without a good answer."""
    stand_in = start_another()
    options: Any = {"idempotency_key": "key_1"}
    params: Any = {"payment_intent": stand_in.paid_session()["payment_intent"], "amount": 100}
    refund = stand_in.stripe.v1.refunds.create(params=params, options=options)
    receiver.wait_for(3)
    wait_until(lambda: {each["state"] for each in stand_in.look("deliveries")["data"]} == {"delivered"})
    waiting = stand_in.new_session()
    stand_in.control("settings", api_delay_seconds=0.01)
    receiver.answers = [503] * 50
    stand_in.control(f"sessions/{waiting.id}/pay_later")
    receiver.wait_for(4)
    kid = key_id(stand_in)
    stand_in.stop()

    receiver.answers.clear()
    stand_in.start()
    undelivered = receiver.wait_for(5)[-1]
    assert undelivered.event["data"]["object"]["id"] == waiting.id
    assert stand_in.stripe.v1.checkout.sessions.retrieve(waiting.id).status == "complete"
    assert stand_in.stripe.v1.refunds.create(params=params, options=options).id == refund.id
    assert stand_in.look("settings")["api_delay_seconds"] == 0.01
    assert key_id(stand_in) == kid


def test_stopping_does_not_wait_for_an_answer(start_another: Callable[..., StandIn], receiver: Receiver):
    stand_in = start_another()
    receiver.be_silent(True)
    stand_in.paid_session()
    receiver.wait_for(1)
    began = time.monotonic()
    stand_in.stop()
    assert receiver.answered == 0
    assert time.monotonic() - began < 8  # It waits at most ten for an answer.
    assert stand_in.process.returncode == 0


def key_id(stand_in: StandIn) -> str:
    answer = requests.get(f"{stand_in.url}/sso/jwks.json", timeout=120)
    return str(answer.json()["keys"][0]["kid"])
