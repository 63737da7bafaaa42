#!/usr/bin/env python
"""Django's command line. It also starts the private PostgreSQL server of a sandbox, if a command needs it.

Only quickstart and demo may create a private server. Every other command uses an existing database: an
operator who forgot DATABASE_URL must not see an empty database.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line, load_command_class

from foundation.database import configuration
from foundation.errors import BillingError

RUN_A_SANDBOX = ("quickstart", "demo")
NEED_NO_DATABASE = (
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "makemessages",
    "makemigrations",
    "spectacular",
    "version",
)
# An auditor runs these without the settings and secrets of the service. They use no app but their own.
NEED_NO_SETTINGS = {"verify_export": "wallet"}
COULD_NOT_LOOK = 2


def main(argv: list[str]) -> int:
    """Run one command and return the exit code. If the command cannot run, print why and return 2."""
    command = argv[1] if len(argv) > 1 else "help"
    if command in NEED_NO_SETTINGS:
        settings.configure()
        load_command_class(NEED_NO_SETTINGS[command], command).run_from_argv(argv)
        return 0
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "misar_billing.settings")
    try:
        with surroundings_of(command, argv):
            execute_from_command_line(argv)
    except (BillingError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return COULD_NOT_LOOK
    return 0


def surroundings_of(command: str, argv: list[str]) -> AbstractContextManager[None]:
    """Return a context manager that prepares the environment and the database for a command."""
    if find_spec("sandbox") is None:  # The image of a deployment has no sandbox.
        return deployment_for(command, argv)
    return sandbox_for(command) if command in RUN_A_SANDBOX else database_for(command, argv)


@contextmanager
def deployment_for(command: str, argv: list[str]) -> Iterator[None]:
    """Run a command in a deployment.

    Raises NoDatabase if the command needs the sandbox, or needs a database and DATABASE_URL is not set.
    """
    if command in RUN_A_SANDBOX:
        raise configuration.NoDatabase(f"{command} needs the sandbox, which is not part of this image.")
    if needs_database(command, argv) and not os.environ.get("DATABASE_URL"):
        raise configuration.no_database(configuration.data_directory(os.environ))
    yield


@contextmanager
def sandbox_for(command: str) -> Iterator[None]:
    """Run quickstart or demo with the sandbox's settings. Without DATABASE_URL, create a private server."""
    from sandbox import environment, processes
    from sandbox.private_postgres import PrivateServer

    processes.exit_cleanly_on_signals()
    if command == "demo":
        environment.set_apart(os.environ)
    data_dir = configuration.data_directory(os.environ)
    with environment.claimed(data_dir):
        environment.prepare(os.environ)
        if os.environ.get("DATABASE_URL"):
            yield
        else:
            with PrivateServer(data_dir).lease(create=True):
                yield


@contextmanager
def database_for(command: str, argv: list[str]) -> Iterator[None]:
    """Run any other command. If a sandbox ran in this DATA_DIR, use the sandbox's settings and database.

    Raises NoDatabase if the command needs a database and none is configured.
    """
    from sandbox import environment
    from sandbox.private_postgres import PrivateServer

    environment.adopt(os.environ)
    if os.environ.get("DATABASE_URL") or not needs_database(command, argv):
        yield
        return
    data_dir = configuration.data_directory(os.environ)
    if os.environ.get("ENVIRONMENT") != "sandbox":
        raise configuration.no_database(data_dir)
    if environment.ran_on_a_database_url(os.environ):
        raise configuration.NoDatabase(
            f"The sandbox of {data_dir} ran on a database of its own choice. Set that DATABASE_URL again."
        )
    with PrivateServer(data_dir).lease(create=False):
        yield


def needs_database(command: str, argv: list[str]) -> bool:
    if command.startswith("-") or {"--help", "-h"} & set(argv):
        return False
    return command not in NEED_NO_DATABASE or any(word.startswith("--database") for word in argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
