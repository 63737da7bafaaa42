"""Refunds: partial, several, waiting, failed much later, canceled, and refused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import StandIn, control_refusal, events_of


def refund(stand_in: StandIn, intent: str, **params: Any) -> dict[str, Any]:
    params["payment_intent"] = intent
    return stand_in.stripe.v1.refunds.create(params=params).to_dict()  # type: ignore[arg-type]


def test_refunds_add_up_on_the_charge_and_never_exceed_it(stand_in: StandIn):
    session = stand_in.paid_session()
    intent = session["payment_intent"]
    first = refund(stand_in, intent, amount=1000, reason="requested_by_customer")
    assert (first["amount"], first["status"], first["payment_intent"]) == (1000, "succeeded", intent)
    with pytest.raises(stripe.InvalidRequestError, match=r"\$15\.01.*\$15\.00"):
        refund(stand_in, intent, amount=1501)
    second = refund(stand_in, intent)
    assert second["amount"] == 1500
    with pytest.raises(stripe.InvalidRequestError) as refused:
        refund(stand_in, intent)
    assert refused.value.code == "charge_already_refunded"

    listed = stand_in.stripe.v1.refunds.list(params={"payment_intent": intent})
    assert [each.id for each in listed.data] == [second["id"], first["id"]]
    charges = [
        event["data"]["object"]
        for event in stand_in.look("events", session=session["id"])["data"][::-1]
        if event["type"] == "charge.refunded"
    ]
    amounts = [(charge["amount_refunded"], charge["refunded"]) for charge in charges]
    assert amounts == [(1000, False), (2500, True)]


def test_parallel_refunds_do_not_exceed_the_charge(stand_in: StandIn):
    session = stand_in.paid_session()
    with ThreadPoolExecutor(6) as crowd:
        answers = list(
            crowd.map(
                lambda _: control_refusal(stand_in, f"sessions/{session['id']}/refund", amount=1000), range(6)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409, 409, 409]


def test_an_unpaid_session_cannot_be_refunded(stand_in: StandIn):
    session_id = stand_in.new_session().id
    assert control_refusal(stand_in, f"sessions/{session_id}/refund").status_code == 409
    declined = stand_in.control(f"sessions/{session_id}/decline")
    with pytest.raises(stripe.InvalidRequestError):
        refund(stand_in, declined["payment_intent"])


def test_a_pending_refund_succeeds_or_fails_later(stand_in: StandIn):
    session_id = stand_in.paid_session()["id"]
    first = stand_in.control(f"sessions/{session_id}/refund", amount=500, pending=True)
    assert first["status"] == "pending"
    assert stand_in.control(f"refunds/{first['id']}/succeed")["status"] == "succeeded"
    second = stand_in.control(f"sessions/{session_id}/refund", amount=700)
    assert stand_in.control(f"refunds/{second['id']}/fail")["status"] == "failed"
    assert events_of(stand_in, session_id)[1:] == [
        "refund.created",
        "charge.refunded",
        "refund.updated",
        "refund.created",
        "charge.refunded",
        "refund.updated",
        "refund.failed",
    ]
    # After a failed refund the money can be refunded again.
    assert stand_in.control(f"sessions/{session_id}/refund")["amount"] == 2000


def charge_of(stand_in: StandIn, session: dict[str, Any]) -> stripe.Charge:
    (charge,) = stand_in.stripe.v1.charges.list(params={"payment_intent": session["payment_intent"]}).data
    return charge


@pytest.mark.parametrize("waiting", ["pending", "requires_action"])
@pytest.mark.parametrize(
    ("verb", "status", "refunded", "events"),
    [
        ("succeed", "succeeded", 1000, ["refund.updated"]),
        ("fail", "failed", 0, ["refund.updated", "refund.failed"]),
        ("cancel", "canceled", 0, ["refund.updated"]),
    ],
)
def test_a_waiting_refund_ends(
    stand_in: StandIn, waiting: str, verb: str, status: str, refunded: int, events: list[str]
):
    session = stand_in.paid_session()
    made = stand_in.control(f"sessions/{session['id']}/refund", amount=1000, status=waiting)
    assert (made["status"], bool(made["pending_reason"]), bool(made["next_action"])) == (
        waiting,
        waiting == "pending",
        waiting == "requires_action",
    )
    assert charge_of(stand_in, session).amount_refunded == 1000  # From its first moment.
    ended = stand_in.control(f"refunds/{made['id']}/{verb}")
    assert (ended["status"], ended["pending_reason"], ended["next_action"]) == (status, None, None)
    assert bool(ended.get("failure_balance_transaction")) == (refunded == 0)
    charge = charge_of(stand_in, session)
    assert (charge.amount_refunded, charge.refunded) == (refunded, False)
    assert events_of(stand_in, session["id"])[1:] == ["refund.created", "charge.refunded", *events]
    (updated,) = stand_in.stripe.v1.events.list(params={"type": "refund.updated"}).to_dict()["data"]
    assert updated["data"]["previous_attributes"]["status"] == waiting


def test_a_refund_fails_after_it_had_succeeded_and_can_be_made_again(stand_in: StandIn):
    session = stand_in.paid_session()
    made = stand_in.control(f"sessions/{session['id']}/refund")
    assert charge_of(stand_in, session).refunded
    failed = stand_in.control(f"refunds/{made['id']}/fail")
    assert failed["failure_reason"] == "lost_or_stolen_card"
    charge = charge_of(stand_in, session)
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert stand_in.control(f"sessions/{session['id']}/refund")["amount"] == 2500


@pytest.mark.parametrize(
    ("ending", "verb"),
    [
        ("fail", "succeed"),
        ("fail", "fail"),
        ("fail", "cancel"),
        ("cancel", "succeed"),
        ("cancel", "fail"),
        ("cancel", "cancel"),
        ("succeed", "succeed"),
        ("succeed", "cancel"),
    ],
)
def test_a_refund_ends_once(stand_in: StandIn, ending: str, verb: str):
    session = stand_in.paid_session()
    made = stand_in.control(f"sessions/{session['id']}/refund", status="pending")
    ended = stand_in.control(f"refunds/{made['id']}/{ending}")
    assert control_refusal(stand_in, f"refunds/{made['id']}/{verb}").status_code == 409
    assert stand_in.stripe.v1.refunds.retrieve(made["id"]).to_dict() == ended


def test_the_api_cancels_a_refund_that_waits_for_the_buyer(stand_in: StandIn):
    session = stand_in.paid_session()
    path = f"sessions/{session['id']}/refund"
    waiting, pending = (
        stand_in.control(path, amount=100, status=each)["id"] for each in ("requires_action", "pending")
    )
    assert stand_in.stripe.v1.refunds.cancel(waiting).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="pending"):
        stand_in.stripe.v1.refunds.cancel(pending)


def test_refunds_are_pending_while_the_settings_say_so(stand_in: StandIn):
    intent = stand_in.paid_session()["payment_intent"]
    stand_in.control("settings", refunds_pending=True)
    made = refund(stand_in, intent, amount=100)
    assert (made["status"], made["pending_reason"]) == ("pending", "processing")
    stand_in.control("settings", refunds_pending=False)
    assert refund(stand_in, intent, amount=100)["status"] == "succeeded"
    assert stand_in.stripe.v1.refunds.retrieve(made["id"]).status == "pending"


def test_a_refund_keeps_its_metadata_and_is_made_once_for_a_key(stand_in: StandIn):
    intent = stand_in.paid_session()["payment_intent"]
    params: Any = {"payment_intent": intent, "amount": 700, "metadata": {"refund_id": "rf_1"}}
    options: Any = {"idempotency_key": "refund:rf_1"}
    first, again = (stand_in.stripe.v1.refunds.create(params=params, options=options) for _ in range(2))
    assert first == again
    assert first.to_dict()["metadata"] == {"refund_id": "rf_1"}
    assert len(stand_in.stripe.v1.refunds.list().data) == 1
    with pytest.raises(stripe.IdempotencyError):
        stand_in.stripe.v1.refunds.create(params=params | {"amount": 701}, options=options)


@pytest.mark.parametrize(
    ("verb", "refusal"),
    [(None, "charge_disputed"), ("submit", "charge_disputed"), ("lose", "charge_disputed"), ("win", None)],
)
def test_a_charge_that_was_charged_back_cannot_be_refunded(
    stand_in: StandIn, verb: str | None, refusal: str | None
):
    session = stand_in.paid_session()
    dispute = stand_in.control(f"sessions/{session['id']}/dispute", amount=500)["id"]
    if verb:
        stand_in.control(f"disputes/{dispute}/{verb}")
    if refusal is None:
        assert refund(stand_in, session["payment_intent"])["amount"] == 2500
        return
    with pytest.raises(stripe.InvalidRequestError, match="has been charged back") as refused:
        refund(stand_in, session["payment_intent"])
    assert refused.value.code == refusal
    assert control_refusal(stand_in, f"sessions/{session['id']}/refund").status_code == 409


def test_a_charge_can_be_refunded_during_an_inquiry(stand_in: StandIn):
    session = stand_in.paid_session()
    inquiry = stand_in.control(f"sessions/{session['id']}/dispute", kind="inquiry")
    assert inquiry["is_charge_refundable"] is True
    assert refund(stand_in, session["payment_intent"])["amount"] == 2500
    # Nothing is left that the bank could take.
    assert control_refusal(stand_in, f"disputes/{inquiry['id']}/escalate").status_code == 409
