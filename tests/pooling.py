"""A real PgBouncer in transaction mode, with the settings of deploy/pgbouncer.ini."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox.environment import free_port
from sandbox.postgres_programs import Account
from tests.deployment import eventually
from tests.environment import ROOT

CONFIGURATION = ROOT / "deploy" / "pgbouncer.ini"
CONSOLE = "console"  # The role that may use PgBouncer's console in the tests.


def program() -> str:
    """The path of PgBouncer. Skips the test if there is none. PGBOUNCER names another one."""
    if chosen := os.environ.get("PGBOUNCER"):
        return chosen
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    return found or pytest.skip("pgbouncer is not installed")


@dataclass
class Pooler:
    """A running PgBouncer."""

    port: int
    log: Path

    def url(self, role: str, database: str) -> str:
        return f"postgres://{role}@127.0.0.1:{self.port}/{database}"

    def console(self, command: str) -> list[dict[str, Any]]:
        """Run a command of PgBouncer's console, such as SHOW POOLS."""
        where = f"host=127.0.0.1 port={self.port} dbname=pgbouncer user={CONSOLE} password={CONSOLE}"
        with psycopg.connect(where, autocommit=True, cursor_factory=psycopg.ClientCursor) as console:
            cursor = console.execute(command)
            if cursor.description is None:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def version(self) -> tuple[int, ...]:
        shown = self.console("SHOW VERSION")[0]["version"]
        return tuple(int(part) for part in shown.split()[1].split(".")[:2])


@contextmanager
def pooling(
    folder: Path,
    account: Account,
    *,
    target: str,
    database: str,
    users: Mapping[str, str],
    **settings: object,
) -> Iterator[Pooler]:
    """Run PgBouncer in front of a database. `target` says where it is (host=... port=...).

    `users` has the secret of each role that may connect. The settings override those of the file.
    """
    pgbouncer = program()
    pooler = Pooler(free_port(), folder / "pgbouncer.log")
    if account.uid is not None:
        os.chown(folder, account.uid, -1)
    users_file = folder / "userlist.txt"
    users_file.write_text("".join(f'"{name}" "{secret}"\n' for name, secret in users.items()))
    chosen = {
        "listen_addr": "127.0.0.1",
        "listen_port": pooler.port,
        "unix_socket_dir": "",
        "auth_file": users_file,
        "logfile": pooler.log,
        "admin_users": CONSOLE,
    } | settings
    lines = "".join(f"{name} = {value}\n" for name, value in chosen.items())
    # PgBouncer takes the last value of a setting. A second [pgbouncer] would begin with its defaults again.
    deployed = re.sub("(?m)^misar_billing = .*", f"{database} = {target}", CONFIGURATION.read_text())
    file = folder / "pgbouncer.ini"
    file.write_text(f"{deployed}\n{lines}")
    process = subprocess.Popen(
        [*account.prefix, pgbouncer, "-q", str(file)],
        user=account.uid,
        group=account.gid,
        extra_groups=None if account.uid is None else [],
        stdin=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _answers(pooler, process))
        yield pooler
    finally:
        process.kill()
        process.wait()


def _answers(pooler: Pooler, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"PgBouncer ended: {pooler.log.read_text() if pooler.log.exists() else ''}"
    try:
        return bool(pooler.console("SHOW VERSION"))
    except psycopg.OperationalError:
        return False
