"""The two checkouts: each runs its own code with this interpreter, on a database of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import consumption, surroundings
from bench.against.commits import Commit
from bench.against.plan import BEFORE, FEATURE, HERE, Wallets
from bench.settings import DATABASE_NAME
from foundation.database import configuration
from foundation.errors import BillingError
from sandbox import environment
from sandbox.processes import WEB, Processes

OPEN_WALLETS = Path(__file__).with_name("open_wallets.py")
LAWS_BROKEN = 1  # The exit code of check_ledger.


class CheckoutFailed(BillingError):
    """Raised when a program of a checkout fails. The message has the last line of what it complained."""


@dataclass(frozen=True)
class WebServer:
    """A running gunicorn: its address, the process ids of its workers, and the name of its database."""

    address: tuple[str, int]
    workers: Sequence[int]
    database: str

    def processor_seconds(self) -> tuple[dict[int, float], dict[int, float]]:
        """Processor time so far, by process: of the web workers, and of PostgreSQL for this database."""
        return (
            consumption.seconds_by_process(self.workers),
            consumption.seconds_by_process(consumption.database_backends(self.database)),
        )


@dataclass(frozen=True)
class Checkout:
    """A folder with the code of one commit, and the name of its database."""

    title: str
    folder: Path
    database: str

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the checkout's programs: the same for both, except the database."""
        settings = {"DJANGO_SETTINGS_MODULE": "misar_billing.settings"}
        return os.environ | settings | {"DATABASE_URL": surroundings.url_of(self.database)}

    def open(self, kinds: Iterable[Wallets], count: int) -> str:
        """Migrate the database, open so many wallets of each kind, and return the secret of a service key."""
        wanted = [asdict(kind) | {"user_ids": kind.user_ids(count), "feature": FEATURE} for kind in kinds]
        # With -c, Python finds the modules in the folder in which it runs.
        return self._run("-c", OPEN_WALLETS.read_text(), stdin=json.dumps(wanted)).strip()

    @contextmanager
    def web_server(self) -> Iterator[WebServer]:
        """Run the checkout's own gunicorn, with its own configuration, on a free port."""
        host, port = os.environ["HOST"], environment.free_port()
        with Processes() as processes:
            environ = self.environ | {"PORT": str(port)}
            pid = processes.start(self.title, WEB, folder=self.folder, environ=environ)
            processes.wait_until_healthy(self.title, host, port)
            yield WebServer((host, port), consumption.children(pid), self.database)

    def violations(self) -> list[str]:
        """What the checkout's own check of its books finds, a sentence each."""
        answer = self._run("manage.py", "check_ledger", "--json", may_exit_with=LAWS_BROKEN)
        return [f"{self.title}: {json.dumps(each)}" for each in json.loads(answer)["violations"]]

    def _run(self, *command: str, stdin: str = "", may_exit_with: int = 0) -> str:
        """Run Python in the folder and return what it writes to standard output."""
        done = subprocess.run(  # noqa: S603 (commands of our own)
            [sys.executable, *command],
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, may_exit_with):
            complaint = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            name = OPEN_WALLETS.name if command[0] == "-c" else " ".join(command)
            raise CheckoutFailed(f"{name} failed in {self.title}: {complaint}")
        return done.stdout


@contextmanager
def both(commit: Commit) -> Iterator[dict[str, Checkout]]:
    """The files of a commit and this checkout, each with an empty database, dropped at the end."""
    before = f"{DATABASE_NAME}_before"
    with (
        commit.files() as folder,
        surroundings.empty_database(before),
        surroundings.empty_database(DATABASE_NAME),
    ):
        yield {
            BEFORE: Checkout(commit.title, folder, before),
            HERE: Checkout("this checkout", configuration.ROOT, DATABASE_NAME),
        }
