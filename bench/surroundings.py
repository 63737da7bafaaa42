"""Around a run: the environment, PostgreSQL, a database of its own, gunicorn as in production."""

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
    """Raised when the database of a run cannot be made."""


@contextmanager
def prepared(environ: MutableMapping[str, str]) -> Iterator[None]:
    """Settings of a sandbox under DATA_DIR/bench, and PostgreSQL running: DATABASE_URL's or a private one."""
    data_dir = configuration.data_directory(environ) / "bench"
    environ.update(
        DATA_DIR=str(data_dir),
        DJANGO_SETTINGS_MODULE="bench.settings",
        HOST="127.0.0.1",
        PORT=str(environment.free_port()),
        ALLOWED_HOSTS="127.0.0.1",
        LOG_LEVEL="WARNING",  # gunicorn's greetings would stand between the figures.
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
    """An empty migrated database, made beside the one of the settings and dropped at the end."""
    from django.core.management import call_command
    from django.db import connection

    name = sql.Identifier(connection.settings_dict["NAME"])
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)
    _beside(drop)
    _beside(sql.SQL("CREATE DATABASE {}").format(name))
    try:
        call_command("migrate", verbosity=0, run_syncdb=True)
        yield
    finally:
        connection.close()
        _beside(drop)


def _beside(statement: sql.Composed) -> None:
    """Run a statement in the database that the environment names."""
    from django.db import connection

    from misar_billing import settings as service

    target: dict[str, Any] = connection.get_connection_params()
    target["dbname"] = service.DATABASES["default"]["NAME"]
    # A request's time limits are not for this.
    options = {"options", "context", "cursor_factory"}
    target = {key: value for key, value in target.items() if key not in options}
    try:
        with psycopg.connect(**target, autocommit=True) as beside:
            beside.execute(statement)
    except psycopg.Error as error:
        sentence = str(error).strip().splitlines()[0]
        raise NoBenchDatabase(f"The database of the bench cannot be made or dropped: {sentence}") from error


@contextmanager
def web_server() -> Iterator[tuple[str, int]]:
    """gunicorn with the service's configuration, serving all variants; its address."""
    address = os.environ["HOST"], int(os.environ["PORT"])
    with Processes() as processes:
        processes.start(WEB_SERVER, WEB)
        processes.wait_until_healthy(WEB_SERVER, *address)
        yield address
