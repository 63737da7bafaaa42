"""The sites that are compared: a checkout's own quickstart, with its year of data."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import BillingError
from sandbox import environment
from sandbox.processes import is_healthy

START_SECONDS_MAX = 300  # A quickstart first makes a year of data.
SETTINGS = "static_as_in_production"


class SiteFailed(BillingError):
    """Raised when a checkout cannot collect its static files, or does not start."""


@dataclass(frozen=True)
class Site:
    """A running service: its title in the tables, and its address."""

    title: str
    address: str


@contextmanager
def running(title: str, folder: Path, data_dir: Path, environ: Mapping[str, str]) -> Iterator[Site]:
    """Run the quickstart of a checkout on free ports, with an own PostgreSQL under `data_dir`."""
    port = environment.free_port()
    environ = {name: value for name, value in environ.items() if name != "DATABASE_URL"} | {
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "SANDBOX_PORT": str(environment.free_port()),
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "PYTHONPATH": str(Path(__file__).parent),
        "BENCH_STATIC_ROOT": str(data_dir / "static"),
        "LOG_LEVEL": "WARNING",
    }
    _collect_static_files(title, folder, environ)
    command = [sys.executable, "manage.py", "quickstart"]
    with subprocess.Popen(  # noqa: S603 (a command of our own)
        command, cwd=folder, env=environ, stdout=subprocess.DEVNULL
    ) as quickstart:
        try:
            _wait_for(title, port, quickstart)
            yield Site(title, f"http://127.0.0.1:{port}")
        finally:
            quickstart.terminate()


def _wait_for(title: str, port: int, quickstart: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while not is_healthy("127.0.0.1", port):
        if quickstart.poll() is not None:
            raise SiteFailed(f"{title} ended with exit code {quickstart.returncode}.")
        if time.monotonic() > give_up_at:
            raise SiteFailed(f"{title} did not start within {START_SECONDS_MAX} seconds.")
        time.sleep(0.5)


def _collect_static_files(title: str, folder: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        cwd=folder,
        env=environ | {"ENVIRONMENT": "sandbox", "SECRET_KEY": "for-collecting-static-files-only"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        complaint = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise SiteFailed(f"collectstatic failed in {title}: {complaint}")
