"""The store, used by another process while the sandbox runs: creating a history, and expiry."""

import stat
import threading
import time
from pathlib import Path

import pytest

from sandbox import store
from tests.sandbox.conftest import Receiver, StandIn, wait_until

LONG_AGO = 1_700_000_000


@pytest.fixture
def beside(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Let this process use the files of the running sandbox."""
    monkeypatch.setenv("DATA_DIR", str(stand_in.data_dir))
    return stand_in


def test_a_paid_session_of_the_past_is_listed_at_its_date_without_events(beside: StandIn, receiver: Receiver):
    recent = beside.new_session()
    added = store.add_paid_session(
        user_id="usr_2", product="blog", amount_cents=5000, created=LONG_AGO, session_id="cs_test_seeded"
    )
    shown = beside.stripe.v1.checkout.sessions.retrieve("cs_test_seeded").to_dict()
    assert shown == added
    expected = {"created": LONG_AGO, "payment_status": "paid", "status": "complete", "amount_total": 5000}
    assert {name: shown[name] for name in expected} == expected
    assert shown["metadata"] == {"type": "wallet_topup", "user_id": "usr_2", "product": "blog"}
    listed = beside.stripe.v1.checkout.sessions.list()
    assert [session.id for session in listed.data] == [recent.id, "cs_test_seeded"]
    assert beside.look("events") == {"data": []}
    # It can be refunded like any other session.
    assert beside.control("sessions/cs_test_seeded/refund")["amount"] == 5000


def test_seeding_the_same_session_again_changes_nothing(beside: StandIn):
    first, again = (
        store.add_paid_session(
            user_id="usr_2", product="blog", amount_cents=cents, created=LONG_AGO, session_id="cs_test_seeded"
        )
        for cents in (5000, 7000)
    )
    assert first == again
    assert len(beside.look("sessions")["data"]) == 1


def test_an_unpaid_session_expires_automatically(beside: StandIn, receiver: Receiver):
    session_id = beside.new_session().id
    with store.transaction():
        session = store.get("checkout.session", session_id)
        assert session
        session.body["expires_at"] = session.due_at = int(time.time())
        store.save(session)
    (webhook,) = receiver.wait_for(1)
    assert webhook.event["type"] == "checkout.session.expired"
    assert webhook.event["data"]["object"]["status"] == "expired"


def test_a_paid_session_does_not_expire(beside: StandIn):
    session_id = beside.paid_session()["id"]
    session = store.get("checkout.session", session_id)
    assert session
    assert session.due_at is None


def test_a_failed_transaction_changes_nothing(beside: StandIn):
    def add_and_fail() -> None:
        with store.transaction():
            store.add_paid_session(user_id="usr_2", product="blog", amount_cents=100, created=LONG_AGO)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        add_and_fail()
    assert beside.look("sessions") == {"data": []}


def test_several_threads_may_start_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))

    def seed() -> None:
        for _ in range(5):
            store.add_paid_session(user_id="usr_2", product="blog", amount_cents=100, created=LONG_AGO)

    threads = [threading.Thread(target=seed) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: not any(thread.is_alive() for thread in threads))
    assert len(store.page("checkout.session", limit=100).documents) == 40


def test_only_this_user_can_read_the_state(stand_in: StandIn):
    directory = stand_in.data_dir / "sandbox"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
