"""Balance transactions: every move of money, by Stripe's API, and filled in for files of older sandboxes."""

import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
import stripe

from sandbox import old_files, store
from tests.sandbox.conftest import Receiver, StandIn

LONG_AGO = 1_700_000_000


def moves(stand_in: StandIn, **params: Any) -> list[tuple[str, str, int, int]]:
    """The balance transactions, oldest first: category, source, gross amount, fee."""
    listed = stand_in.stripe.v1.balance_transactions.list(params=params)  # type: ignore[arg-type]
    return [(each.reporting_category, str(each.source), each.amount, each.fee) for each in listed.data][::-1]


def charge_of(stand_in: StandIn, session: dict[str, Any]) -> str:
    return str(stand_in.stripe.v1.payment_intents.retrieve(session["payment_intent"]).latest_charge)


def test_every_move_of_money_is_a_balance_transaction(stand_in: StandIn):
    session = stand_in.paid_session()
    path = f"sessions/{session['id']}"
    failed = stand_in.control(f"{path}/refund", amount=500)["id"]
    stand_in.control(f"refunds/{failed}/fail")
    kept = stand_in.control(f"{path}/refund", amount=1000)["id"]
    dispute = stand_in.control(f"{path}/dispute", amount=1500)["id"]
    stand_in.control(f"disputes/{dispute}/win")
    charge = charge_of(stand_in, session)
    assert moves(stand_in) == [
        ("charge", charge, 2500, 102),
        ("refund", failed, -500, 0),
        ("refund_failure", failed, 500, 0),
        ("refund", kept, -1000, 0),
        ("dispute", dispute, -1500, 1500),
        ("dispute_reversal", dispute, 1500, -1500),
    ]
    for each in stand_in.stripe.v1.balance_transactions.list().data:
        assert each.net == each.amount - each.fee == each.amount - sum(one.amount for one in each.fee_details)
        assert stand_in.stripe.v1.balance_transactions.retrieve(each.id) == each


def test_objects_show_the_ids_of_their_balance_transactions(stand_in: StandIn):
    session = stand_in.paid_session()
    refund = stand_in.control(f"sessions/{session['id']}/refund", amount=500)
    refund = stand_in.control(f"refunds/{refund['id']}/fail")
    dispute = stand_in.control(f"sessions/{session['id']}/dispute")
    charge = stand_in.stripe.v1.charges.retrieve(charge_of(stand_in, session))
    shown = [
        charge.balance_transaction,
        refund["balance_transaction"],
        refund["failure_balance_transaction"],
        *(each["id"] for each in dispute["balance_transactions"]),
    ]
    assert shown == [each.id for each in stand_in.stripe.v1.balance_transactions.list().data][::-1]
    (embedded,) = dispute["balance_transactions"]
    assert stand_in.stripe.v1.balance_transactions.retrieve(embedded["id"]).to_dict() == embedded


def test_they_are_listed_by_source_type_and_time(stand_in: StandIn):
    first, second = stand_in.paid_session(), stand_in.paid_session()
    refund = stand_in.control(f"sessions/{first['id']}/refund")["id"]
    stand_in.control(f"refunds/{refund}/fail")
    assert moves(stand_in, source=refund) == [
        ("refund", refund, -2500, 0),
        ("refund_failure", refund, 2500, 0),
    ]
    charge = charge_of(stand_in, second)
    assert moves(stand_in, source=charge) == [("charge", charge, 2500, 102)]
    assert moves(stand_in, source="ch_unknown") == []
    assert [category for category, *_ in moves(stand_in, type="charge")] == ["charge", "charge"]
    assert moves(stand_in, currency="eur") == moves(stand_in, payout="po_1") == []
    now = int(time.time())
    assert len(moves(stand_in, created={"gte": now - 600, "lte": now})) == 4
    assert moves(stand_in, created={"gt": now}) == moves(stand_in, created={"lt": now - 600}) == []
    pages = stand_in.stripe.v1.balance_transactions.list(params={"limit": 3})
    assert (len(pages.data), pages.has_more) == (3, True)
    assert len(list(pages.auto_paging_iter())) == 4


def test_an_unknown_one_is_404(stand_in: StandIn):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stand_in.stripe.v1.balance_transactions.retrieve("txn_nothing")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


@pytest.fixture
def beside(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Let this process use the files of the running sandbox."""
    monkeypatch.setenv("DATA_DIR", str(stand_in.data_dir))
    return stand_in


def test_a_payment_of_the_past_moved_its_money_then(beside: StandIn):
    store.add_paid_session(user_id="usr_2", product="blog", amount_cents=5000, created=LONG_AGO)
    (moved,) = beside.stripe.v1.balance_transactions.list(params={"created": LONG_AGO}).data
    assert (moved.amount, moved.fee, moved.available_on) == (5000, 175, LONG_AGO)
    assert beside.stripe.v1.charges.retrieve(str(moved.source)).balance_transaction == moved.id


def test_a_file_of_an_older_sandbox_gets_its_balance_transactions(start_another: Any, receiver: Receiver):
    stand_in = start_another()
    session = stand_in.paid_session()
    for verb in ("succeed", "fail"):
        refund = stand_in.control(f"sessions/{session['id']}/refund", amount=500, pending=True)["id"]
        stand_in.control(f"refunds/{refund}/{verb}")
    dispute = stand_in.control(f"sessions/{session['id']}/dispute")["id"]
    stand_in.control(f"disputes/{dispute}/win")
    before = moves(stand_in)
    stand_in.stop()
    with closing(sqlite3.connect(stand_in.data_dir / "sandbox" / "stripe.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM documents WHERE object = 'balance_transaction'")
        connection.execute(
            "UPDATE documents SET body = json_remove(body, '$.balance_transaction') WHERE object = 'charge'"
        )
        connection.execute("PRAGMA user_version = 0")
    stand_in.start()
    assert sorted(moves(stand_in)) == sorted(before)
    charge = stand_in.stripe.v1.charges.retrieve(
        charge_of(stand_in, session), params={"expand": ["balance_transaction"]}
    )
    moved: Any = charge.balance_transaction
    assert moved.source == charge.id
    stand_in.stop()
    stand_in.start()
    assert len(moves(stand_in)) == len(before)  # Once is enough.


def test_a_new_file_has_the_present_version(beside: StandIn):
    beside.paid_session()
    with store.transaction() as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == old_files.VERSION
