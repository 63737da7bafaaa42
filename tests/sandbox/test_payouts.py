"""Payouts: made by hand and by themselves, returned by the bank, canceled by the merchant."""

import pytest
import stripe

from tests.sandbox.conftest import StandIn
from tests.sandbox.test_balance import moves


def payout(stand_in: StandIn, payout_id: str) -> dict[str, object]:
    expand = ["failure_balance_transaction"]
    return stand_in.stripe.v1.payouts.retrieve(payout_id, params={"expand": expand}).to_dict()


def test_a_payout_fails_and_its_money_is_in_the_next_one(stand_in: StandIn):
    stand_in.paid_session()
    first = stand_in.control("payouts")
    assert first["status"] == "paid"
    assert stand_in.control(f"payouts/{first['id']}/fail")["status"] == "failed"
    failed = payout(stand_in, first["id"])
    assert (failed["status"], failed["failure_code"]) == ("failed", "could_not_process")
    back = failed["failure_balance_transaction"]
    assert isinstance(back, dict)
    assert (back["type"], back["reporting_category"]) == ("payout_failure", "payout_reversal")
    assert (back["net"], back["source"]) == (first["amount"], first["id"])
    stand_in.paid_session()
    second = stand_in.control("payouts")
    assert second["amount"] == 2 * first["amount"]
    assert ("payout_reversal", first["id"], first["amount"], 0) in moves(stand_in, payout=second["id"])
    assert [category for category, *_ in moves(stand_in, payout=first["id"])] == ["charge", "payout"]


def test_the_merchant_cancels_a_payout_that_is_pending(stand_in: StandIn):
    stand_in.paid_session()
    made = stand_in.control("payouts", amount=500, status="pending")
    assert made["status"] == "pending"
    stand_in.control(f"payouts/{made['id']}/cancel")
    canceled = payout(stand_in, made["id"])
    back = canceled["failure_balance_transaction"]
    assert isinstance(back, dict)
    assert (canceled["status"], back["type"], back["net"]) == ("canceled", "payout_cancel", 500)
    assert canceled["failure_code"] is None


@pytest.mark.parametrize(("verbs", "status"), [(["cancel"], 409), (["fail", "fail"], 409), (["pay"], 404)])
def test_what_the_state_of_a_payout_does_not_allow(stand_in: StandIn, verbs: list[str], status: int):
    stand_in.paid_session()
    path = f"/_sandbox/payouts/{stand_in.control('payouts')['id']}"
    *before, last = verbs
    for verb in before:
        assert stand_in.raw("post", f"{path}/{verb}").ok
    assert stand_in.raw("post", f"{path}/{last}").status_code == status
    assert stand_in.raw("post", f"/_sandbox/payouts/po_nothing/{last}").status_code == 404


def test_another_account_does_not_know_a_payout(stand_in: StandIn):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stand_in.stripe.v1.payouts.retrieve("po_nothing")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
