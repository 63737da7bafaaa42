"""Backups are restored as docs/database.md says: a dump on another server, and a moment of the past."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
from django.conf import settings

from foundation.database.configuration import NAME
from tests.conftest import Sandbox
from tests.deployment import Deployment, eventually
from tests.limits import PATIENCE
from tests.replication import (
    ADMINISTRATOR,
    OPERATOR,
    OWNER,
    RUNTIME,
    Server,
    make_database,
    manage,
)

pytestmark = pytest.mark.slow

BOUGHT = 25


@dataclass
class History:
    """What is left of a server that was lost, and what had been acknowledged before."""

    books: object
    stripe: Sandbox
    dump: Path
    copied: Server
    archive: Path
    moment: str
    first_answer: dict
    seals: Path
    newer_seals: Path


@contextmanager
def serving(server, books, folder):
    """The service on a server, as the runtime role."""
    deployment = Deployment(folder, times=PATIENCE)
    deployment.service_key = books.service_key
    deployment.environment |= {"DATABASE_URL": server.url(RUNTIME), "WEB_WORKERS": "1"}
    with deployment.serving():
        yield deployment


def pay(deployment, stripe):
    """Buy credits for usr_1; Stripe sends its webhook."""
    body = {"user_id": "usr_1", "amountDollars": BOUGHT, "product": "blog", "returnUrl": "/wallet"}
    url = deployment.post("/io/wallet/topup-session", body).json()["url"]
    stripe.control(f"sessions/{urlsplit(url).path.rpartition('/')[2]}/pay")
    authority = {"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"}
    listed = requests.get(f"{stripe.address}/v1/events", headers=authority, timeout=120).json()["data"]
    paid = next(event for event in listed if event["type"] == "checkout.session.completed")
    assert deployment.deliver(paid)


@pytest.fixture(scope="module")
def history(books, sandbox, tmp_path_factory):
    """A server that archives its log was used, dumped and copied, used again, and lost."""
    folder = tmp_path_factory.mktemp("backups")
    place = books.place
    seals, newer_seals = folder / "seals.jsonl", folder / "newer-seals.jsonl"
    archive, dump = place.folder / "archive", place.folder / "books.dump"
    place.run("/bin/mkdir", str(archive))
    lost, copied = books.server("lost"), books.server("copied")
    lost.copy_of(books.template)
    keep = f"test ! -f '{archive}/%f' && cp '%p' '{archive}/%f'"
    lost.start(archive_mode="on", archive_command=keep)
    try:
        with serving(lost, books, folder) as deployment:
            pay(deployment, sandbox)
            first_answer = deployment.deduct("first")[0].json()
            manage(lost.url(OPERATOR), "seal_ledger", "--to", str(seals))
            dump_books(lost, dump)
            copied.back_up(lost)
            deployment.deduct("before")
            moment = lost.value("SELECT now()::text")
            deployment.deduct("after")
            pay(deployment, sandbox)
            assert deployment.balance() == 2 * BOUGHT - 3
            manage(lost.url(OPERATOR), "seal_ledger", "--to", str(newer_seals))
        last = lost.value("SELECT pg_walfile_name(pg_switch_wal())")
        eventually(lambda: lost.value("SELECT last_archived_wal >= %s FROM pg_stat_archiver", last))
    finally:
        lost.end()
    yield History(books, sandbox, dump, copied, archive, moment, first_answer, seals, newer_seals)
    copied.end()


def dump_books(server, path):
    target = ("--host=127.0.0.1", f"--port={server.port}", f"--username={OWNER}", f"--dbname={NAME}")
    server.place.run("pg_dump", *target, "--format=custom", f"--file={path}")


def examine(server, *, seals):
    """The laws hold, and the books have everything that was sealed before the backup."""
    checks = [["check_ledger"], ["check_ledger", "--seals", "--file", str(seals)]]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda command: manage(server.url(OPERATOR), *command), checks))


def charges_in(server):
    rows = server.rows("SELECT idempotency_key FROM wallet_entry WHERE kind = 'deduct' ORDER BY created_at")
    return [key for (key,) in rows]


def test_a_dump_is_restored_on_another_server(history, tmp_path):
    server = history.books.server("other")
    server.initialise()
    server.start()
    try:
        make_database(server)
        with psycopg.connect(server.url(ADMINISTRATOR), autocommit=True) as database:
            for role in ("runtime", "operator", "auditor"):
                database.execute(f"CREATE ROLE misar_{role} LOGIN")
                database.execute(f"GRANT misar_{role} TO {OWNER} WITH ADMIN OPTION")
        target = ("--host=127.0.0.1", f"--port={server.port}", f"--username={OWNER}", f"--dbname={NAME}")
        server.place.run("pg_restore", *target, "--exit-on-error", str(history.dump))
        manage(server.url(OWNER), "database_roles")
        assert charges_in(server) == ["first"]
        examine(server, seals=history.seals)
        with serving(server, history.books, tmp_path) as deployment:
            assert deployment.deduct("first")[0].json() == history.first_answer
            assert deployment.deduct("another")[0].json()["allowed"] is True
            assert deployment.balance() == BOUGHT - 2
    finally:
        server.end()


def test_the_books_of_a_moment_are_restored(history, tmp_path):
    server = history.copied
    server.place.run("/bin/touch", str(server.data / "recovery.signal"))
    server.start(
        restore_command=f"cp '{history.archive}/%f' '%p'",
        recovery_target_time=history.moment,
        recovery_target_action="promote",
    )
    eventually(lambda: not server.value("SELECT pg_is_in_recovery()"))
    assert charges_in(server) == ["first", "before"]
    examine(server, seals=history.seals)
    newer = ["check_ledger", "--seals", "--file", str(history.newer_seals)]
    compared = manage(server.url(OPERATOR), *newer, code=1)
    assert "Missing from the books" in compared
    assert "usr_1" in compared
    with serving(server, history.books, tmp_path) as deployment:
        # A product that repeats what was lost is charged once, and Stripe has the payment that was lost.
        for _ in range(2):
            assert deployment.deduct("after")[0].json()["balanceAfter"] == BOUGHT - 3
        found = manage(server.url(OPERATOR), "reconcile_stripe", "--since", "2d", "--apply")
        assert "credited" in found
        assert deployment.balance() == 2 * BOUGHT - 3
