"""The database's clock gives an entry its time, and along a wallet's entries the time never falls."""

import importlib
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from accounts.models import ServiceKey
from tests.crowd import at_once
from tests.monetization.records import clock_at
from tests.wallet import by_hand
from tests.wallet.books.conftest import BLOG
from tests.wallet.clock import Clock
from tests.wallet.entries import move, sql
from tests.wallet.past import at, charged, hosts_gave_the_times, list_entries_out_of_order, wrote
from wallet.books import days, laws, ledger
from wallet.charges import deductions, give_backs, holds
from wallet.models import ClosedDay, Entry, OutOfOrderEntry, Wallet

pytestmark = pytest.mark.django_db

# How far the clock of a host may be from the database's clock.
OFF = [timedelta(seconds=-5), timedelta(seconds=5), timedelta(hours=-30), timedelta(days=40)]


def now_of_the_database() -> datetime:
    [(moment,)] = sql("SELECT clock_timestamp()")
    return moment


def stored(entry_id: str) -> datetime:
    return Entry.objects.get(pk=entry_id).created_at


# --- Verbs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", OFF, ids=str)
def test_a_host_with_a_wrong_clock_changes_nothing(give, article_rate, off):
    service = ServiceKey(product="blog", prefix="wsk_blog")
    give("usr_1", 10)
    before = now_of_the_database()
    with clock_at(datetime.now(UTC) + off):
        charge = deductions.deduct(service=service, user_id="usr_1", feature=article_rate).entry
        back = by_hand.give_back(entry=charge, reason="It failed.", key="back", actor=by_hand.STAFF)
        given = by_hand.adjust(user_id="usr_1", credits=5, reason="Sorry", key="form", actor=by_hand.STAFF)
    after = now_of_the_database()
    for entry in (charge, back, given):
        assert before < entry.created_at < after
        assert entry.created_at == stored(entry.pk)
        assert entry.effective_at == entry.created_at


def test_a_topup_happened_when_stripe_says_and_was_written_now(db):
    happened_at = at("2026-03-01 10:00:00")
    before = now_of_the_database()
    with transaction.atomic():
        entry = ledger.credit(
            user_id="usr_1",
            credits=5,
            kind=Entry.Kind.TOPUP,
            actor="stripe",
            product="blog",
            stripe_session_id="cs_1",
            effective_at=happened_at,
        )
        transaction.set_rollback(True)
    assert entry.effective_at == happened_at
    assert before < entry.created_at < now_of_the_database()


@pytest.mark.django_db(transaction=True)
def test_charges_of_two_hosts_at_once_have_times_in_their_order(give, article_rate):
    service = ServiceKey(product="blog", prefix="wsk_blog")
    give("usr_1", 100)

    def charge_some():
        for _ in range(10):
            deductions.deduct(service=service, user_id="usr_1", feature=article_rate)

    at_once([charge_some] * 6)
    times = list(Entry.objects.order_by("sequence").values_list("created_at", flat=True))
    assert len(times) == 61
    assert times == sorted(times)


# --- What the trigger does with a time that it is given ---------------------------------------------


def test_a_past_time_of_a_first_entry_stays():
    assert wrote(5, "2026-03-01 10:00:00").created_at == at("2026-03-01 10:00:00")


def test_a_time_before_the_entry_before_becomes_the_time_of_that_entry():
    wrote(50, "2026-03-02 00:00:03")
    slow = charged(3, "2026-03-01 23:59:58")
    assert slow.created_at == at("2026-03-02 00:00:03")
    assert slow.effective_at == at("2026-03-01 23:59:58")
    assert charged(3, "2026-03-02 00:00:04").created_at == at("2026-03-02 00:00:04")


def test_each_wallet_has_its_own_times():
    wrote(50, "2026-03-02 00:00:03")
    assert wrote(1, "2026-03-01 10:00:00", user_id="usr_2").created_at == at("2026-03-01 10:00:00")


@pytest.mark.parametrize("time", ["a future", "none"])
def test_a_time_in_the_future_and_no_time_mean_now(time):
    before = now_of_the_database()
    Wallet.objects.create(user_id="usr_1")
    given = before + timedelta(days=40) if time == "a future" else None
    written = stored(move("usr_1", 5, created_at=given))
    assert before < written < now_of_the_database()


def test_after_an_old_entry_of_the_future_the_time_stands_still():
    future = now_of_the_database() + timedelta(hours=2)
    with hosts_gave_the_times():
        wrote(50, future)
    assert charged(3, now_of_the_database()).created_at == future
    given = by_hand.adjust(user_id="usr_1", credits=5, reason="Sorry", key="form", actor=by_hand.STAFF)
    assert given.created_at == stored(given.pk) == future


