"""The settings of the database: the one in DATABASE_URL, or else the private PostgreSQL of `make run`.

The data of the private PostgreSQL is in DATA_DIR. `configuration` tells Django where the database is, but it
starts no server. sandbox/private_postgres.py starts the private server. This module can be imported before
Django has settings.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environ import Env

from foundation.errors import BillingError

ROOT = Path(__file__).resolve().parents[2]  # The folder of manage.py.
NAME = "misar_billing"  # The name of the private server's database and of its only role.

# A caller must get an answer within three seconds, even if the database is down or a row is locked. So every
# wait has a shorter limit.
CONNECT_TIMEOUT_SECONDS = 2
STATEMENT_TIMEOUT_MS = 2000
# PostgreSQL checks for a deadlock after one second. A shorter limit would end the wait before this check.
LOCK_TIMEOUT_MS = 1250
# If a worker dies between two statements, PostgreSQL releases the worker's locks after this time.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
# How often PostgreSQL looks whether the client of a running statement is still there. A request that ran out
# of time has closed its connection; without this, its charge could be made when a lock becomes free.
CLIENT_CHECK_INTERVAL_MS = 250
# A server that disappears from the network does not close its connections. These settings detect this. They
# have no effect on a local socket.
VANISHED_SERVER = {
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 2000,
}
CONNECTION_AGE_MAX_SECONDS = 600
# One of several servers in a URL: a name, an IPv4 address, or an IPv6 address in brackets.
ADDRESS = re.compile(
    r"(?:\[(?P<bracketed>[^]@,]+)\]|(?P<bare>[^]\[:@,]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)


class NoDatabase(BillingError):
    """Raised when there is no database, or PostgreSQL cannot be started. The message says what to do."""

    status = 503


def data_directory(environ: Mapping[str, str]) -> Path:
    """Return DATA_DIR as an absolute path. If it is not set, return the folder `var` beside manage.py."""
    return Path(environ.get("DATA_DIR") or ROOT / "var").expanduser().resolve()


def private_name(data_dir: Path) -> str:
    """Return the name of the private server for this DATA_DIR.

    Every process gets the same name for a DATA_DIR. Two DATA_DIRs have different names.
    """
    return f"misar-billing-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]}"


def socket_directory(data_dir: Path) -> Path:
    """Return the folder of the private server's socket."""
    # Do not use TMPDIR: a shell without TMPDIR must find a server that a shell with TMPDIR started.
    common = Path("/tmp")  # noqa: S108 (the folder in it is private; this is checked)
    usable = os.access(common, os.W_OK | os.X_OK)
    return (common if usable else Path(tempfile.gettempdir())) / private_name(data_dir)


def no_database(data_dir: Path) -> NoDatabase:
    """Return the error for a command that has no database and may not create one."""
    return NoDatabase(
        f"There is no database: DATABASE_URL is not set, and {data_dir} holds no data of `make run`. "
        "Set DATABASE_URL, or start the sandbox with `make run`."
    )


def configuration(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return Django's DATABASES["default"]. Options in the query of DATABASE_URL override our own options."""
    if url := environ.get("DATABASE_URL"):
        config = _parsed(url)
        if path := environ.get("DATABASE_PASSWORD_FILE"):
            config["PASSWORD"] = secret_in(path)
    else:
        config = {
            "NAME": NAME,
            "USER": NAME,
            "HOST": str(socket_directory(data_directory(environ))),
        }
    _complete(config)
    if test_name := environ.get("TEST_DATABASE_NAME"):
        config["TEST"] = {"NAME": test_name}
    return config


def standby_configuration(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the configuration of the standby in STANDBY_URL, or None. Its sessions are read-only."""
    if not (url := environ.get("STANDBY_URL")):
        return None
    config = _parsed(url, setting="STANDBY_URL")
    if path := environ.get("STANDBY_PASSWORD_FILE"):
        config["PASSWORD"] = secret_in(path)
    _complete(config)
    config["OPTIONS"]["options"] += " -c default_transaction_read_only=on"
    return config


def _complete(config: dict[str, Any]) -> None:
    # Django's engine with a timeout on the client's side. A frozen server does not apply its own timeouts.
    config["ENGINE"] = "foundation.database.engine"
    config.setdefault("CONN_MAX_AGE", CONNECTION_AGE_MAX_SECONDS)
    config.setdefault("CONN_HEALTH_CHECKS", True)
    config["OPTIONS"] = _options(config.get("OPTIONS", {}))


def secret_in(path: str) -> str:
    """Return the password in a file, such as a secret of a container. Raises NoDatabase if there is none."""
    try:
        secret = Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise NoDatabase(f"The password in {path} cannot be read: {type(error).__name__}.") from None
    if not secret:
        raise NoDatabase(f"The password in {path} is empty.")
    return secret


def _parsed(url: str, *, setting: str = "DATABASE_URL") -> dict[str, Any]:
    # No error message shows the URL, because the URL contains a password.
    if not url.startswith(("postgres://", "postgresql://")):
        raise NoDatabase(f"{setting} must begin with postgres:// or postgresql://.")
    try:
        config: dict[str, Any] = dict(Env.db_url_config(url))
    except ValueError:
        raise NoDatabase(f"{setting} cannot be read; is a character of the password not %-encoded?") from None
    if not config["NAME"]:
        raise NoDatabase(f"{setting} names no database.")
    if "," in config["HOST"]:
        config["HOST"], config["PORT"] = _several(url, setting=setting)
        # Each of them takes connections; but if one of them must be looked for, in the order of the list.
        if "target_session_attrs" not in config.get("OPTIONS", {}):
            config["OPTIONS"] = {"load_balance_hosts": "random"} | config.get("OPTIONS", {})
    return config


def _several(url: str, *, setting: str) -> tuple[str, str]:
    """Return the hosts and the ports of a URL that names several servers, as libpq writes them."""
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    found = [ADDRESS.fullmatch(address) for address in authority.split(",")]
    hosts = [each["bare"] or each["bracketed"] for each in found if each]
    ports = {each["port"] is None for each in found if each}
    if len(hosts) < len(found) or len(ports) > 1:
        raise NoDatabase(
            f"{setting} names several servers; each of them must be host:port, or each a host alone."
        )
    return ",".join(hosts), ",".join(each["port"] or "" for each in found if each).strip(",")


def limits_ms() -> dict[str, int]:
    """Return the time limits of a session of the service, in milliseconds."""
    return {
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
        "client_connection_check_interval": CLIENT_CHECK_INTERVAL_MS,
    }


def _options(chosen: Mapping[str, Any]) -> dict[str, Any]:
    ours = " ".join(f"-c {name}={milliseconds}" for name, milliseconds in limits_ms().items())
    # If a setting appears twice, the server uses the last value.
    session = f"{ours} {chosen.get('options', '')}".strip()
    return {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **VANISHED_SERVER, **chosen, "options": session}
