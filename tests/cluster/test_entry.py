"""The service enters a cluster through its workers, as the runtime role (decision 0047)."""

import psycopg
import pytest
import requests

from tests.callers import CREDITS, top_up
from tests.cluster.servers import Cluster
from tests.deployment import Deployment, eventually
from tests.replication import OPERATOR, OWNER, RUNTIME, manage

pytestmark = pytest.mark.slow

# A wallet's user decides where the wallet is, so Citus refuses to change it before it looks at privileges.
REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)


def test_a_wallet_of_each_worker_lives_its_life(cluster: Cluster, served: Deployment):
    for worker in cluster.workers:
        user_id = cluster.user_of(worker, "life")
        top_up(served, user_id)

        def post(path: str, user_id: str = user_id, **body: object) -> requests.Response:
            return served.post(f"/io/wallet/{path}", {"user_id": user_id, **body})

        charge = {"feature": "mail.send", "idempotency_key": "a"}
        first = post("deduct", **charge).json()
        assert (first["allowed"], first["balanceAfter"]) == (True, CREDITS - 1)
        assert post("deduct", **charge).json() == first
        poor = post("deduct", user_id=cluster.user_of(worker, "poor"), feature="mail.send").json()
        assert poor["allowed"] is False
        held = post("holds", feature="mail.send", count=2, idempotency_key="c").json()["holdId"]
        assert post(f"holds/{held}/capture", count=1).json()["captured_credits"] == 1
        assert post("refund", charge_key="a", idempotency_key="d").status_code == 200
        headers, query = {"x-wallet-service-key": served.service_key}, {"user_id": user_id}
        budget = {"user_id": user_id, "period": "day", "credits": 10}
        url = f"{served.url}/io/wallet"
        assert requests.put(f"{url}/budgets", json=budget, headers=headers, timeout=120).status_code == 200
        assert post("deduct", feature="mail.send", idempotency_key="e").json()["balanceAfter"] == CREDITS - 2
        got = {
            path: requests.get(f"{url}/{path}", query, headers=headers, timeout=120).json()
            for path in ("balance", "funds", "transactions")
        }
        assert got["balance"] == {"credits": CREDITS - 2}
        assert got["funds"]["paid"] == CREDITS - 2
        kinds = ["deduct", "refund", "capture", "deduct", "topup"]
        assert [item["type"] for item in got["transactions"]["items"]] == kinds


def test_all_workers_are_entered_and_the_coordinator_is_not(cluster: Cluster, served: Deployment):
    user_id = cluster.user_of(cluster.workers[0], "entered")
    top_up(served, user_id)
    of_clients = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND backend_type = 'client backend'"
        " AND application_name NOT LIKE 'citus%%'"
    )

    def entries() -> list[int]:
        body = {"user_id": user_id, "feature": "mail.send"}
        assert served.post("/io/wallet/deduct", body).json()["allowed"] is True
        return [node.value(of_clients, RUNTIME) for node in cluster.nodes]

    # Each request may be answered by another thread, whose connection goes to a worker at random.
    eventually(lambda: min(entries()[1:]) > 0)
    assert entries()[0] == 0


def test_the_runtime_role_has_no_more_privileges_on_any_node(cluster: Cluster, served: Deployment):
    top_up(served, "privileged")
    for node in cluster.nodes:
        refused = [
            "DELETE FROM wallet_entry",
            "UPDATE wallet_entry SET credits = 1",
            "UPDATE wallet_wallet SET user_id = 'other'",
            "TRUNCATE wallet_wallet",
            "CREATE TABLE mine (id int)",
            "CREATE TEMPORARY TABLE mine (id int)",
            *(f"DELETE FROM {shard}" for shard in shards_on(node, "wallet_entry")),
            *(f"UPDATE {shard} SET user_id = 'other'" for shard in shards_on(node, "wallet_wallet")),
            *(f"INSERT INTO {shard} (id) VALUES (1)" for shard in shards_on(node, "wallet_audit")),
        ]
        with psycopg.connect(node.url(RUNTIME), autocommit=True) as session:
            session.execute("SET citus.enable_manual_changes_to_shards = on")
            for statement in refused:
                with pytest.raises(REFUSED):
                    session.execute(statement)


def test_the_runtime_role_hides_no_entry_in_the_past(cluster: Cluster):
    """Before the acts of staff began, `check_ledger` asks for none."""
    for worker in cluster.workers:
        user_id = cluster.user_of(worker, "dated")
        with psycopg.connect(cluster.workers[0].url(RUNTIME)) as session:
            for statement in (
                "INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at)"
                " VALUES (%s, 0, 0, now())",
                "UPDATE wallet_wallet SET balance = 5, entries_count = 1 WHERE user_id = %s",
            ):
                session.execute(statement, [user_id])
            with pytest.raises(psycopg.errors.CheckViolation, match="is dated 2025-01-01"):
                session.execute(
                    "INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, held,"
                    " feature, product, idempotency_key, stripe_session_id, actor, reason, created_at,"
                    " effective_at) SELECT 'txn_' || user_id, user_id, entries_count, 'adjustment', 5,"
                    " balance, held, '', '', 'k', '', 'user:staff:1', '', '2025-01-01', '2025-01-01'"
                    " FROM wallet_wallet WHERE user_id = %s",
                    [user_id],
                )


def shards_on(node, table: str) -> list[str]:
    """The names of a table's shards on a node."""
    return [
        name
        for (name,) in node.rows(
            "SELECT shard_name(logicalrelid, shardid) FROM pg_dist_shard"
            "  JOIN pg_dist_placement USING (shardid)"
            " WHERE logicalrelid = %s::regclass"
            "   AND groupid = (SELECT groupid FROM pg_dist_local_group)",
            table,
        )
    ]


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_the_runtime_role_has_its_limits_on_each_node(cluster: Cluster, setting):
    """Also in the sessions between two nodes, which ask for none."""
    limits = []
    for node in cluster.nodes:
        with psycopg.connect(node.url(RUNTIME)) as session:
            limits += session.execute(f"SHOW {setting}").fetchall()
    assert len(set(limits)) == 1
    assert limits[0][0] not in {"0", "5s"}


@pytest.mark.parametrize("command", [["migrate"], ["distribute"], ["database_roles"]], ids=str)
def test_tables_and_roles_are_changed_from_the_coordinator_alone(cluster: Cluster, command):
    worker = cluster.workers[0]
    with pytest.raises(AssertionError, match="is a worker of a cluster: set DATABASE_URL to the coordinator"):
        manage(worker.url(OWNER), *command)


def test_operators_commands_work_from_the_coordinator(cluster: Cluster, served: Deployment):
    top_up(served, "operated")
    assert "sealed" in cluster.command("seal_ledger")
    assert cluster.command("close_days")
    assert cluster.command("tidy", role=RUNTIME)
    assert "Every law holds" in manage(cluster.coordinator.url(OPERATOR), "check_ledger")