# --- Closed days ------------------------------------------------------------------------------------


def test_a_host_whose_clock_is_ahead_does_not_close_the_day_that_runs():
    today = now_of_the_database().replace(hour=0, minute=0, second=0, microsecond=0)
    wrote(5, today - timedelta(days=3))
    with clock_at(today + timedelta(days=2)):
        closed = days.close_days(now=today + timedelta(days=2))
    assert closed[-1].day < now_of_the_database().date()
    assert not ClosedDay.objects.filter(day__gte=today.date()).exists()


def test_a_charge_of_a_slow_host_does_not_fall_into_a_closed_day(give, article_rate):
    give("usr_1", 10)
    wrote(5, now_of_the_database() - timedelta(days=5), user_id="usr_2")
    assert days.close_days()
    with clock_at(now_of_the_database() - timedelta(days=3)):
        service = ServiceKey(product="blog", prefix="wsk_blog")
        deductions.deduct(service=service, user_id="usr_1", feature=article_rate)
    assert laws.violations() == []


# --- Entries of the releases before -----------------------------------------------------------------


def old_history() -> None:
    """Two wallets in which the time fell, and one in which it did not."""
    with hosts_gave_the_times():
        for user_id, moments in {
            "usr_1": ("10:00:00", "10:00:05", "10:00:03", "10:00:04", "10:00:05", "10:00:01"),
            "usr_2": ("10:00:00", "10:00:00"),
            "usr_3": ("10:00:01", "10:00:00"),
        }.items():
            for moment in moments:
                wrote(1, f"2026-03-01 {moment}", user_id=user_id)


def test_the_migration_lists_the_old_entries_once_and_they_break_no_law():
    old_history()
    fell = [("usr_1", 3), ("usr_1", 6), ("usr_3", 2)]
    assert list(OutOfOrderEntry.objects.order_by("pk").values_list("wallet_id", "sequence")) == fell
    assert laws.violations() == []
    list_entries_out_of_order()  # Again, as after an interruption.
    assert OutOfOrderEntry.objects.count() == len(fell)


def test_the_migration_reads_the_wallets_in_batches(monkeypatch):
    migration = importlib.import_module("wallet.migrations.0009_list_entries_out_of_order")
    for size in (1, 2, 3):
        monkeypatch.setattr(migration, "WALLETS_AT_A_TIME", size)
        with transaction.atomic():
            old_history()
            assert OutOfOrderEntry.objects.count() == 3
            transaction.set_rollback(True)


@pytest.mark.breaks_the_books
def test_an_old_entry_that_is_not_listed_breaks_the_law():
    old_history()
    OutOfOrderEntry.objects.filter(sequence=6).delete()
    [violation] = laws.violations()
    assert violation.law == "Along a wallet's entries the time never falls"
    assert violation.subject == Entry.objects.get(wallet_id="usr_1", sequence=6).pk


def test_new_entries_of_an_old_wallet_never_fall():
    old_history()
    for key in ("one", "two", "three"):
        by_hand.adjust(user_id="usr_1", credits=1, reason="Sorry", key=key, actor=by_hand.STAFF)
    newest = Entry.objects.filter(wallet_id="usr_1", sequence__gte=6).order_by("sequence")
    times = list(newest.values_list("created_at", flat=True))
    assert len(times) == 4
    assert times == sorted(times)


def test_the_release_before_goes_on_writing():
    """Its INSERT names each column and gives the times of its host."""
    columns = [field.column for field in Entry._meta.concrete_fields]
    with connection.cursor() as cursor:
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'wallet_entry'")
        assert {name for (name,) in cursor.fetchall()} == set(columns)
    wrote(50, datetime.now(UTC))
    assert charged(3, datetime.now(UTC)).sequence == 2


def test_a_refund_is_of_the_time_at_which_it_looked_at_the_holds(give, article_rate):
    """The answer counts a hold that ends soon. So the entry is from before its end."""
    clock = Clock()
    give("usr_1", 20)
    facts = {"service": BLOG, "user_id": "usr_1", "feature": article_rate}
    charge = deductions.deduct(**facts, key="charge").entry
    hold = holds.authorize(**facts, count=5, ttl_seconds=90, key="hold").hold
    clock.tick(60)
    refund = give_backs.refund(service=BLOG, user_id="usr_1", charge={"pk": charge.pk}, key="undo")
    assert (refund.answer.available, refund.entry.available_after) == (15, 15)
    assert Entry.objects.get(kind="refund").created_at < hold.expires_at
