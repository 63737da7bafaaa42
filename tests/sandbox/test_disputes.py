"""Disputes: inquiries, withdrawals, every decision, and money that comes back in part or later."""

from typing import Any

import pytest

from tests.sandbox.conftest import StandIn, control_refusal

Step = tuple[str, str, list[int]]


def disputed(stand_in: StandIn, **how: Any) -> tuple[str, str]:
    """The session and the dispute of a new payment, by id."""
    session_id = stand_in.paid_session()["id"]
    return session_id, stand_in.control(f"sessions/{session_id}/dispute", **how)["id"]


def steps(stand_in: StandIn, session_id: str) -> list[Step]:
    """Each dispute event, with the status and the amounts that had moved at that moment."""
    return [
        (
            event["type"].removeprefix("charge.dispute."),
            event["data"]["object"]["status"],
            [each["amount"] for each in event["data"]["object"]["balance_transactions"]],
        )
        for event in stand_in.look("events", session=session_id)["data"][::-1]
        if event["type"].startswith("charge.dispute.")
    ]


OPENED: list[Step] = [("created", "needs_response", []), ("funds_withdrawn", "needs_response", [-2500])]
ASKED: list[Step] = [("created", "warning_needs_response", [])]
ESCALATED: list[Step] = [
    ("updated", "needs_response", []),
    ("funds_withdrawn", "needs_response", [-2500]),
]


@pytest.mark.parametrize(
    ("kind", "verbs", "expected"),
    [
        (
            "chargeback",
            [("win", {})],
            [*OPENED, ("funds_reinstated", "won", [-2500, 2500]), ("closed", "won", [-2500, 2500])],
        ),
        ("chargeback", [("lose", {})], [*OPENED, ("closed", "lost", [-2500])]),
        (
            "chargeback",
            [("win_part", {"amount": 900})],
            [*OPENED, ("funds_reinstated", "lost", [-2500, 900]), ("closed", "lost", [-2500, 900])],
        ),
        (
            "chargeback",
            [("submit", {}), ("win", {"later": True}), ("reinstate", {})],
            [
                *OPENED,
                ("updated", "under_review", [-2500]),
                ("closed", "won", [-2500]),
                ("funds_reinstated", "won", [-2500, 2500]),
            ],
        ),
        (
            "chargeback",
            [("lose", {}), ("reinstate", {"amount": 1})],
            [*OPENED, ("closed", "lost", [-2500]), ("funds_reinstated", "lost", [-2500, 1])],
        ),
        ("inquiry", [("close", {})], [*ASKED, ("closed", "warning_closed", [])]),
        ("inquiry", [("prevent", {})], [*ASKED, ("closed", "prevented", [])]),
        (
            "inquiry",
            [("submit", {}), ("escalate", {}), ("lose", {})],
            [*ASKED, ("updated", "warning_under_review", []), *ESCALATED, ("closed", "lost", [-2500])],
        ),
        (
            "prevented",
            [],
            [
                ("created", "prevented", []),
                ("funds_withdrawn", "prevented", [-2500]),
                ("closed", "prevented", [-2500]),
            ],
        ),
    ],
)
def test_a_dispute_goes_its_way(
    stand_in: StandIn, kind: str, verbs: list[tuple[str, dict[str, Any]]], expected: list[Step]
):
    session_id, dispute_id = disputed(stand_in, kind=kind)
    for verb, body in verbs:
        stand_in.control(f"disputes/{dispute_id}/{verb}", **body)
    assert steps(stand_in, session_id) == expected
    last = stand_in.stripe.v1.disputes.retrieve(dispute_id)
    assert (last.status, [each.amount for each in last.balance_transactions]) == expected[-1][1:]


@pytest.mark.parametrize(
    ("verb", "body", "fees"),
    [
        ("win", {}, [1500, -1500]),
        ("lose", {}, [1500]),
        ("win_part", {"amount": 900}, [1500, 0]),
    ],
)
def test_a_dispute_costs_a_fee_that_comes_back_by_winning(
    stand_in: StandIn, verb: str, body: dict[str, Any], fees: list[int]
):
    _, dispute_id = disputed(stand_in)
    stand_in.control(f"disputes/{dispute_id}/{verb}", **body)
    transactions = stand_in.stripe.v1.disputes.retrieve(dispute_id).balance_transactions
    assert [each.fee for each in transactions] == fees


