"""Refunds and disputes of the past, added by another process while the sandbox runs."""

import pytest

from sandbox import past, store
from tests.sandbox.conftest import Receiver, StandIn, control_refusal

LONG_AGO = 1_700_000_000
DAY_SECONDS = 24 * 3600


@pytest.fixture
def beside(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Let this process use the files of the running sandbox."""
    monkeypatch.setenv("DATA_DIR", str(stand_in.data_dir))
    return stand_in


@pytest.fixture
def session_id(beside: StandIn) -> str:
    """A payment of $25 of the past."""
    session = store.add_paid_session(user_id="usr_2", product="blog", amount_cents=2500, created=LONG_AGO)
    return str(session["id"])


def moves(stand_in: StandIn) -> list[tuple[str, int, int, int]]:
    """Every balance transaction, oldest first: category, amount, fee, and seconds since LONG_AGO."""
    listed = stand_in.stripe.v1.balance_transactions.list().data[::-1]
    return [(one.reporting_category, one.amount, one.fee, one.created - LONG_AGO) for one in listed]


CHARGE = ("charge", 2500, 102, 0)


def test_a_refund_moved_its_money_then_and_counts_on_its_charge(
    beside: StandIn, session_id: str, receiver: Receiver
):
    added = past.add_refund(session_id, amount=1000, created=LONG_AGO + DAY_SECONDS)
    assert beside.stripe.v1.refunds.retrieve(added["id"]).to_dict() == added
    assert (added["status"], added["created"]) == ("succeeded", LONG_AGO + DAY_SECONDS)
    assert moves(beside) == [CHARGE, ("refund", -1000, 0, DAY_SECONDS)]
    (charge,) = beside.stripe.v1.charges.list().data
    assert (charge.amount_refunded, charge.refunded) == (1000, False)
    past.add_refund(session_id, amount=1500, created=LONG_AGO + DAY_SECONDS)
    (charge,) = beside.stripe.v1.charges.list().data
    assert (charge.amount_refunded, charge.refunded) == (2500, True)
    assert beside.look("events") == {"data": []}
    assert receiver.webhooks == []


def test_no_more_is_refunded_than_was_paid(beside: StandIn, session_id: str):
    with pytest.raises(AssertionError, match="no more is refunded"):
        past.add_refund(session_id, amount=2501, created=LONG_AGO)
    assert moves(beside) == [CHARGE]


def test_a_dispute_took_the_money_and_a_won_one_returned_it_with_its_fee(beside: StandIn, session_id: str):
    opened = past.add_dispute(session_id, created=LONG_AGO + DAY_SECONDS)
    assert opened["status"] == "needs_response"
    (charge,) = beside.stripe.v1.charges.list().data
    assert charge.disputed
    won = past.close_dispute(opened["id"], won=True, created=LONG_AGO + 2 * DAY_SECONDS)
    assert beside.stripe.v1.disputes.retrieve(opened["id"]).to_dict() == won
    assert won["status"] == "won"
    assert moves(beside) == [
        CHARGE,
        ("dispute", -2500, 1500, DAY_SECONDS),
        ("dispute_reversal", 2500, -1500, 2 * DAY_SECONDS),
    ]
    assert beside.look("events") == {"data": []}


def test_a_lost_dispute_keeps_the_money_and_can_be_played_on(beside: StandIn, session_id: str):
    opened = past.add_dispute(session_id, created=LONG_AGO)
    lost = past.close_dispute(opened["id"], won=False, created=LONG_AGO + DAY_SECONDS)
    assert (lost["status"], len(lost["balance_transactions"])) == ("lost", 1)
    assert control_refusal(beside, f"sessions/{session_id}/refund").status_code == 409
    assert beside.control(f"disputes/{opened['id']}/reinstate", amount=900)["status"] == "lost"
