"""Processes remember keys and prices. Every process still obeys a change from its commit on."""

from contextlib import ExitStack
from copy import copy

import psycopg
import pytest

from foundation.database import configuration
from sandbox.environment import free_port
from tests.deployment import deployed
from tests.limits import PATIENCE

pytestmark = pytest.mark.slow


class TwoProcesses:
    """Two web processes on one database, each with one worker, and a connection as the database's owner."""

    def __init__(self, processes, database):
        self.processes, self.database = processes, database
        self.number = 0

    def charge(self):
        """One charge at each process. Return the status of both answers, and the bodies."""
        answers = []
        for process in self.processes:
            self.number += 1
            answers.append(process.deduct(f"two:{self.number}")[0])
        return [answer.status_code for answer in answers], [answer.json() for answer in answers]

    def commit(self, statement):
        self.database.execute(statement)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("deployment") / "data"
    with deployed(data_dir, times=PATIENCE) as first, ExitStack() as stack:
        processes = []
        for _ in range(2):
            one = copy(first)
            one.port = free_port()
            one.url = f"http://127.0.0.1:{one.port}"
            own = {"PORT": str(one.port), "INTERNAL_PORT": str(free_port()), "WEB_WORKERS": "1"}
            one.environment = first.environment | own
            stack.enter_context(one.serving())
            processes.append(one)
        database = psycopg.connect(
            host=str(configuration.socket_directory(data_dir)),
            dbname=configuration.NAME,
            user=configuration.NAME,
            autocommit=True,
        )
        yield TwoProcesses(processes, stack.enter_context(database))


@pytest.fixture
def remembered(two):
    """Both processes have made a charge with the key, at the price."""
    for _ in range(2):
        statuses, bodies = two.charge()
        assert statuses == [200, 200]
        assert [body["deducted"] for body in bodies] == [1, 1]
    return two


def test_a_new_price_holds_for_the_next_charge(remembered):
    remembered.commit("UPDATE wallet_rate SET credits = 3 WHERE feature = 'mail.send'")
    try:
        _, bodies = remembered.charge()
        assert [body["deducted"] for body in bodies] == [3, 3]
    finally:
        remembered.commit("UPDATE wallet_rate SET credits = 1 WHERE feature = 'mail.send'")
    _, bodies = remembered.charge()
    assert [body["deducted"] for body in bodies] == [1, 1]


@pytest.mark.parametrize(
    ("change", "undo", "status"),
    [
        (
            "UPDATE wallet_rate SET active = false WHERE feature = 'mail.send'",
            "UPDATE wallet_rate SET active = true WHERE feature = 'mail.send'",
            400,
        ),
        (
            "UPDATE accounts_servicekey SET rights = '{read}'",
            "UPDATE accounts_servicekey SET rights = '{read,charge}'",
            403,
        ),
        (
            "INSERT INTO accounts_stoppedproduct (product, stopped_at) VALUES ('blog', now())",
            "DELETE FROM accounts_stoppedproduct",
            403,
        ),
        (
            "UPDATE accounts_servicekey SET feature_prefixes = '{blog.}'",
            "UPDATE accounts_servicekey SET feature_prefixes = '{}'",
            403,
        ),
        (
            "UPDATE accounts_servicekey SET expires_at = now()",
            "UPDATE accounts_servicekey SET expires_at = NULL",
            403,
        ),
    ],
    ids=["withdrawn rate", "right", "stopped product", "prefixes", "expired key"],
)
def test_what_is_taken_away_is_refused_at_once_and_what_is_given_back_goes_on(
    remembered, change, undo, status
):
    remembered.commit(change)
    try:
        statuses, bodies = remembered.charge()
        assert statuses == [status, status]
        assert [body["allowed"] for body in bodies] == [False, False]
    finally:
        remembered.commit(undo)
    statuses, _ = remembered.charge()
    assert statuses == [200, 200]


def test_a_key_that_lost_its_right_is_refused_for_that_whatever_else_is_wrong(remembered):
    remembered.commit("UPDATE accounts_servicekey SET rights = '{read}'")
    try:
        for process in remembered.processes:
            answer = process.post("/io/wallet/deduct", {"user_id": "usr_1"})
            assert answer.status_code == 403
            assert "right" in answer.json()["error"]
    finally:
        remembered.commit("UPDATE accounts_servicekey SET rights = '{read,charge}'")


def test_a_revoked_key_is_refused_at_once_whatever_the_request_says(remembered):
    before = remembered.processes[0].balance()
    remembered.commit("UPDATE accounts_servicekey SET revoked_at = now() WHERE product = 'blog'")
    for body in ({}, {"user_id": "usr_1"}, {"user_id": "usr_1", "feature": "mail.send", "count": 0}):
        for process in remembered.processes:
            answer = process.post("/io/wallet/deduct", body)
            assert (answer.status_code, answer.json()["allowed"]) == (403, False)
    assert remembered.charge()[0] == [403, 403]
    ((balance,),) = remembered.database.execute("SELECT balance FROM wallet_wallet").fetchall()
    assert balance == before
