"""The books that `bench.growth` writes without triggers are as lawful as those of the service."""

import json
import os
import subprocess
import sys

import pytest
from django.db import connection
from django.db.models import Count, Sum

from accounts.service_keys import issue_service_key
from bench.growth import books
from bench.growth.commands import COMMANDS
from tests.environment import ROOT
from wallet.books import laws
from wallet.charges import deductions
from wallet.history import statements
from wallet.models import Entry, Wallet
from wallet.seals import sealing

pytestmark = pytest.mark.django_db(transaction=True)
ENTRIES = 10_000
INDEXES = "SELECT indexdef FROM pg_indexes WHERE tablename = 'wallet_entry' ORDER BY indexname"


@pytest.fixture
def written():
    books.write(ENTRIES)


def test_the_books_have_every_kind_of_entry_and_break_no_law(written):
    kinds = dict(Entry.objects.order_by().values_list("kind").annotate(Count("pk")))
    assert sum(kinds.values()) == ENTRIES
    assert set(kinds) == set(Entry.Kind) - {"adjustment", "reinstatement"}
    assert kinds["deduct"] > 0.9 * ENTRIES
    heavy = Wallet.objects.get(pk=books.HEAVY)
    assert heavy.entries_count == ENTRIES / 10
    assert Wallet.objects.count() == 101
    assert laws.violations() == []


@pytest.mark.breaks_the_books
def test_the_laws_look_at_what_was_written(written):
    """A single changed row is found: the books are not lawful because the laws have nothing to look at."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE wallet_striperefund SET amount_cents = 1100 WHERE payment_intent_id = 'pi_0'")
        cursor.execute("SET session_replication_role = origin")
    assert [broken.subject for broken in laws.violations()] == [f"{books.HEAVY} cs_0"]


def test_the_service_goes_on_with_them(written, article_rate):
    before = Wallet.objects.get(pk=books.HEAVY)
    service, _ = issue_service_key(product="blog")
    charge = deductions.deduct(service=service, user_id=books.HEAVY, feature=article_rate, key="new")
    assert charge.entry.sequence == before.entries_count + 1
    assert charge.entry.balance_after == before.balance - 1
    assert len(list(statements.history(user_id=books.HEAVY))) == before.entries_count + 1
    assert sealing.seal().entries == ENTRIES + 1


def test_they_are_replaced_and_the_indexes_stay_as_they_were():
    with connection.cursor() as cursor:
        cursor.execute(INDEXES)
        indexes = cursor.fetchall()
        books.write(ENTRIES)
        books.write(books.BLOCK)
        cursor.execute(INDEXES)
        assert cursor.fetchall() == indexes
    assert Entry.objects.aggregate(total=Sum("credits"))["total"] == books.TOPUP_CREDITS - 13


@pytest.mark.slow
def test_a_small_run_measures_requests_and_commands_at_each_length(tmp_path):
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.growth",
            "--entries",
            "1000,2000",
            "--reads=1",
            "--seconds=0.2",
            "--json",
        ],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["entries"] == [1000, 2000]
    assert all(request["ratio"] > 0 for request in report["requests"].values())
    assert set(report["commands"]) == set(COMMANDS)
    for runs in report["commands"].values():
        assert all(each["seconds"] > 0 and each["peak"] > 0 for each in runs)
