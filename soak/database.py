"""The private PostgreSQL of a run, and what can happen to it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from foundation.database.configuration import NAME, NoDatabase
from sandbox import signals
from sandbox.private_postgres import PrivateServer

DISK_BYTES = 3 * 1024**3
MARGIN_BYTES = 64 * 1024
START_SECONDS_MAX = 60
# How long PostgreSQL stands still in each burst, and how long it runs until the next one.
BURST_SECONDS, PAUSE_SECONDS = 0.4, 0.3
RULE = "default_transaction_read_only"


class Disk:
    """A small file system in memory for PostgreSQL's data. It can be full. It needs the right to mount."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.missing = ""  # Why there is none.

    def mount(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = f"size={DISK_BYTES},mode=0700"
        done = _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._folder))
        self.missing = "" if done is None else f"no file system can be mounted here ({done})"

    def unmount(self) -> None:
        if os.path.ismount(self._folder):
            _run("umount", str(self._folder))

    @contextmanager
    def full(self) -> Iterator[None]:
        """No space is left inside this block."""
        try:
            self._shrink()
            yield
        finally:
            self._resize(DISK_BYTES)

    def _shrink(self) -> None:
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while True:  # Until the size is not below what is written meanwhile.
            state = os.statvfs(self._folder)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize
            if self._resize(used + MARGIN_BYTES):
                return
            if time.monotonic() > give_up_at:
                raise NoDatabase("The file system cannot be made smaller.")

    def _resize(self, size: int) -> bool:
        return _run("mount", "-o", f"remount,size={size}", str(self._folder)) is None


class Database:
    """The private PostgreSQL. Each context manager is a fault that ends with its block."""

    def __init__(self, data_dir: Path) -> None:
        self._server = PrivateServer(data_dir)
        self.disk = Disk(self._server.home)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it inside this block, on a new disk if one can be mounted."""
        with ExitStack() as stack:
            self.disk.mount()
            stack.callback(self.disk.unmount)
            stack.enter_context(self._server.lease(create=True))
            if (self._server.home / "elsewhere").exists():
                self.disk.missing = "PostgreSQL cannot run as root here, so its data is on another disk"
            with self._connected() as cursor:
                cursor.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
                cursor.execute("SELECT pg_reload_conf()")
            yield

    @contextmanager
    def killed(self) -> Iterator[None]:
        pid = self._server.pid()
        assert pid is not None
        signals.send(pid, signal.SIGKILL)
        try:
            yield
        finally:
            self.start_again()

    def start_again(self) -> None:
        """Start it if it has ended, and wait until it answers."""
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                self._server.start_again()
                return
            except NoDatabase:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.2)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """All of its processes stand still."""
        postmaster = self._server.pid()
        assert postmaster is not None
        with signals.stopped(postmaster):
            yield

    def slow(self, seconds: float) -> None:
        """It stands still in bursts, for this time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.stopped():
                time.sleep(BURST_SECONDS)
            time.sleep(PAUSE_SECONDS)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Every session reads only, as after a failover the sessions of the demoted server."""
        try:
            with self._connected() as cursor:
                cursor.execute(f"ALTER SYSTEM SET {RULE} = on")
                cursor.execute("SELECT pg_reload_conf()")
            yield
        finally:
            with self._connected() as cursor:
                cursor.execute(f"ALTER SYSTEM RESET {RULE}")
                cursor.execute("SELECT pg_reload_conf()")

    def out_of_connections(self, seconds: float) -> None:
        """Take every connection, the free ones and those of the service, and hold them for this time."""
        with ExitStack() as stack:
            first = stack.enter_context(self._connect())
            own = [first.info.backend_pid]
            end: float | None = None  # Unknown until the first one is refused.
            while end is None or time.monotonic() < end:
                try:
                    own.append(stack.enter_context(self._connect()).info.backend_pid)
                except psycopg.OperationalError:
                    end = end or time.monotonic() + seconds
                    first.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE backend_type = 'client backend' AND pid <> ALL(%s)",
                        [own],
                    )
                    time.sleep(0.01)

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self._server.socket_directory),
            user=NAME,
            dbname=NAME,
            autocommit=True,
            connect_timeout=10,
            options=f"-c {RULE}=off",
        )

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Cursor[Any]]:
        with self._connect() as connection, connection.cursor() as cursor:
            yield cursor


def _run(*command: str) -> str | None:
    """Run a program of the system. Returns None if it succeeded, else why not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    except OSError as error:
        return str(error.strerror)
    return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"
