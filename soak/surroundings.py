"""What a run needs: the environment, a private PostgreSQL, two servers, and the proxy before them."""

import os
import shutil
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from foundation.database import configuration
from sandbox import environment
from sandbox.private_postgres import PrivateServer
from soak import proxy
from soak.client import Address
from soak.database import Database, Disk
from soak.plan import SERVERS, Plan
from soak.servers import HOST, Server


@dataclass(frozen=True)
class Surroundings:
    """All that can be broken."""

    database: Database
    servers: Sequence[Server]
    addresses: Sequence[Address]  # Where callers go: the proxy's, or without one the servers'.
    no_proxy: str  # Why there is no proxy, or "".


@contextmanager
def prepared(environ: MutableMapping[str, str]) -> Iterator[Path]:
    """Set a sandbox's environment under DATA_DIR/soak, and yield that folder, which is empty."""
    folder = configuration.data_directory(environ) / "soak"
    for name in ("DATABASE_URL", "LOG_REQUESTS"):
        environ.pop(name, None)
    environ.update(
        DATA_DIR=str(folder / "run"),
        DJANGO_SETTINGS_MODULE="misar_billing.settings",
        ENVIRONMENT="sandbox",
        HOST=HOST,
        PORT=str(environment.free_port()),
        ALLOWED_HOSTS=HOST,
        LOG_LEVEL="WARNING",
        WALLET_CHARGES_PER_MINUTE="0",
    )
    with environment.claimed(folder):
        _remove_what_is_left(folder / "run")
        environment.prepare(environ)
        try:
            yield folder
        finally:
            shutil.rmtree(folder / "run", ignore_errors=True)


@contextmanager
def running(folder: Path, plan: Plan) -> Iterator[Surroundings]:
    """PostgreSQL with the service's tables, the servers and the proxy."""
    from django.core.management import call_command
    from django.db import connection

    database = Database(folder / "run")
    with ExitStack() as stack:
        stack.enter_context(database.running())
        call_command("migrate", verbosity=0)
        stack.callback(connection.close)
        servers = [
            Server(f"server {number + 1}", os.environ, folder, drain_seconds=plan.drain_seconds)
            for number in range(SERVERS)
        ]
        for server in servers:
            server.log.unlink(missing_ok=True)
            stack.callback(server.stop)
            server.launch()
        for server in servers:
            server.wait()
        addresses: Sequence[Address] = [server.address for server in servers]
        if not (no_proxy := proxy.missing()):
            addresses = [stack.enter_context(proxy.running(servers, folder))]
        yield Surroundings(database, servers, addresses, no_proxy)


def _remove_what_is_left(run: Path) -> None:
    """Remove what a run that was killed has left."""
    if not run.exists():
        return
    server = PrivateServer(run)
    if server.is_running():
        with server.lease(create=False):
            pass  # Leaving the lease stops it.
    Disk(server.home).unmount()
    shutil.rmtree(run)
