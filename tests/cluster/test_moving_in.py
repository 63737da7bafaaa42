"""Ten thousand wallets of a filled server move to a cluster, as docs/scaling.md says."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
import pytest

from bench.against.checkouts import OPEN_WALLETS
from bench.against.plan import FEATURE, Wallets
from tests import replication
from tests.cluster import servers
from tests.cluster.moving import Snapshot, snapshot
from tests.cluster.servers import SHARDS, Node
from tests.deployment import Deployment
from tests.environment import ROOT
from tests.replication import ADMINISTRATOR, NAME, OPERATOR, OWNER, RUNTIME, manage

pytestmark = pytest.mark.slow

WALLETS, ENTRIES = 10_000, 120_000
FILL = f"""
import django
django.setup()
from bench.growth import books
books.write({ENTRIES}, wallets={WALLETS})
"""
# Wallets that use everything, opened by the service's own verbs.
RICH = Wallets("rich", open_holds=2, grants=2, budgets=2)
# Those for each row. The one that refuses TRUNCATE is needed on the table alone.
TRIGGERS = (
    "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 1 > 0 AND tgrelid = %s::regclass"
)
CHARGE = {"user_id": "usr_000001", "feature": FEATURE, "idempotency_key": "before the move"}


@dataclass
class Moved:
    """A server that was filled, and then became the coordinator of a cluster."""

    coordinator: Node
    workers: list[Node]
    before: Snapshot
    after: Snapshot
    said: str
    first_answer: dict
    service_key: str

    @property
    def url(self) -> str:
        """The DATABASE_URL of the service from now on."""
        addresses = ",".join(f"127.0.0.1:{worker.port}" for worker in self.workers)
        return f"postgres://{RUNTIME}@{addresses}/{NAME}"


def python(server: Node, script: str, stdin: str = "") -> str:
    """Run a script with the service on a server, as the administrator."""
    environ = os.environ | {
        "DATABASE_URL": server.url(ADMINISTRATOR),
        "DJANGO_SETTINGS_MODULE": "misar_billing.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environ, input=stdin, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def read(server: Node) -> Snapshot:
    with psycopg.connect(server.url(ADMINISTRATOR), autocommit=True) as session:
        return snapshot(session)


def served(folder: Path, url: str, service_key: str) -> Deployment:
    deployment = Deployment(folder)
    deployment.service_key = service_key
    deployment.environment |= {"DATABASE_URL": url, "WEB_WORKERS": "1"}
    return deployment


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    folder = tmp_path_factory.mktemp("moving")
    with servers.place(folder / "servers") as place:
        server, *workers = [Node(place, name) for name in ("filled", "worker_1", "worker_2")]
        try:
            server.initialise()
            server.start(fsync="off")
            yield move(server, workers, folder)
        finally:
            for node in (server, *workers):
                node.end()


def move(server: Node, workers: list[Node], folder: Path) -> Moved:
    # One server, with books of a year, that serves.
    replication.make_database(server)
    manage(server.url(OWNER), "migrate", "--verbosity=0")
    manage(server.url(OWNER), "database_roles")
    python(server, FILL)
    kinds = [asdict(RICH) | {"user_ids": RICH.user_ids(20), "feature": FEATURE}]
    service_key = python(server, OPEN_WALLETS.read_text(), json.dumps(kinds))
    with (deployment := served(folder / "one_server", server.url(RUNTIME), service_key)).serving():
        first_answer = deployment.post("/io/wallet/deduct", CHARGE).json()
    manage(server.url(OPERATOR), "close_days")
    manage(server.url(OPERATOR), "seal_ledger")
    # The service stops.
    manage(server.url(OPERATOR), "maintenance", "begin", "Moving to a cluster.")
    manage(server.url(OPERATOR), "check_ledger", "--seals")
    before = read(server)
    # The server becomes a coordinator, with two empty workers.
    for worker in workers:
        worker.initialise()
        worker.start(fsync="off")
        replication.make_database(worker)
    for node in (server, *workers):
        node.rows("CREATE EXTENSION citus")
    server.rows("SELECT citus_set_coordinator_host('127.0.0.1', %s)", server.port)
    for worker in workers:
        server.rows("SELECT citus_add_node('127.0.0.1', %s)", worker.port)
    said = manage(server.url(OWNER), "distribute", f"--shards={SHARDS}")
    after = read(server)
    manage(server.url(OWNER), "database_roles")
    return Moved(server, workers, before, after, said, first_answer, service_key)


def test_every_row_law_sequence_and_privilege_is_the_same(moved):
    assert moved.before.rows["wallet_wallet"][0] > WALLETS
    assert moved.before.rows["wallet_entry"][0] > ENTRIES
    for filled in ("lot", "hold", "budget", "giveback", "seal", "topup", "payment", "closedday"):
        assert moved.before.rows[f"wallet_{filled}"][0], filled
    # Rows of local tables are numbered on the coordinator; on one server, PostgreSQL does that.
    differences = moved.before.differences(moved.after)
    assert [each for each in differences if "_is_numbered_here" not in each] == []


def test_the_wallets_are_on_the_workers_and_no_copy_is_left(moved):
    shards = "SELECT count(*), sum(result::bigint) FROM run_command_on_shards('wallet_entry', %s)"
    rows = moved.coordinator.rows(shards, "SELECT count(*) FROM %s")
    assert rows == [(SHARDS, moved.before.rows["wallet_entry"][0])]
    on = "SELECT nodeport, count(*) FROM citus_shards WHERE table_name = 'wallet_entry'::regclass GROUP BY 1"
    assert dict(moved.coordinator.rows(on)) == {worker.port: SHARDS / 2 for worker in moved.workers}
    left = "SELECT pg_relation_size('wallet_entry'), pg_relation_size('wallet_wallet')"
    assert moved.coordinator.rows(left) == [(0, 0)]


def test_each_shard_has_the_triggers(moved):
    wanted = moved.coordinator.value(TRIGGERS, "wallet_entry")
    found = moved.coordinator.rows(
        "SELECT DISTINCT result FROM run_command_on_shards('wallet_entry', %s)",
        TRIGGERS.replace("%s", "'%s'"),
    )
    assert found == [(str(wanted),)]
    with pytest.raises(psycopg.Error, match="is history"):
        moved.workers[0].rows("UPDATE wallet_entry SET credits = 0 WHERE wallet_id = 'usr_000001'")


def test_each_node_has_the_functions(moved):
    """Also those that a trigger only calls while it runs."""
    functions = """
        SELECT proname, proowner::regrole::text, pg_get_functiondef(oid),
               has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace ORDER BY proname
    """
    wanted = moved.coordinator.rows(functions)
    assert [worker.rows(functions) for worker in moved.workers] == [wanted] * len(moved.workers)


@pytest.mark.parametrize("role", [OPERATOR, "misar_auditor"])
def test_the_books_and_their_seals_are_clean(moved, role):
    manage(moved.coordinator.url(role), "check_ledger", "--seals")


def test_the_service_goes_on_through_the_workers(moved, tmp_path):
    """A charge that is repeated after the move has its first answer; a new one is made."""
    manage(moved.coordinator.url(OPERATOR), "maintenance", "end")
    with (deployment := served(tmp_path, moved.url, moved.service_key)).serving():
        assert deployment.post("/io/wallet/deduct", CHARGE).json() == moved.first_answer
        charge = deployment.post("/io/wallet/deduct", CHARGE | {"idempotency_key": "after the move"}).json()
        assert charge["allowed"]
        assert charge != moved.first_answer
        for user_id in RICH.user_ids(20):
            body = CHARGE | {"user_id": user_id, "idempotency_key": "after the move"}
            assert deployment.post("/io/wallet/deduct", body).json()["allowed"]
    manage(moved.coordinator.url(OPERATOR), "seal_ledger")
    manage(moved.coordinator.url(OPERATOR), "check_ledger", "--seals")


def test_the_command_says_what_it_did_and_can_run_again(moved):
    assert "The wallets are cut into 8 shards on 2 workers." in moved.said
    again = manage(moved.coordinator.url(OWNER), "distribute")
    assert "There is nothing to do" in again
