"""PostgreSQL servers of a test: a primary, its standby, and the address that moves between them.

`tests/deployment.py` has one private server for a service. Here servers are copied, killed, promoted and
restored, and each listens on a port of this machine, as servers elsewhere do.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from foundation.database.configuration import NAME, NoDatabase
from sandbox.environment import free_port
from sandbox.postgres_programs import Account, Programs
from sandbox.private_postgres import PrivateServer
from sandbox.signals import children_of, send
from tests.deployment import eventually
from tests.environment import ROOT

ADMINISTRATOR = "postgres"
OWNER, RUNTIME, OPERATOR = "misar_owner", "misar_runtime", "misar_operator"
PATIENCE_SECONDS = 1800  # On a very busy machine all migrations together took more than 600.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # A killed server leaves nothing outside its folder.
}
PROGRAMS = ("initdb", "pg_ctl", "pg_basebackup", "pg_dump", "pg_restore")


@dataclass(frozen=True)
class Place:
    """A folder for servers, PostgreSQL's programs, and the account that runs them."""

    folder: Path
    account: Account
    programs: Programs

    def run(self, program: str, *arguments: str, data: Path | None = None) -> str:
        """Run a program of PostgreSQL to its end, without an error. Return what it printed."""
        path = self.programs.path(program) if program in PROGRAMS else program
        done = self.account.run(path, *arguments, data=data)
        assert done.returncode == 0, f"{program}: {done.stderr}{done.stdout}"
        return done.stdout


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """A place for servers. Skips the test if this machine has not all of PostgreSQL's programs."""
    folder.mkdir(parents=True, exist_ok=True)
    private = PrivateServer(folder)
    private.home.mkdir(mode=0o700, exist_ok=True)
    try:
        where, account, programs = private._settle()
    except NoDatabase as missing:
        pytest.skip(str(missing))
    if lacking := [name for name in PROGRAMS if not Path(programs.path(name)).exists()]:
        pytest.skip(f"{programs.folder} has no {', '.join(lacking)}")
    yield Place(where, account, programs)
    shutil.rmtree(where, ignore_errors=True)


class Server:
    """A PostgreSQL with its data in a folder of a place."""

    def __init__(self, place: Place, name: str) -> None:
        self.place, self.name = place, name
        self.data = place.folder / name
        self.log = place.folder / f"{name}.log"
        self.port = free_port()

    # --- Its data ---

    def initialise(self) -> None:
        """Make an empty server."""
        arguments = (f"--username={ADMINISTRATOR}", "--auth=trust", "--encoding=UTF8", "--locale=C")
        self.place.run("initdb", *arguments, "--no-sync", data=self.data)

    def copy_of(self, other: "Server") -> None:
        """Take the data of a server that is stopped."""
        self.place.run("/bin/cp", "-a", str(other.data), str(self.data))

    def back_up(self, other: "Server", *options: str) -> None:
        """Take a base backup of a server that runs."""
        source = f"host=127.0.0.1 port={other.port} user={ADMINISTRATOR} application_name={self.name}"
        target = (f"--dbname={source}", f"--pgdata={self.data}")
        self.place.run("pg_basebackup", *target, "--checkpoint=fast", "--no-sync", *options)

    def follow(self, primary: "Server") -> None:
        """Become the standby of a primary: take a base backup, start, and wait until it streams."""
        self.back_up(primary, "--write-recovery-conf")
        self.start()
        followers = "SELECT array_agg(application_name) FROM pg_stat_replication WHERE state = 'streaming'"
        eventually(lambda: self.name in (primary.value(followers) or []))

    # --- Start and stop ---

    def start(self, **settings: str) -> None:
        """Start, and wait until it answers. The settings are those of this start."""
        chosen = SETTINGS | {"port": str(self.port)} | settings
        options = shlex.join(f"--{name}={value}" for name, value in chosen.items())
        self._control("start", f"--timeout={PATIENCE_SECONDS}", f"--log={self.log}", "-o", options)

    def stop(self) -> None:
        """Shut down as an operator would: sessions end, and a standby gets everything first."""
        self._control("stop", "--mode=fast")

    def kill(self) -> None:
        """End all its processes at once, as a machine does that fails."""
        pid_file = self.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        postmaster, shared_memory = int(lines[0]), lines[6].split()[1]
        send(postmaster, signal.SIGSTOP)  # It starts no further process meanwhile.
        for pid in [*children_of(postmaster), postmaster]:
            send(pid, signal.SIGKILL)
        pid_file.unlink()
        # A killed server leaves it to the machine's next start.
        subprocess.run(["ipcrm", "--shmem-id", shared_memory], check=False, capture_output=True)

    def end(self) -> None:
        """Leave nothing of it after a test."""
        if (self.data / "postmaster.pid").exists():
            self._control("stop", "--mode=immediate")
        shutil.rmtree(self.data, ignore_errors=True)

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        self._control("promote", f"--timeout={PATIENCE_SECONDS}")

    def _control(self, *arguments: str) -> None:
        self.place.run("pg_ctl", "--wait", *arguments, data=self.data)

    # --- What operators ask and say ---

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Run a statement as the administrator, in the service's database, and return its rows."""
        with psycopg.connect(self.url(ADMINISTRATOR), autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *values: object) -> Any:
        """The first column of the first row."""
        return self.rows(statement, *values)[0][0]

    def alter_system(self, name: str, value: str) -> None:
        """Change a setting for all sessions, also for those that are open."""
        self.rows(f"ALTER SYSTEM SET {name} = '{value}'")
        self.rows("SELECT pg_reload_conf()")

    def url(self, role: str, *, port: int = 0, database: str = NAME) -> str:
        """The DATABASE_URL of a role, on another port or for another database if they are given."""
        return f"postgres://{role}@127.0.0.1:{port or self.port}/{database}"


