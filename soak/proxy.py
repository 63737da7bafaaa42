"""The proxy of a deployment, before the servers of a run."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from foundation.database import configuration
from misar_billing import gunicorn_conf
from sandbox.environment import free_port
from sandbox.processes import Processes
from soak.client import Address
from soak.servers import HOST, Server, logged

CONFIGURATION = configuration.ROOT / "deploy" / "haproxy.cfg"
CALLERS_MAX = 3000  # All callers of a run come from one address.


def missing() -> str:
    """Why there is no proxy here; "" if there is one."""
    if not program():
        return "haproxy is not installed"
    return "" if CONFIGURATION.exists() else f"there is no {CONFIGURATION.name}"


@contextmanager
def running(servers: Sequence[Server], folder: Path) -> Iterator[Address]:
    """Run the proxy before two servers; yields its address."""
    port, (one, two) = free_port(), servers
    environ = os.environ | {
        "PROXY_HTTP_BIND": f"{HOST}:{port}",
        "PROXY_INTERNAL_BIND": f"{HOST}:{free_port()}",
        "PROXY_CONNECTIONS_PER_CLIENT": str(CALLERS_MAX),
        "SERVER_ONE": f"{HOST}:{one.port}",
        "SERVER_ONE_INTERNAL_PORT": str(one.internal_port),
        "SERVER_TWO": f"{HOST}:{two.port}",
        "SERVER_TWO_INTERNAL_PORT": str(two.internal_port),
        "SERVER_THREADS": str(gunicorn_conf.workers * gunicorn_conf.threads),
    }
    log = folder / "proxy.log"
    log.unlink(missing_ok=True)
    with Processes() as processes:
        command = (program() or "", "-db", "-f", str(CONFIGURATION))
        processes.start("The proxy", logged(command, log), environ=environ)
        processes.wait_until_healthy("The proxy", HOST, port)
        yield HOST, port


def program() -> str | None:
    """The path of haproxy, which may be outside of an ordinary user's PATH; None without one."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
