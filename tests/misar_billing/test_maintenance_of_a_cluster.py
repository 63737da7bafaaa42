"""On a cluster, processes enter through any node: `maintenance begin` asks all of them what still writes."""

import pytest
from django.db import connection

from accounts import maintenance
from tests import clusters

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[0, 1, -1], ids=["the coordinator", "a worker", "another worker"])
def entered(request):
    """A node, and a session of another process that entered through it."""
    if not clusters.nodes():
        pytest.skip("needs a cluster: DATABASE_URL names a database without Citus")
    node = clusters.nodes()[request.param]
    with clusters.session_on(connection.settings_dict["NAME"], node) as session:
        yield node, session


def test_a_round_of_work_is_seen_whatever_node_it_entered(entered):
    _, session = entered
    assert not maintenance.is_a_round_running()
    session.execute(f"SELECT pg_advisory_lock_shared({maintenance.LOCK})")
    assert maintenance.is_a_round_running()
    session.execute(f"SELECT pg_advisory_unlock_shared({maintenance.LOCK})")
    assert not maintenance.is_a_round_running()


def test_a_transaction_that_has_written_is_seen_whatever_node_it_entered(entered, give):
    node, session = entered
    give("usr_1", 5)
    assert maintenance.still_writing(seconds=0) == []
    session.execute("BEGIN")
    session.execute("UPDATE wallet_wallet SET frozen = frozen WHERE user_id = 'usr_1'")
    [writer] = maintenance.still_writing(seconds=0)
    assert writer.name == f"process {session.info.backend_pid} of {node}"
    assert maintenance.still_writing(seconds=600) == []
    session.execute("ROLLBACK")
    assert maintenance.still_writing(seconds=0) == []


def test_a_prepared_transaction_still_writes(entered):
    node, session = entered
    session.execute("SET citus.enable_ddl_propagation = off")
    session.execute("BEGIN")
    session.execute("CREATE TABLE prepared_here (id integer)")
    session.execute("PREPARE TRANSACTION 'left behind'")
    try:
        [writer] = maintenance.still_writing(seconds=0)
        assert writer.name == f"prepared transaction left behind of {node}"
    finally:
        session.execute("ROLLBACK PREPARED 'left behind'")
    assert maintenance.still_writing(seconds=0) == []
