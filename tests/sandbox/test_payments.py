"""What happens to a session's money: paid, declined, paid later; and its events by the API."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.sandbox.conftest import Receiver, StandIn, control_refusal, events_of, wait_until

# --- Paying -----------------------------------------------------------------------------------------


def test_a_paid_session_has_its_payment_and_its_charge(stand_in: StandIn):
    session = stand_in.paid_session()
    assert (session["status"], session["payment_status"], session["url"]) == ("complete", "paid", None)
    assert session["customer_details"]["email"]
    intent = stand_in.stripe.v1.payment_intents.retrieve(session["payment_intent"]).to_dict()
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 2500)
    assert intent["metadata"] == {"type": "wallet_topup", "user_id": "usr_1", "product": "blog"}
    charge = stand_in.stripe.v1.charges.retrieve(intent["latest_charge"]).to_dict()
    assert (charge["amount"], charge["payment_intent"]) == (2500, intent["id"])
    assert charge["metadata"] == intent["metadata"]


def test_many_clicks_on_pay_charge_once(stand_in: StandIn, receiver: Receiver):
    session_id = stand_in.new_session().id
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: control_refusal(stand_in, f"sessions/{session_id}/pay"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    receiver.wait_for(1)
    wait_until(lambda: not stand_in.has_untried_deliveries())
    assert receiver.types() == ["checkout.session.completed"]
    assert len(stand_in.look("deliveries")["data"]) == 1


def test_a_declined_card_leaves_the_session_open(stand_in: StandIn):
    session_id = stand_in.new_session().id
    declined = stand_in.control(f"sessions/{session_id}/decline")
    assert (declined["status"], declined["payment_status"]) == ("open", "unpaid")
    intent = stand_in.stripe.v1.payment_intents.retrieve(declined["payment_intent"]).to_dict()
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["code"] == "card_declined"
    assert events_of(stand_in, session_id) == []
    paid = stand_in.control(f"sessions/{session_id}/pay")
    assert paid["payment_intent"] == declined["payment_intent"]


def test_a_delayed_payment_completes_unpaid_and_is_paid_later(stand_in: StandIn, receiver: Receiver):
    session_id = stand_in.new_session().id
    session = stand_in.control(f"sessions/{session_id}/pay_later")
    assert (session["status"], session["payment_status"]) == ("complete", "unpaid")
    stand_in.control(f"sessions/{session_id}/settle")
    snapshots = {hook.event["type"]: hook.event["data"]["object"] for hook in receiver.wait_for(2)}
    assert snapshots["checkout.session.completed"]["payment_status"] == "unpaid"
    assert snapshots["checkout.session.async_payment_succeeded"]["payment_status"] == "paid"


def test_a_delayed_payment_may_fail(stand_in: StandIn):
    session_id = stand_in.new_session().id
    stand_in.control(f"sessions/{session_id}/pay_later")
    failed = stand_in.control(f"sessions/{session_id}/fail")
    assert (failed["status"], failed["payment_status"]) == ("complete", "unpaid")
    assert events_of(stand_in, session_id)[-1] == "checkout.session.async_payment_failed"
    assert control_refusal(stand_in, f"sessions/{session_id}/settle").status_code == 409


def test_a_delayed_payment_succeeds_by_itself(start_another: Any, receiver: Receiver):
    stand_in = start_another(SANDBOX_DELAYED_SECONDS="0.5")
    session_id = stand_in.new_session().id
    stand_in.control(f"sessions/{session_id}/pay_later")
    receiver.wait_for(2)
    assert receiver.types() == ["checkout.session.async_payment_succeeded", "checkout.session.completed"]


@pytest.mark.parametrize("verb", ["pay", "decline", "pay_later"])
def test_an_expired_session_takes_no_payment(stand_in: StandIn, verb: str):
    session_id = stand_in.new_session().id
    stand_in.control(f"sessions/{session_id}/expire")
    answer = control_refusal(stand_in, f"sessions/{session_id}/{verb}")
    assert (answer.status_code, list(answer.json())) == (409, ["error"])


# --- Events by the API ------------------------------------------------------------------------------


def test_events_are_listed_by_type(stand_in: StandIn):
    paid = stand_in.paid_session()
    stand_in.control(f"sessions/{paid['id']}/refund")

    def types_of(**params: Any) -> list[str]:
        events = stand_in.stripe.v1.events.list(params=params)  # type: ignore[arg-type]
        return [event.type for event in events.data]

    assert types_of() == ["charge.refunded", "refund.created", "checkout.session.completed"]
    assert types_of(type="refund.created") == ["refund.created"]
    assert types_of(type="refund.*") == ["refund.created"]
    assert types_of(types=["refund.created", "checkout.session.completed"]) == [
        "refund.created",
        "checkout.session.completed",
    ]
    assert types_of(created={"gte": int(time.time()) + 60}) == []
    assert len(list(stand_in.stripe.v1.events.list(params={"limit": 1}).auto_paging_iter())) == 3


def test_an_event_shows_whether_it_was_delivered(stand_in: StandIn, receiver: Receiver):
    stand_in.control("settings", drop_webhooks=True)
    stand_in.paid_session()
    wait_until(lambda: [each["state"] for each in stand_in.look("deliveries")["data"]] == ["dropped"])
    lost = stand_in.stripe.v1.events.list(params={"delivery_success": False}).data
    assert len(lost) == 1
    event = stand_in.stripe.v1.events.retrieve(lost[0].id).to_dict()
    expected = {
        "object": "event",
        "api_version": "2026-10-28.endive",
        "livemode": False,
        "pending_webhooks": 1,
    }
    assert {name: event[name] for name in expected} == expected
    stand_in.control("settings", drop_webhooks=False)
    stand_in.control(f"events/{event['id']}/resend")
    receiver.wait_for(1)
    wait_until(lambda: not stand_in.stripe.v1.events.list(params={"delivery_success": False}).data)