# --- The books, made once ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Books:
    """A stopped server with empty books and all roles, which other servers copy, and a key of the blog."""

    place: Place
    template: Server
    service_key: str

    def server(self, name: str) -> Server:
        """Another server, without data."""
        return Server(self.place, name)


@contextmanager
def books(folder: Path) -> Iterator[Books]:
    """Make books in a folder, as docs/database.md says. Nothing of them is left after the block."""
    with place(folder) as here:
        template = Server(here, "template")
        template.initialise()
        template.start(fsync="off")
        try:
            make_database(template)
            manage(template.url(OWNER), "migrate", "--verbosity=0")
            manage(template.url(OWNER), "database_roles")
            key = manage(template.url(RUNTIME), "create_service_key", "--product", "blog").split()[-1]
        finally:
            template.stop()
        yield Books(here, template, key)


def make_database(server: Server) -> None:
    """Make the owner and the empty database."""
    with psycopg.connect(server.url(ADMINISTRATOR, database="postgres"), autocommit=True) as database:
        database.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
        database.execute(f"CREATE DATABASE {NAME} OWNER {OWNER}")


def manage(url: str, *command: str, code: int = 0) -> str:
    """Run a command of manage.py on a database, check its exit code, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == code, f"{done.returncode}: {done.stderr}{done.stdout}"
    return done.stdout


# --- An address that moves --------------------------------------------------------------------------


class Address:
    """A port that leads to one server, and later to another, as the address of the primary does.

    Connections that are open stay with the server they lead to, until it ends them.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def move_to(self, server: Server) -> None:
        """Lead new connections to this server."""
        self.server = server

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self.server.port))
            with server:
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                back.start()
                _pass_on(client, server)
                back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes from one side until it ends, then end the other side."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


# --- A primary and a standby ------------------------------------------------------------------------


class Pair:
    """A primary that waits for its standby at each COMMIT, and the address of the primary."""

    def __init__(self, books: Books) -> None:
        self.books, self.made = books, 0
        self.primary, self.standby = self._another(), self._another()
        self.primary.copy_of(books.template)
        self.primary.start()
        self.address = Address(self.primary)

    @property
    def url(self) -> str:
        """The DATABASE_URL of the service."""
        return self.primary.url(RUNTIME, port=self.address.port)

    def get_in_step(self) -> None:
        """Give the primary a new standby. From then on, a commit is answered when both have it on disk."""
        self.standby = self._another()
        self.standby.follow(self.primary)
        self.primary.alter_system("synchronous_standby_names", self.standby.name)
        in_step = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually(lambda: self.primary.value(in_step) == 1)

    def promote(self) -> None:
        """Make the standby the primary. It waits for no standby of its own yet."""
        self.standby.alter_system("synchronous_standby_names", "")
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def end(self) -> None:
        self.address.close()
        for server in (self.primary, self.standby):
            server.end()

    def _another(self) -> Server:
        self.made += 1
        return self.books.server(f"server_{self.made}")
