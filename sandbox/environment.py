"""The sandbox's environment: values for settings that are not set.

`make run` prepares it and saves it in DATA_DIR/sandbox.env. A manage.py command run at the same time then
uses the same database, keys and addresses without setting anything. The caller's own settings always win.
wsgi.py never reads the file.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from foundation.database import configuration
from foundation.errors import BillingError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
WILDCARD_HOSTS = {"0.0.0.0", "::"}  # noqa: S104 (compared with, not listened on)

# Made once for each DATA_DIR and kept, so sessions and keys survive a restart.
SECRETS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "STRIPE_SECRET_KEY": lambda: f"sk_test_{secrets.token_hex(24)}",
    "STRIPE_WEBHOOK_SECRETS": lambda: f"whsec_{secrets.token_hex(24)}",
    "SSO_CLIENT_SECRET": lambda: secrets.token_urlsafe(32),
}
DATABASE_URL_DIGEST = "DATABASE_URL_DIGEST"
# One for each port that this process has chosen.
_claims: list[socket.socket] = []


class SandboxRefused(BillingError):
    """Raised when the sandbox cannot run with these settings."""


def prepare(environ: MutableMapping[str, str]) -> None:
    """Set what the sandbox needs and the environment lacks, and save it for manage.py.

    Secrets are made the first time and kept. Addresses are made from HOST, PORT and SANDBOX_PORT of this run.
    """
    if environ.get("ENVIRONMENT", "sandbox") != "sandbox":
        raise SandboxRefused("ENVIRONMENT is production, and this command runs a sandbox. Unset it.")
    data_dir = configuration.data_directory(environ)
    data_dir.mkdir(parents=True, exist_ok=True)
    kept = _remembered(data_dir)
    generated = {name: kept.get(name) or make() for name, make in SECRETS.items()}
    addresses = _addresses(environ)
    # Always off here: its error pages show settings, and it keeps every query in memory.
    environ["DEBUG"] = "false"
    environ["DATA_DIR"] = str(data_dir)
    mail = {"EMAIL_URL": mail_url(data_dir)}
    _fill_in(environ, {"ENVIRONMENT": "sandbox", **generated, **addresses, **mail})

    # The caller's addresses are saved, the caller's secrets are not.
    in_effect = {name: environ[name] for name in addresses}
    if programs := environ.get("PG_BIN"):
        in_effect["PG_BIN"] = programs
    if environ["EMAIL_URL"] == mail["EMAIL_URL"]:  # Another one may hold a password.
        in_effect |= mail
    if digest := kept.get(DATABASE_URL_DIGEST):  # Of the last run, until this one may use its database.
        in_effect[DATABASE_URL_DIGEST] = digest
    _remember(data_dir, {"ENVIRONMENT": "sandbox", **generated, **in_effect})


def remember_database(environ: Mapping[str, str]) -> None:
    """Save which DATABASE_URL the sandbox runs on, as a digest; or that it runs on its private server.

    Call this only for a database that is the sandbox's: from then on, manage.py uses the sandbox's settings
    for it.
    """
    data_dir = configuration.data_directory(environ)
    values = _remembered(data_dir)
    values.pop(DATABASE_URL_DIGEST, None)
    if url := environ.get("DATABASE_URL"):
        values[DATABASE_URL_DIGEST] = _digest(url, key=values["SECRET_KEY"])
    _remember(data_dir, values)


def adopt(environ: MutableMapping[str, str]) -> None:
    """Set unset variables from the sandbox that ran here, unless this is another environment.

    It is another environment if ENVIRONMENT is not sandbox, or if ENVIRONMENT is unset and DATABASE_URL is
    not the sandbox's.
    """
    if environ.get("ENVIRONMENT", "sandbox") != "sandbox":
        return
    data_dir = configuration.data_directory(environ)
    remembered = _remembered(data_dir)
    if not remembered:
        return
    url = environ.get("DATABASE_URL")
    if url and "ENVIRONMENT" not in environ and not _ran_on(url, remembered):
        return
    remembered.pop(DATABASE_URL_DIGEST, None)
    environ["DATA_DIR"] = str(data_dir)
    _fill_in(environ, remembered)


def ran_on_a_database_url(environ: Mapping[str, str]) -> bool:
    """True when the sandbox of this DATA_DIR last ran on a DATABASE_URL instead of a private server."""
    return DATABASE_URL_DIGEST in _remembered(configuration.data_directory(environ))


def set_apart(environ: MutableMapping[str, str]) -> None:
    """Give a demonstration its own data, ports and addresses, whatever is set in the shell."""
    for name in (
        "DATABASE_URL",
        "PUBLIC_URL",
        "STRIPE_API_BASE",
        "SSO_ISSUER",
        "SSO_JWKS_URL",
        "SSO_JWT_SECRET",
        "EMAIL_URL",  # A demonstration sends no mail.
    ):
        environ.pop(name, None)
    environ["DATA_DIR"] = str(configuration.data_directory(environ) / "demo")
    for name in ("PORT", "SANDBOX_PORT"):
        if not environ.get(name):
            environ[name] = str(free_port())


def mail_directory(data_dir: Path) -> Path:
    """The folder that keeps the service's mail instead of sending it."""
    return data_dir / "mail"


