"""The environment of the tests, set before Django reads its settings, and their database.

Loaded by `-p tests.environment` (pyproject.toml). From the developer's own environment the tests use only
DATABASE_URL, PG_BIN and DATA_DIR, which choose the PostgreSQL.
"""

import fcntl
import gc
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from foundation.database import configuration
from foundation.errors import BillingError
from sandbox import environment, private_postgres

ROOT = Path(__file__).resolve().parent.parent

SETTINGS = {
    "ENVIRONMENT": "sandbox",
    "SECRET_KEY": "for-the-tests-only-and-long-enough-for-a-deployment-too",
    "PUBLIC_URL": "http://testserver",
    "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
    "STRIPE_WEBHOOK_SECRETS": "whsec_of_the_tests",
    "SSO_AUDIENCE": "misar-billing",
    "SSO_CLIENT_ID": "misar-billing-web",
    "SSO_CLIENT_SECRET": "client-secret-of-the-tests",
}
OF_THE_DEVELOPER = (
    "ADJUSTMENT_CREDITS_MAX",
    "ALLOWED_HOSTS",
    "CHECKOUT_ORIGINS",
    "CREATOR_REQUESTS_PER_MINUTE",
    "CSRF_TRUSTED_ORIGINS",
    "DEBUG",
    "DRAIN_SECONDS",
    "EMAIL_URL",
    "HOST",
    "INTERNAL_HOST",
    "INTERNAL_PORT",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "LOG_REQUESTS",
    "MAIL_FROM",
    "PORT",
    "PRODUCT_NAMES",
    "REFUNDS_RETURN_THE_FEE",
    "RETURN_URL_HOSTS",
    "SANDBOX_URL",
    "SECRET_KEY_FALLBACKS",
    "SESSION_HOURS",
    "SIGN_INS_PER_MINUTE",
    "SIGN_IN_PAUSE_MINUTES",
    "SIGN_IN_TRIES",
    "SSO_JWT_SECRET",
    "SSO_ORIGINS",
    "STAFF_CREDITS_A_DAY",
    "STAFF_REFUND_CENTS_MAX",
    "STAFF_TOPUP_REFUND_CENTS_A_DAY",
    "TOP_UPS_PER_MINUTE",
    "TRUSTED_PROXIES",
    "WALLET_CHARGES_PER_MINUTE",
    "WALLET_READS_PER_MINUTE",
    "WEB_CONNECTIONS",
    "WEB_THREADS",
    "WEB_WORKERS",
)
# Python's own limit is 700. Each page of a test makes thousands, and hardly any are in a cycle.
NEW_OBJECTS_MAX = 10_000
# Only for tests; another DATA_DIR may also have data of `make run`.
OWN_DATA_DIR = ROOT / "var" / "tests"
held = pytest.StashKey[ExitStack]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Set the environment before pytest-django loads the settings in the same hook."""
    early_config.stash[held] = ExitStack()
    for name in OF_THE_DEVELOPER:
        os.environ.pop(name, None)
    port = environment.free_port()  # Each worker has a sandbox of its own.
    stand_in = f"http://127.0.0.1:{port}"
    live = f"127.0.0.1:{environment.free_port()}"  # The address of the fixture `live_server`.
    os.environ.update(
        SETTINGS,
        DJANGO_LIVE_TEST_SERVER_ADDRESS=live,
        SANDBOX_WEBHOOK_URL=f"http://{live}/io/wallet/webhook",
        SANDBOX_PORT=str(port),
        STRIPE_API_BASE=stand_in,
        SSO_ISSUER=f"{stand_in}/sso",
        SSO_JWKS_URL=f"{stand_in}/sso/jwks.json",
    )
    os.environ.setdefault("DATA_DIR", str(OWN_DATA_DIR))
    if not os.environ.get("DATABASE_URL") and "PYTEST_XDIST_WORKER" not in os.environ:
        early_config.stash[held].enter_context(database_name_of_our_own())
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without Python's garbage collector, and keep them out of its sight afterwards.

    There are thousands of tests, and they stay until the end. Each full collection would look at all of them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS_MAX)
        gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Take a lease on the private server, one for each worker."""
    if os.environ.get("DATABASE_URL"):
        return
    server = private_postgres.PrivateServer(configuration.data_directory(os.environ))
    try:
        config.stash[held].enter_context(server.lease(create=True))
    except BillingError as refusal:
        raise pytest.UsageError(str(refusal)) from refusal
    if server.data_dir == OWN_DATA_DIR.resolve():
        make_careless(server)


def make_careless(server: private_postgres.PrivateServer) -> None:
    """Switch off durability: tests need no data after a crash. Tests that kill a server have their own."""
    with psycopg.connect(
        host=str(server.socket_directory), user=configuration.NAME, dbname=configuration.NAME, autocommit=True
    ) as db:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            db.execute(f"ALTER SYSTEM SET {name} = off")
        db.execute("SELECT pg_reload_conf()")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Return the lease; the last one stops the server."""
    config.stash[held].close()


@contextmanager
def database_name_of_our_own() -> Iterator[None]:
    """Set a database name that no other run of the tests on this server is using."""
    data_dir = configuration.data_directory(os.environ)
    data_dir.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        with open(data_dir / f"tests-{number}.lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            os.environ["TEST_DATABASE_NAME"] = f"test_misar_billing_{number}"
            yield
            return
