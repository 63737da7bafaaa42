"""Which database: the one DATABASE_URL names, or the private PostgreSQL of `make run` under DATA_DIR.

`configuration` tells Django where it is and starts nothing: sandbox/private_postgres.py does. It works before
Django has settings.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environ import Env

from foundation.errors import BillingError

ROOT = Path(__file__).resolve().parents[2]  # Where manage.py is.
NAME = "misar_billing"  # Of the private server's database, and of its only role.

# A caller gets an answer within three seconds even while the database is dead or a row is locked, so every
# wait has a shorter limit.
CONNECT_TIMEOUT_SECONDS = 2
STATEMENT_TIMEOUT_MS = 2000
# PostgreSQL looks for a deadlock after one second. A shorter limit would end the wait before it is found.
LOCK_TIMEOUT_MS = 1250
# A worker that dies between two statements must not keep its locks for long.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
# A server that vanishes from the network closes no connection. Ignored on a local socket.
VANISHED_SERVER = {
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 2000,
}
CONNECTION_AGE_MAX_SECONDS = 600


class NoDatabase(BillingError):
    """Raised when there is no database to use, or PostgreSQL cannot be started; says what to do about it."""

    status = 503


def data_directory(environ: Mapping[str, str]) -> Path:
    """DATA_DIR as an absolute path; `var` beside manage.py when it is not set."""
    return Path(environ.get("DATA_DIR") or ROOT / "var").expanduser().resolve()


def private_name(data_dir: Path) -> str:
    """The name of a DATA_DIR's private server: the same in every process, different for each DATA_DIR."""
    return f"misar-billing-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]}"


def socket_directory(data_dir: Path) -> Path:
    """The folder of the private server's socket."""
    # Not TMPDIR: a shell without it must find the server that a shell with it started.
    common = Path("/tmp")  # noqa: S108 (the folder in it is private; this is checked)
    usable = os.access(common, os.W_OK | os.X_OK)
    return (common if usable else Path(tempfile.gettempdir())) / private_name(data_dir)


def no_database(data_dir: Path) -> NoDatabase:
    """The refusal of a command that has no database and may not create one."""
    return NoDatabase(
        f"There is no database: DATABASE_URL is not set, and {data_dir} holds no data of `make run`. "
        "Set DATABASE_URL, or start the sandbox with `make run`."
    )


def configuration(environ: Mapping[str, str]) -> dict[str, Any]:
    """Django's DATABASES["default"]. Options in the query of DATABASE_URL win over our own."""
    if url := environ.get("DATABASE_URL"):
        config = _parsed(url)
    else:
        config = {
            "NAME": NAME,
            "USER": NAME,
            "HOST": str(socket_directory(data_directory(environ))),
        }
    # Django's own engine, with a deadline for a server that is frozen and keeps none itself.
    config["ENGINE"] = "foundation.database.engine"
    config.setdefault("CONN_MAX_AGE", CONNECTION_AGE_MAX_SECONDS)
    config.setdefault("CONN_HEALTH_CHECKS", True)
    config["OPTIONS"] = _options(config.get("OPTIONS", {}))
    if test_name := environ.get("TEST_DATABASE_NAME"):
        config["TEST"] = {"NAME": test_name}
    return config


def _parsed(url: str) -> dict[str, Any]:
    # The URL is never repeated: it holds a password.
    if not url.startswith(("postgres://", "postgresql://")):
        raise NoDatabase("DATABASE_URL must begin with postgres:// or postgresql://.")
    try:
        config: dict[str, Any] = dict(Env.db_url_config(url))
    except ValueError:
        raise NoDatabase(
            "DATABASE_URL cannot be read; is a character of the password not %-encoded?"
        ) from None
    if not config["NAME"]:
        raise NoDatabase("DATABASE_URL names no database.")
    return config


def _options(chosen: Mapping[str, Any]) -> dict[str, Any]:
    limits = {
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
    }
    ours = " ".join(f"-c {name}={milliseconds}" for name, milliseconds in limits.items())
    # If a setting is there twice, the server takes the last.
    session = f"{ours} {chosen.get('options', '')}".strip()
    return {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **VANISHED_SERVER, **chosen, "options": session}
