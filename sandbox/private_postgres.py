"""The private PostgreSQL of `make run` and of the tests, under DATA_DIR.

`PrivateServer.lease` runs it as long as a process needs it. It works before Django has settings.
"""

import fcntl
import os
import shlex
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from psycopg import conninfo, pq

from foundation.database import configuration
from foundation.database.configuration import NAME, NoDatabase, no_database
from sandbox import postgres_programs

CONNECTIONS_MAX = 300
SOCKET_LOCK = ".s.PGSQL.5432.lock"
START_TRIES = 10
ANSWER_SECONDS_MAX = 10  # Of a private server; a busy machine is no reason to think it dead.
STOP_SECONDS_MAX = 20
WARM_UP_SECONDS_MAX = 60
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PrivateServer:
    """A private PostgreSQL: its data is under DATA_DIR, and only this user can open its local socket.

    Several processes may use it at the same time, each under a lease.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.resolve()
        self.home = self.data_dir / "postgres"
        self.socket_directory = configuration.socket_directory(self.data_dir)

    def exists(self) -> bool:
        """Whether there is data of an earlier run."""
        return (self._place() / "data" / "PG_VERSION").exists()

    def is_running(self) -> bool:
        """Whether the server answers; waits for one that is starting or recovering."""
        if not self._has_private_socket():
            return False
        target = conninfo.make_conninfo(
            host=str(self.socket_directory), user=NAME, dbname=NAME, connect_timeout=ANSWER_SECONDS_MAX
        )
        give_up_at = time.monotonic() + WARM_UP_SECONDS_MAX
        while (answer := pq.PGconn.ping(target.encode())) == pq.Ping.REJECT:
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.1)
        return answer == pq.Ping.OK

    def pid(self) -> int | None:
        """The process id of the server, which may have ended since; None if no file has it."""
        return _read_pid(self._place() / "data" / "postmaster.pid")

    def start_again(self) -> None:
        """Start the server with the data it had, after it ended by itself. The caller must have a lease.

        Raises NoDatabase if that fails, or if the data is gone.
        """
        try:
            with self._guarded():
                if self.is_running():  # Another process with a lease was faster.
                    return
                if not self.exists():
                    raise NoDatabase(f"Its data is gone from {self._place()}.")
                self._start()
        except OSError as error:
            raise NoDatabase(f"{error.filename} cannot be used ({error.strerror}).") from error

    @contextmanager
    def lease(self, *, create: bool) -> Iterator[None]:
        """Run the server inside this block. Leaving it stops the server, unless another process has a lease.

        A lease ends with its process, even if it is killed. Without `create`, data must exist already.
        PostgreSQL's own variables (PGHOSTADDR, PGSERVICE) are removed from the environment: with them this
        process and its children would connect to another server than this one.
        """
        for name in [name for name in os.environ if name.startswith("PG") and name != "PG_BIN"]:
            del os.environ[name]
        try:
            if not create and not self.exists():
                raise no_database(self.data_dir)
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            lease = self._open("leases.lock")
        except OSError as error:
            raise NoDatabase(
                f"{error.filename} cannot be used ({error.strerror}). Set DATA_DIR to a folder of this user."
            ) from error
        # Python's files are not inherited, so no child process keeps a lease alive.
        with lease:
            try:
                with self._guarded():
                    fcntl.flock(lease, fcntl.LOCK_SH)
                    if not self.is_running():
                        self._start()
                yield
            finally:
                # If the folder was removed, PostgreSQL notices that within a minute and ends by itself.
                with suppress(FileNotFoundError), self._guarded():
                    if _is_the_last_holder(lease):
                        self._stop()

    def _has_private_socket(self) -> bool:
        """Refuse a folder in which another user could have started a server."""
        try:
            status = self.socket_directory.lstat()
            owner = (self._place() / "data").stat().st_uid
        except FileNotFoundError:
            return False
        return status.st_uid == owner and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077

    def _open(self, name: str) -> IO[str]:
        return open(self.home / name, "a")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let only one process at a time take or return a lease, and so start or stop the server."""
        with self._open("guard.lock") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    # --- Where the data is, and who owns it ---

    def _place(self) -> Path:
        """The folder of the data: ours, or the one under /var/tmp that an earlier run had to use."""
        with suppress(FileNotFoundError):
            return Path((self.home / "elsewhere").read_text().strip())
        return self.home

    def _settle(self) -> tuple[Path, postgres_programs.Account, postgres_programs.Programs]:
        """Decide where the data is and which user runs PostgreSQL. Existing data decides both."""
        programs = postgres_programs.find_programs(os.environ)
        place = self._place()
        data = place / "data"
        owner = data.stat().st_uid if data.exists() else None
        if os.geteuid() != 0:
            if owner not in {None, os.geteuid()}:
                raise NoDatabase(f"{data} belongs to another user. Work as that user, or set DATA_DIR.")
            return place, postgres_programs.Account(), programs
        if owner:  # Not root's: PostgreSQL runs as the user who made the data.
            account = postgres_programs.Account(uid=owner, gid=data.stat().st_gid)
            if reachable := postgres_programs.within_reach(account, home=place, programs=programs):
                return place, account, reachable
            raise NoDatabase(f"The owner of {data} cannot run {programs.folder}: set PG_BIN or DATA_DIR.")
        account = postgres_programs.namespace()
        if account.can_use(folder=place, programs=programs):
            return place, account, programs
        if owner is not None:
            raise NoDatabase(
                f"{data} was made by root where user namespaces are allowed; here they are not. "
                "Set DATA_DIR to another folder, or DATABASE_URL."
            )
        place = Path("/var/tmp") / configuration.private_name(self.data_dir)  # noqa: S108 (private, and checked to be so)
        account, programs = postgres_programs.substitute(home=place, programs=programs)
        (self.home / "elsewhere").write_text(f"{place}\n")
        return place, account, programs

    # --- Starting and stopping, under the guard ---

    def _start(self) -> None:
        place, account, programs = self._settle()
        data = place / "data"
        if not data.exists():
            _create(data, account, programs)
        made_by = (data / "PG_VERSION").read_text().strip()
        if made_by != str(programs.major):
            raise NoDatabase(
                f"{data} was made by PostgreSQL {made_by}, but {programs.folder} is PostgreSQL "
                f"{programs.major}. Set PG_BIN to a folder with PostgreSQL {made_by}, or set DATA_DIR."
            )
        postgres_programs.own_private_folder(self.socket_directory, account)
        log = place / "server.log"
        if log.exists():
            log.replace(place / "server.log.1")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "max_connections": str(CONNECTIONS_MAX),
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = shlex.join(f"--{name}={value}" for name, value in settings.items())
        command = (programs.path("pg_ctl"), "start", "--wait", "--timeout=60", f"--log={log}", "-o", options)
        # After a kill -9 the old processes need a moment to end before the data can be opened again.
        tries = START_TRIES if (data / "postmaster.pid").exists() else 1
        for tries_left in reversed(range(tries)):
            for pid_file in (data / "postmaster.pid", self.socket_directory / SOCKET_LOCK):
                _forget_if_dead(pid_file)
            with _signals_blocked():
                account.run(*command, data=data)
            if self.is_running():
                return
            if tries_left:
                time.sleep(1)
        raise NoDatabase(f"PostgreSQL did not start. {log} says: {_last_words(log)}")

    def _stop(self) -> None:
        if not self.is_running():
            return
        data = self._place() / "data"
        for how in (signal.SIGINT, signal.SIGQUIT):  # A fast shutdown, else an immediate one.
            pid = _read_pid(data / "postmaster.pid")
            if pid is None:
                return
            os.kill(pid, how)
            give_up_at = time.monotonic() + STOP_SECONDS_MAX
            while time.monotonic() < give_up_at:
                if not (data / "postmaster.pid").exists():
                    with suppress(OSError):
                        self.socket_directory.rmdir()
                    return
                time.sleep(0.02)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let a signal wait for the end of the block, which starts a server.

    A signal in between would leave a server that does not answer yet, so that nothing would stop it.
    """
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _is_the_last_holder(lease: IO[str]) -> bool:
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _create(data: Path, account: postgres_programs.Account, programs: postgres_programs.Programs) -> None:
    """Make a new cluster with our database in it. It gets its name only when it is complete."""
    for leftover in data.parent.glob("unfinished-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished = data.with_name(f"unfinished-{os.getpid()}-{time.time_ns()}")
    # The same on every machine: sorted by code points, with upper and lower case in every script.
    locale = ["--locale=C.UTF-8"]
    if programs.major >= 17:
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    made = account.run(
        programs.path("initdb"),
        *(f"--username={NAME}", "--auth=trust", "--encoding=UTF8", *locale, "--data-checksums"),
        data=unfinished,
    )
    if made.returncode:
        raise NoDatabase(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")
    created = account.run(
        programs.path("postgres"), "--single", "postgres", data=unfinished, stdin=f"CREATE DATABASE {NAME}\n"
    )
    if created.returncode or "ERROR:" in created.stderr:
        raise NoDatabase(f"The private database could not be made: {created.stderr.strip()}")
    unfinished.rename(data)


def _read_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _forget_if_dead(pid_file: Path) -> None:
    """Remove a pid file whose server is gone; it would prevent the start.

    PostgreSQL only sees that a process with that number exists. It may be a dead one that was never reaped
    (in a container whose first process does not reap), or another program after a restart of the machine.
    """
    pid = _read_pid(pid_file)
    if pid is None or not Path("/proc/self/stat").exists():
        return
    try:
        name, state = Path(f"/proc/{pid}/stat").read_text().split("(", 1)[1].rsplit(") ", 1)
    except (FileNotFoundError, ProcessLookupError):
        return  # PostgreSQL sees this itself.
    if state.startswith("Z") or not name.startswith("postgres"):
        pid_file.unlink(missing_ok=True)


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return "nothing"
    fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
    return (fatal or lines or ["nothing"])[-1]
