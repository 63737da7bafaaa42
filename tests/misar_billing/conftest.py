"""Database roles for the tests, exactly as `manage.py database_roles` makes them."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass

import pytest
from django.core.management import call_command
from django.db import connection

from tests import clusters, replication

As = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Roles:
    """The names of the three roles of one test."""

    runtime: str
    operator: str
    auditor: str


@pytest.fixture
def roles(db: None, request: pytest.FixtureRequest) -> Iterator[Roles]:
    """Make the roles in this worker's database, under names that no other test has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            pytest.skip("making roles needs a superuser, which this DATABASE_URL's is not")
    suffix = secrets.token_hex(4)
    names = Roles(*(f"misar_{role}_{suffix}" for role in ("runtime", "operator", "auditor")))
    with clusters.at_the_coordinator():
        call_command("database_roles", **asdict(names))
    yield names
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        if not connection.in_atomic_block:
            everyone = f"{names.operator}, {names.runtime}, {names.auditor}"
            with clusters.at_the_coordinator(), connection.cursor() as cursor:
                cursor.execute(f"DROP OWNED BY {everyone}")
                cursor.execute(f"DROP ROLE {everyone}")


@pytest.fixture
def acting_as(roles: Roles) -> As:
    """Run a block as one of the roles: `with acting_as("runtime")`."""

    @contextmanager
    def act(role: str) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {getattr(roles, role)}")
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET ROLE")

    return act


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[replication.Books]:
    """Empty books on a stopped server, which the servers of a test copy."""
    with replication.books(tmp_path_factory.mktemp("servers")) as made:
        yield made