def mail_url(data_dir: Path) -> str:
    """EMAIL_URL for that folder. It has a fourth slash, because the reader of the URL removes three."""
    return f"filemail:///{quote(str(mail_directory(data_dir)))}"


def free_port() -> int:
    """A port of this machine that is free right now, and that is given once as long as this process runs.

    It is below those that systems give to outgoing connections, so it stays free until it is used: Linux
    gives the ports from 32768 on. Other processes that choose a port see from the UDP port of the same number
    that it is taken.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_768)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket() as probe, suppress(OSError):
            claim.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            _claims.append(claim)
            return port
        claim.close()


@contextmanager
def claimed(data_dir: Path) -> Iterator[None]:
    """Refuse a second sandbox on the same data. The claim ends with the process, even if it is killed."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = open(data_dir / "run.lock", "a")
    except OSError as error:
        raise SandboxRefused(
            f"{error.filename} cannot be used ({error.strerror}). Set DATA_DIR to a folder of this user."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxRefused(
                f"A sandbox is already running on {data_dir}. Stop it, or set DATA_DIR and PORT for another."
            ) from None
        yield


def _addresses(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that are not secret, each made from those before it."""
    host = environ.get("HOST") or DEFAULT_HOST
    port = _port(environ, "PORT", DEFAULT_PORT)
    # Both processes listen on HOST, so the sandbox has the same host.
    sandbox = f"http://{_name_in_url(host)}:{_port(environ, 'SANDBOX_PORT', port + 1)}"
    public_url = environ.get("PUBLIC_URL") or f"http://{_name_in_url(host)}:{port}"
    issuer = environ.get("SSO_ISSUER") or f"{sandbox}/sso"
    # If the service listens on every address, callers use host names that are not known here.
    hosts = "*" if host in WILDCARD_HOSTS else ",".join({host: 0, "127.0.0.1": 0, "localhost": 0})
    addresses = {
        "HOST": host,
        "PORT": str(port),
        "SANDBOX_PORT": sandbox.rpartition(":")[2],
        "PUBLIC_URL": public_url,
        "ALLOWED_HOSTS": hosts,
        "CSRF_TRUSTED_ORIGINS": public_url,
        "STRIPE_API_BASE": sandbox,
        "SSO_ISSUER": issuer,
        "SSO_AUDIENCE": "misar-billing",
        "SSO_CLIENT_ID": "misar-billing-web",
    }
    if not environ.get("SSO_JWT_SECRET"):  # Tokens are verified with one of the two, never both.
        addresses["SSO_JWKS_URL"] = f"{issuer}/jwks.json"
    return addresses


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name) or str(default)
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 65536):
        raise SandboxRefused(f"{name} is {value}, which is not a port from 1 to 65535.")
    return int(value)


def _name_in_url(host: str) -> str:
    if host in WILDCARD_HOSTS:
        return DEFAULT_HOST
    return f"[{host}]" if ":" in host else host


def _fill_in(environ: MutableMapping[str, str], values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if not environ.get(name):  # Empty counts as not set.
            environ[name] = value


def _digest(url: str, *, key: str) -> str:
    return hmac.new(key.encode(), url.encode(), hashlib.sha256).hexdigest()


def _ran_on(url: str, remembered: Mapping[str, str]) -> bool:
    digest = _digest(url, key=remembered.get("SECRET_KEY", ""))
    return hmac.compare_digest(digest, remembered.get(DATABASE_URL_DIGEST, ""))


def _remembered(data_dir: Path) -> dict[str, str]:
    try:
        lines = (data_dir / "sandbox.env").read_text().splitlines()
    except FileNotFoundError:
        return {}
    except PermissionError as denied:
        raise SandboxRefused(
            f"{denied.filename} is another user's sandbox. Work as that user, or set DATA_DIR."
        ) from denied
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _remember(data_dir: Path, values: Mapping[str, str]) -> None:
    # Written to another file and renamed: a reader sees the old file or the new one, and only this user can.
    unfinished = data_dir / f"sandbox.env.{os.getpid()}"
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    unfinished.replace(data_dir / "sandbox.env")
