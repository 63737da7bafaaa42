"""Random histories of one payment: whatever is played, the amounts of all objects agree."""

import random
from typing import Any

import pytest

from sandbox import controls
from tests.sandbox.conftest import StandIn, control_refusal

STEPS = 40


def play(stand_in: StandIn, session_id: str, dice: random.Random) -> int:
    """Play something that may happen, possible or not; returns the status of the answer."""
    refunds = [each.id for each in stand_in.stripe.v1.refunds.list(params={"limit": 100}).data]
    disputes = [each.id for each in stand_in.stripe.v1.disputes.list(params={"limit": 100}).data]
    amount = dice.choice([1, 100, 700])
    ways: list[tuple[str, dict[str, Any]]] = [
        (
            f"sessions/{session_id}/refund",
            {"amount": amount, "status": dice.choice(("succeeded", "pending", "requires_action"))},
        ),
        (
            f"sessions/{session_id}/dispute",
            {"amount": amount, "kind": dice.choice(("chargeback", "inquiry", "prevented"))},
        ),
    ]
    if refunds:
        ways.append((f"refunds/{dice.choice(refunds)}/{dice.choice(list(controls.REFUND_VERBS))}", {}))
    if disputes:
        verb = dice.choice(list(controls.DISPUTE_VERBS))
        body = {"amount": dice.choice([1, amount])} if verb in controls.AMOUNT_VERBS else {}
        ways.append((f"disputes/{dice.choice(disputes)}/{verb}", body))
    path, body = dice.choice(ways)
    return control_refusal(stand_in, path, **body).status_code


def require_agreement(stand_in: StandIn) -> None:
    """The charge, its refunds, its disputes, and every balance transaction."""
    stripe = stand_in.stripe.v1
    (charge,) = stripe.charges.list().data
    live = [
        each
        for each in stripe.refunds.list(params={"limit": 100}).data
        if each.status not in ("failed", "canceled")
    ]
    disputes = stripe.disputes.list(params={"limit": 100}).data
    moved = list(stripe.balance_transactions.list(params={"limit": 100}).auto_paging_iter())
    refunded = sum(each.amount for each in live)
    assert (charge.amount_refunded, charge.refunded) == (refunded, refunded == charge.amount)
    assert refunded <= charge.amount
    in_disputes = [one for each in disputes for one in each.balance_transactions]
    assert {one.id for one in in_disputes} == {one.id for one in moved if one.type == "adjustment"}
    assert sum(one.amount for one in moved) == charge.amount - refunded + sum(
        one.amount for one in in_disputes
    )
    for dispute in disputes:
        amounts = [one.amount for one in dispute.balance_transactions]
        assert amounts[:1] in ([], [-dispute.amount])
        assert len(amounts) <= 2
        assert sum(amounts) <= 0


@pytest.mark.parametrize("seed", range(6))
def test_amounts_agree_after_every_step(stand_in: StandIn, seed: int):
    dice = random.Random(seed)  # noqa: S311 (no secret)
    stand_in.control("settings", drop_webhooks=True)
    session_id = stand_in.paid_session()["id"]
    answers = set()
    for _ in range(STEPS):
        answers.add(play(stand_in, session_id, dice))
        require_agreement(stand_in)
    assert answers == {200, 409}
    # The last event of each object shows it as it is.
    latest: dict[str, Any] = {}
    for event in stand_in.look("events", session=session_id)["data"]:
        shown = event["data"]["object"]
        latest.setdefault(shown["id"], shown)
    for refund in stand_in.stripe.v1.refunds.list(params={"limit": 100}).data:
        assert latest[refund.id] == refund.to_dict()
    for dispute in stand_in.stripe.v1.disputes.list(params={"limit": 100}).data:
        assert latest[dispute.id] == dispute.to_dict()
