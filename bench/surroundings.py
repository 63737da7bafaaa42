"""What a run needs: the environment, PostgreSQL, a separate database, gunicorn as in production."""

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from foundation.database import configuration
from foundation.errors import BillingError
from sandbox import environment, private_postgres
from sandbox.processes import WEB, Processes

WEB_SERVER = "The web server"


class NoBenchDatabase(BillingError):
    """Raised when the database of a run cannot be created or dropped."""


@contextmanager
def prepared(environ: MutableMapping[str, str]) -> Iterator[None]:
    """Set a sandbox's environment under DATA_DIR/bench, and run a private PostgreSQL without DATABASE_URL."""
    data_dir = configuration.data_directory(environ) / "bench"
    environ.update(
        DATA_DIR=str(data_dir),
        DJANGO_SETTINGS_MODULE="bench.settings",
        HOST="127.0.0.1",
        PORT=str(environment.free_port()),
        ALLOWED_HOSTS="127.0.0.1",
        LOG_LEVEL="WARNING",  # Otherwise gunicorn's messages would mix with the figures.
        WALLET_CHARGES_PER_MINUTE="0",
        CREATOR_REQUESTS_PER_MINUTE="0",
    )
    environ.pop("LOG_REQUESTS", None)
    with environment.claimed(data_dir):
        environment.prepare(environ)
        if environ.get("DATABASE_URL"):
            yield
        else:
            with private_postgres.PrivateServer(data_dir).lease(create=True):
                yield


@contextmanager
def fresh_database() -> Iterator[None]:
    """An empty, migrated database, created for this run and dropped at the end."""
    from django.core.management import call_command
    from django.db import connection

    with empty_database(connection.settings_dict["NAME"]):
        call_command("migrate", verbosity=0, run_syncdb=True)
        yield


@contextmanager
def empty_database(name: str) -> Iterator[None]:
    """A database without tables, created for this run and dropped at the end.

    Inside the block it is the database of Django's connection.
    """
    from django.db import connection

    from sandbox import claim

    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    connection.close()
    usual, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], name
    try:
        if _run_elsewhere(sql.SQL("SELECT FROM pg_database WHERE datname = {}").format(name)):
            # A bench that was killed leaves its database, with a marker. `claimed` refuses another one.
            with claim.claimed(is_private=False):
                connection.close()
        _run_elsewhere(drop)
        _run_elsewhere(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            with claim.claimed(is_private=True):
                yield
        finally:
            connection.close()
            _run_elsewhere(drop)
    finally:
        connection.settings_dict["NAME"] = usual


def url_of(database: str) -> str:
    """DATABASE_URL for another database on the server that the environment names."""
    if url := os.environ.get("DATABASE_URL"):
        parts = urlsplit(url)
        return parts._replace(path=f"{parts.path.rpartition('/')[0]}/{quote(database)}").geturl()
    socket = configuration.socket_directory(configuration.data_directory(os.environ))
    return f"postgresql://{configuration.NAME}@/{quote(str(socket))}/{quote(database)}"


def target_of(database: str) -> dict[str, Any]:
    """What psycopg needs to connect to a database on that server, without the time limits of a request."""
    from django.db import connection

    target: dict[str, Any] = connection.get_connection_params()
    left_out = {"options", "context", "cursor_factory"}
    return {key: value for key, value in target.items() if key not in left_out} | {"dbname": database}


def _run_elsewhere(statement: sql.Composed) -> int:
    """Run a statement while connected to the database that the environment names. Returns its rowcount."""
    from misar_billing import settings as service

    try:
        with psycopg.connect(**target_of(service.DATABASES["default"]["NAME"]), autocommit=True) as elsewhere:
            return elsewhere.execute(statement).rowcount
    except psycopg.Error as error:
        sentence = str(error).strip().splitlines()[0]
        raise NoBenchDatabase(f"The bench's database cannot be created or dropped: {sentence}") from error


@contextmanager
def web_server() -> Iterator[tuple[str, int]]:
    """Run gunicorn with the service's configuration, serving all variants; yields its address."""
    *gunicorn, _ = WEB  # The last word names the service's own application.
    address = os.environ["HOST"], int(os.environ["PORT"])
    with Processes() as processes:
        processes.start(WEB_SERVER, (*gunicorn, "bench.wsgi"))
        processes.wait_until_healthy(WEB_SERVER, *address)
        yield address