def test_evidence_is_counted_and_the_event_shows_what_changed(stand_in: StandIn):
    session_id, dispute_id = disputed(stand_in)
    stand_in.control(f"disputes/{dispute_id}/submit")
    event = stand_in.look("events", session=session_id)["data"][0]
    before, after = event["data"]["previous_attributes"], event["data"]["object"]
    assert (before["status"], after["status"]) == ("needs_response", "under_review")
    counts = [each["evidence_details"]["submission_count"] for each in (before, after)]
    assert counts == [0, 1]
    assert after["evidence_details"]["has_evidence"] is True


def test_the_whole_charge_is_disputed_after_a_partial_refund(stand_in: StandIn):
    session_id = stand_in.paid_session()["id"]
    stand_in.control(f"sessions/{session_id}/refund", amount=1000)
    dispute = stand_in.control(f"sessions/{session_id}/dispute")
    assert (dispute["amount"], dispute["balance_transactions"][0]["amount"]) == (2500, -2500)
    (charge,) = stand_in.stripe.v1.charges.list().data
    assert (charge.disputed, charge.amount_refunded) == (True, 1000)


def test_part_of_a_charge_is_disputed(stand_in: StandIn):
    session_id, _ = disputed(stand_in, amount=800)
    assert steps(stand_in, session_id)[-1] == ("funds_withdrawn", "needs_response", [-800])
    other = stand_in.paid_session()["id"]
    assert control_refusal(stand_in, f"sessions/{other}/dispute", amount=2501).status_code == 409


@pytest.mark.parametrize(
    ("kind", "verb", "again"),
    [
        ("inquiry", None, False),
        ("inquiry", "close", True),
        ("inquiry", "prevent", True),
        ("chargeback", "win", False),
        ("chargeback", "lose", False),
        ("prevented", None, False),
    ],
)
def test_a_charge_is_disputed_again_only_if_no_money_moved(
    stand_in: StandIn, kind: str, verb: str | None, again: bool
):
    session_id, dispute_id = disputed(stand_in, kind=kind)
    if verb:
        stand_in.control(f"disputes/{dispute_id}/{verb}")
    answer = control_refusal(stand_in, f"sessions/{session_id}/dispute")
    assert answer.status_code == (200 if again else 409)


def test_a_refunded_charge_is_not_disputed(stand_in: StandIn):
    session_id = stand_in.paid_session()["id"]
    stand_in.control(f"sessions/{session_id}/refund")
    for kind in ("chargeback", "inquiry", "prevented"):
        assert control_refusal(stand_in, f"sessions/{session_id}/dispute", kind=kind).status_code == 409


@pytest.mark.parametrize(
    ("kind", "before", "refused"),
    [
        ("chargeback", [], ["escalate", "close", "prevent", "reinstate"]),
        ("chargeback", ["submit"], ["submit", "escalate"]),
        ("chargeback", ["win"], ["win", "lose", "win_part", "submit", "reinstate"]),
        ("chargeback", ["lose"], ["win", "lose", "win_part", "submit"]),
        ("chargeback", ["lose", "reinstate"], ["reinstate"]),
        ("inquiry", [], ["win", "lose", "win_part", "reinstate"]),
        ("inquiry", ["close"], ["escalate", "close", "submit", "prevent", "reinstate"]),
        ("inquiry", ["prevent"], ["escalate", "reinstate"]),
    ],
)
def test_what_does_not_fit_the_state_is_refused_and_changes_nothing(
    stand_in: StandIn, kind: str, before: list[str], refused: list[str]
):
    session_id, dispute_id = disputed(stand_in, kind=kind)
    for verb in before:
        stand_in.control(f"disputes/{dispute_id}/{verb}")
    known = steps(stand_in, session_id)
    for verb in refused:
        body = {"amount": 1} if verb == "win_part" else {}
        answer = control_refusal(stand_in, f"disputes/{dispute_id}/{verb}", **body)
        assert (answer.status_code, list(answer.json())) == (409, ["error"])
    assert steps(stand_in, session_id) == known


def test_no_more_comes_back_than_was_taken(stand_in: StandIn):
    session_id, dispute_id = disputed(stand_in, amount=800)
    assert control_refusal(stand_in, f"disputes/{dispute_id}/win_part", amount=801).status_code == 409
    assert stand_in.stripe.v1.disputes.retrieve(dispute_id).status == "needs_response"
    assert len(steps(stand_in, session_id)) == 2


def test_disputes_are_listed_by_payment(stand_in: StandIn):
    session = stand_in.paid_session()
    dispute = stand_in.control(f"sessions/{session['id']}/dispute")
    disputed(stand_in)
    for name in ("payment_intent", "charge"):
        params: Any = {name: dispute[name]}
        assert [each.id for each in stand_in.stripe.v1.disputes.list(params=params).data] == [dispute["id"]]
