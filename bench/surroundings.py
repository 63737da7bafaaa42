"""What a run needs: the environment, PostgreSQL, a separate database, gunicorn as in production."""

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

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
    environ.pop("ACCESS_LOG", None)
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

    from sandbox import claim

    name = sql.Identifier(connection.settings_dict["NAME"])
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)
    known = sql.SQL("SELECT FROM pg_database WHERE datname = {}").format(connection.settings_dict["NAME"])
    if _run_elsewhere(known):
        # A bench that was killed leaves its database, with a marker. `claimed` refuses any other database.
        with claim.claimed(is_private=False):
            connection.close()
    _run_elsewhere(drop)
    _run_elsewhere(sql.SQL("CREATE DATABASE {}").format(name))
    try:
        with claim.claimed(is_private=True):
            call_command("migrate", verbosity=0, run_syncdb=True)
            yield
    finally:
        connection.close()
        _run_elsewhere(drop)


def _run_elsewhere(statement: sql.Composed) -> int:
    """Run a statement while connected to the database that the environment names. Returns its rowcount."""
    from django.db import connection

    from misar_billing import settings as service

    target: dict[str, Any] = connection.get_connection_params()
    target["dbname"] = service.DATABASES["default"]["NAME"]
    # Without the time limits of a request.
    options = {"options", "context", "cursor_factory"}
    target = {key: value for key, value in target.items() if key not in options}
    try:
        with psycopg.connect(**target, autocommit=True) as elsewhere:
            return elsewhere.execute(statement).rowcount
    except psycopg.Error as error:
        sentence = str(error).strip().splitlines()[0]
        raise NoBenchDatabase(f"The bench's database cannot be created or dropped: {sentence}") from error


@contextmanager
def web_server() -> Iterator[tuple[str, int]]:
    """Run gunicorn with the service's configuration, serving all variants; yields its address."""
    address = os.environ["HOST"], int(os.environ["PORT"])
    with Processes() as processes:
        processes.start(WEB_SERVER, WEB)
        processes.wait_until_healthy(WEB_SERVER, *address)
        yield address
