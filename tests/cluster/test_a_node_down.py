"""The service on a cluster while one of its nodes is down: killed, or frozen (docs/database.md)."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from statistics import median

import pytest
import requests

from sandbox.signals import stopped
from tests.callers import Callers, calling
from tests.cluster.servers import Cluster
from tests.conftest import paid_checkout
from tests.deployment import TIMES, Deployment, eventually
from tests.replication import Server

pytestmark = pytest.mark.slow

CALLERS = 6
DEADLINE_SECONDS = 3.3
DELIVERERS = 4


@contextmanager
def killed(node: Server) -> Iterator[None]:
    node.kill()
    try:
        yield
    finally:
        node.start(fsync="off")


@contextmanager
def frozen(node: Server) -> Iterator[None]:
    """Its kernel still accepts connections."""
    with stopped(int((node.data / "postmaster.pid").read_text().split()[0])):
        yield


Outage = Callable[[Server], AbstractContextManager[None]]
each_outage = pytest.mark.parametrize("outage", [killed, frozen], ids=["killed", "frozen"])


@pytest.fixture
def callers(cluster: Cluster, served: Deployment, request: pytest.FixtureRequest) -> Iterator[Callers]:
    """Callers with wallets on each worker. All of them have been acknowledged."""
    prefix = f"{request.node.originalname}-{request.node.callspec.id}"
    with calling(served, CALLERS, prefix=prefix) as callers:
        eventually(lambda: callers.have_each(since=0))
        yield callers
    # The books have each acknowledged charge once, and no other, since no caller has given one up.
    written = (
        "SELECT wallet_id, idempotency_key FROM wallet_entry WHERE kind = 'deduct' AND wallet_id LIKE %s"
    )
    assert sorted(cluster.coordinator.rows(written, f"{prefix}_%")) == callers.acknowledged()


def balance(served: Deployment, user_id: str) -> int:
    """The status of a read."""
    headers, query = {"x-wallet-service-key": served.service_key}, {"user_id": user_id}
    answer = requests.get(f"{served.url}/io/wallet/balance", query, headers=headers, timeout=120)
    return answer.status_code


def health(served: Deployment) -> tuple[int, dict[str, object]]:
    answer = requests.get(f"{served.url}/health", timeout=120)
    return answer.status_code, answer.json()


def are_in_time(callers: Callers, since: float) -> bool:
    """Whether requests were answered within the deadline, but for the delays of a busy machine."""
    seconds = [answer.seconds for answer in callers.answers(since)]
    return median(seconds) < DEADLINE_SECONDS and max(seconds) < DEADLINE_SECONDS * TIMES


def all_go_on(callers: Callers) -> None:
    """Wait until each caller is acknowledged again."""
    since = time.monotonic()
    eventually(lambda: callers.have_each(since=since))


def all_are_refused(callers: Callers) -> None:
    since = time.monotonic()
    eventually(lambda: callers.have_each(since=since, acknowledged=False))


@each_outage
def test_without_a_worker_the_wallets_of_the_others_go_on(cluster, served, callers, outage: Outage):
    worker = cluster.workers[0]
    lost = Callers([caller for caller in callers.all if cluster.home_of(caller.user_id) is worker])
    kept = Callers([caller for caller in callers.all if caller not in lost.all])
    assert lost.all
    assert kept.all
    with outage(worker):
        since = time.monotonic()
        for _ in range(3):
            all_are_refused(lost)
            all_go_on(kept)
        assert {answer.status for answer in lost.answers(since)} <= {200, 503}
        assert are_in_time(lost, since)
        assert are_in_time(kept, since)
        assert balance(served, lost.all[0].user_id) == 503
        assert balance(served, kept.all[0].user_id) == 200
        name = f"worker {cluster.group_of(worker)}"
        eventually(lambda: health(served) == (200, {"status": "ok", "down": [name]}))
    all_go_on(callers)
    eventually(lambda: health(served) == (200, {"status": "ok"}))


@each_outage
def test_without_the_coordinator_charges_go_on(cluster, served, callers, outage: Outage):
    with outage(cluster.coordinator):
        since = time.monotonic()
        for _ in range(3):
            all_go_on(callers)
        assert are_in_time(callers, since)
        assert not served.deliver(paid_checkout("cs_test_of_an_outage", user_id=callers.all[0].user_id))
        eventually(lambda: health(served) == (200, {"status": "ok", "down": ["coordinator"]}))
    all_go_on(callers)


@pytest.mark.parametrize("role", ["of the wallet", "of the entry", "coordinator"])
def test_a_payment_is_credited_once_though_a_node_fails_meanwhile(cluster, served, role):
    """The top-up is on the coordinator and the wallet on a worker, so both are one 2PC."""
    node = cluster.coordinator if role == "coordinator" else cluster.workers[role == "of the entry"]
    user_id = cluster.user_of(cluster.workers[0], f"paid {role}")
    stop, sent = threading.Event(), []

    def deliver(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            session_id = f"cs_test_{role}_{number}_{count}".replace(" ", "_")
            sent.append(session_id)
            event = paid_checkout(session_id, user_id=user_id, amount_total=100)
            eventually(lambda event=event: served.deliver(event))  # As Stripe does.

    deliverers = [threading.Thread(target=deliver, args=(number,)) for number in range(DELIVERERS)]
    for deliverer in deliverers:
        deliverer.start()
    for _ in range(3):
        count = len(sent)
        eventually(lambda count=count: len(sent) > count + DELIVERERS)
        with killed(node):
            pass
        # Otherwise each node looks once a minute which of its transactions it has not ended elsewhere.
        cluster.recover()
    stop.set()
    for deliverer in deliverers:
        deliverer.join(120)
    assert not any(deliverer.is_alive() for deliverer in deliverers)
    credited = cluster.coordinator.rows(
        "SELECT stripe_session_id FROM wallet_entry WHERE wallet_id = %s AND kind = 'topup'", user_id
    )
    paid = cluster.coordinator.rows(
        "SELECT stripe_session_id FROM wallet_topup WHERE user_id = %s AND state = 'paid'", user_id
    )
    assert sorted(credited) == sorted(paid) == sorted((session_id,) for session_id in sent)
    held = "SELECT balance FROM wallet_wallet WHERE user_id = %s"
    assert cluster.coordinator.value(held, user_id) == len(sent)
