"""The pages of the list of entries are slices of all entries in their order, whatever days are closed."""

from datetime import timedelta
from random import Random

import pytest
from django.db import connection
from django.utils import timezone

from backoffice.credits import entry_pages
from backoffice.credits.entry_pages import EntryPaginator
from backoffice.lists import change_list
from backoffice.lists.totals import Credits
from foundation import money
from foundation.calendar import day_of, end_of, start_of
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from wallet.books import days
from wallet.models import ClosedDay, Entry, FeatureTotal

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]

PER_PAGE = 7
SUM = Credits("credits", "in total")
PRODUCTS, KINDS = ("mail", "blog", ""), ("deduct", "capture", "topup")
FEATURES = ("mail.send", "mail.rare")
INSERT = """
INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, feature, count, product,
       idempotency_key, stripe_session_id, hold_id, actor, reason, effective_at, created_at)
SELECT 'txn_' || n, 'usr_1', n, kind, CASE kind WHEN 'topup' THEN 5 ELSE -1 END, 100,
       CASE WHEN n %% 5 = 0 THEN 'mail.rare' ELSE 'mail.send' END, 1,
       product, '', CASE kind WHEN 'topup' THEN 'cs_' || n ELSE '' END,
       CASE kind WHEN 'capture' THEN 'hold_' || n END, 'sql', '', moment, moment
  FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) WITH ORDINALITY AS entry (kind, product, moment, n)
"""


def history(chance, now):
    """Up to 150 entries: of the last minutes, hours and months, some at midnight, some in a rush."""
    kinds, products, moments = [], [], []
    for _ in range(chance.randrange(150)):
        age = chance.choice(
            (
                timedelta(seconds=chance.randrange(3_000)),
                timedelta(hours=chance.randrange(80)),
                timedelta(days=chance.randrange(90), seconds=chance.randrange(86_400)),
                now - start_of(day_of(now)) + timedelta(days=chance.randrange(30)),
                timedelta(days=40, seconds=chance.randrange(5)),
            )
        )
        kinds.append(chance.choices(KINDS, (6, 1, 2))[0])
        products.append(chance.choices(PRODUCTS, (6, 1, 1))[0])
        moments.append(now - age)
    with resting_triggers(), connection.cursor() as cursor:
        cursor.execute(INSERT, [kinds, products, moments])
    return moments


def close(chance, now):
    """Close no day, some, or all that have ended; and sometimes forget one in between."""
    if chance.random() < 0.75:
        days.close_days(now=now - timedelta(days=chance.choice((0, 0, 3, 35))))
    if chance.random() < 0.3 and (closed := list(ClosedDay.objects.all())):
        chance.choice(closed).delete()
    if chance.random() < 0.1:  # As the release before leaves them.
        FeatureTotal.objects.all().delete()


def filtered(chance, now, moments):
    """A query of the list with some of its filters."""
    rows = Entry.objects.all()
    if chance.random() < 0.4:
        rows = rows.filter(product=chance.choice((*PRODUCTS, "nothing")))
    if chance.random() < 0.4:
        rows = rows.filter(feature=chance.choice((*FEATURES, "nothing")))
    if chance.random() < 0.4:
        kinds = chance.choice((["deduct"], ["deduct", "capture"], ["topup"]))
        rows = rows.filter(kind=kinds[0]) if len(kinds) == 1 else rows.filter(kind__in=kinds)
    edges = [
        *moments,
        now,
        start_of(day_of(now)),
        end_of(day_of(now)),
        start_of(day_of(now - timedelta(days=20))),
    ]
    for _ in range(chance.choice((0, 0, 1, 2))):  # Two, as from "30 days" together with a link.
        rows = rows.filter(created_at__gte=chance.choice(edges))
    if chance.random() < 0.3:
        rows = rows.filter(created_at__lt=chance.choice(edges))
    return rows


@pytest.mark.parametrize("seed", range(40))
def test_each_page_is_a_slice_of_all_entries(monkeypatch, seed):
    ceiling = 50
    monkeypatch.setattr(change_list, "CEILING", ceiling)
    monkeypatch.setattr(entry_pages, "CEILING", ceiling)
    chance = Random(seed)  # noqa: S311 (a history, and no secret)
    monkeypatch.setattr(entry_pages, "RANGES_MAX", chance.choice((1, 3, 50)))
    now = timezone.now()
    moments = history(chance, now)
    close(chance, now)
    for _ in range(10):
        sign = chance.choice(("-", ""))
        rows = filtered(chance, now, moments).order_by(f"{sign}created_at", f"{sign}pk")
        wanted = list(rows)
        pages = EntryPaginator(rows, PER_PAGE)
        assert (pages.count, pages.has_more) == (min(len(wanted), ceiling), len(wanted) > ceiling)
        if pages.known_count is not None:
            total = money.credits(sum(entry.credits for entry in wanted))
            assert (pages.known_count, pages.totals(SUM)) == (len(wanted), [f"{total} in total"])
        else:
            assert (pages.has_more, pages.totals(SUM)) == (True, ())
        shown = [entry for number in pages.page_range for entry in pages.page(number).object_list]
        assert shown == wanted[:ceiling]
        assert list(pages.all_rows[: ceiling + 1]) == wanted[: ceiling + 1]


def test_closed_days_give_the_sum_of_more_entries_than_a_list_shows(monkeypatch):
    for module in (change_list, entry_pages):
        monkeypatch.setattr(module, "CEILING", 2)
    now = timezone.now()
    moments = [now - timedelta(days=9, seconds=number) for number in range(5)]
    with resting_triggers(), connection.cursor() as cursor:
        cursor.execute(INSERT, [["topup"] * 5, ["mail"] * 5, moments])
    rows = Entry.objects.order_by("-created_at")
    before = EntryPaginator(rows, PER_PAGE)
    assert (before.known_count, before.totals(SUM)) == (None, ())
    days.close_days(now=now)
    after = EntryPaginator(rows, PER_PAGE)
    assert (after.count, after.known_count, after.totals(SUM)) == (2, 5, ["25 credits in total"])


def test_an_entry_with_a_time_ahead_of_the_clock_is_on_the_first_page():
    with resting_triggers(), connection.cursor() as cursor:
        cursor.execute(INSERT, [["deduct"], ["mail"], [timezone.now() + timedelta(days=2)]])
    assert len(list(EntryPaginator(Entry.objects.order_by("-created_at"), PER_PAGE).page(1).object_list)) == 1


def test_closed_days_are_not_counted_again():
    """A total that is wrong shows that the list believes it; check_ledger finds such totals."""
    now = timezone.now()
    with resting_triggers(), connection.cursor() as cursor:
        cursor.execute(INSERT, [["deduct"] * 3, ["mail"] * 3, [now - timedelta(days=9)] * 3])
    days.close_days(now=now)
    sql("UPDATE wallet_daytotal SET entries = 2")
    assert EntryPaginator(Entry.objects.order_by("-created_at"), PER_PAGE).count == 2
