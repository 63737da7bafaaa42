"""Several entry points in DATABASE_URL, of which some refuse connections or answer nothing."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from foundation import deadlines
from foundation.database.engine import base, entry_points
from sandbox.environment import free_port
from tests.foundation.test_compiled import connection_target

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No server is avoided because of another test."""
    entry_points._avoided.clear()
    yield
    entry_points._avoided.clear()


@pytest.fixture
def silent() -> Iterator[tuple[str, str]]:
    """A server whose kernel accepts connections, and that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield "127.0.0.1", str(listener.getsockname()[1])


@pytest.fixture
def refusing() -> tuple[str, str]:
    return "127.0.0.1", str(free_port())


@pytest.fixture
def works() -> tuple[str, str]:
    target = connection_target()
    return str(target["host"]), str(target.get("port") or 5432)


def connected(*servers: tuple[str, str], **options: str) -> psycopg.Connection:
    hosts, ports = zip(*servers, strict=True)
    parameters = connection_target() | {"host": ",".join(hosts), "port": ",".join(ports)} | options
    return base.Driver.connect(**parameters)


def test_a_server_that_refuses_connections_is_passed_over_and_then_tried_last(refusing, works):
    with closing(connected(refusing, works)) as session:
        assert session.info.port == int(works[1])
    assert set(entry_points._avoided) == {entry_points.Address(*refusing)}


def test_a_server_that_does_not_answer_costs_a_part_of_one_request_and_the_others_nothing(silent, works):
    began = time.monotonic()
    with deadlines.within(deadlines.REQUEST_SECONDS), closing(connected(silent, works)):
        assert not deadlines.is_over()
    assert time.monotonic() - began >= entry_points.ENTRY_SECONDS_MAX
    # Now it comes last, so a connection is there before the limit of the first could be reached.
    with deadlines.within(entry_points.ENTRY_SECONDS_MAX), closing(connected(silent, works)):
        assert not deadlines.is_over()


def test_without_any_server_that_answers_the_deadline_holds(silent, refusing):
    with deadlines.within(0.3), pytest.raises(psycopg.OperationalError):
        connected(refusing, silent)
    assert set(entry_points._avoided) == {entry_points.Address(*refusing), entry_points.Address(*silent)}


def test_a_server_that_works_again_is_used_again(refusing, works):
    entry_points._avoided[entry_points.Address(*works)] = time.monotonic() + entry_points.AVOIDED_SECONDS
    with closing(connected(works, refusing)):
        pass
    assert set(entry_points._avoided) == {entry_points.Address(*refusing)}


def test_connections_spread_over_the_servers():
    seen: Counter[str] = Counter()

    def connect_to_one(**parameters):
        seen[parameters["port"]] += 1

    for _ in range(100):
        entry_points.connect(connect_to_one, host="one,two", port="1,2", load_balance_hosts="random")
    assert min(seen["1"], seen["2"]) > 10
    entry_points.connect(connect_to_one, host="one,two", port="3,4")
    assert seen["3"] == 1
