"""With 250,000 entries, lists, user pages, the overview and the month ends read the ledger by its indexes.

The rows are written past the ledger, in one transaction that is rolled back: what is looked at is how
PostgreSQL answers the pages, which is in its plans whatever the machine.
"""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from backoffice.month_end import files
from foundation.calendar import add_months, day_of
from foundation.database.patience import patient
from tests.backoffice.plans import LEDGER, captured, rows_read, scans_of
from tests.factories import UserFactory
from wallet.books import days, months
from wallet.models import Entry, TopUp, Wallet
from wallet.payments.payouts import money

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.breaks_the_books]

# A list counts up to 10,000 matches, and reads as many rows of a ledger of any length. This one is so long
# that to read the whole would be far more, for PostgreSQL's planner as well.
ENTRIES, WALLETS = 250_000, 2_500
HEAVY = ENTRIES // 10
# The most rows of the ledger that one query may read, also through an index: with and without closed days.
ROWS_READ_MAX = 40_000
ROWS_READ_WITH_DAYS_MAX = 10_000
QUERIES_MAX = 12
# The page of a top-up also shows what became of its payment: refunds, disputes, requests, entries and events.
QUERIES_OF_TOPUP_MAX = 16
# A user's page and the overview say more, and as often for a long history as for a short one.
QUERIES_OF_PAGES_MAX = 60
# The page of a month, its files, and the list of months. A file takes one for each of its pages besides.
QUERIES_OF_MONTHS_MAX = 40
# What a month at Stripe is added up from. The payments and payouts of these movements may be read whole, as
# long as a month is a large part of them.
AT_STRIPE = ("wallet_stripemovement",)

# One wallet has a tenth of all entries, and a hundredth of each kind. Nearly all other entries are
# charges, as in production. Later rows have later times. One product has five entries, and one feature of
# busy products three.
FILL = """
CREATE TEMP TABLE filling ON COMMIT DROP AS
SELECT n,
       CASE WHEN n %% 10 = 0 THEN 'usr_heavy' ELSE 'usr_' || n %% %(wallets)s END AS wallet_id,
       CASE WHEN n %% 100 IN (1, 10) THEN 'topup' WHEN n %% 500 = 2 OR n %% 100 = 20 THEN 'refund'
            WHEN n %% 1000 = 3 OR n %% 100 = 30 THEN 'adjustment'
            WHEN n %% 5000 = 4 OR n %% 100 = 40 THEN 'clawback' ELSE 'deduct' END AS kind
  FROM generate_series(1, %(entries)s) AS n;
INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, feature, count, product,
       idempotency_key, stripe_session_id, actor, reason, reverses_id, effective_at, created_at)
SELECT 'txn_' || n, wallet_id, row_number() OVER (PARTITION BY wallet_id ORDER BY n), kind,
       CASE WHEN kind IN ('topup', 'refund', 'adjustment') THEN 5 ELSE -1 END, 100,
       CASE WHEN n %% %(seldom)s = 19 THEN 'mail.rare' WHEN kind IN ('deduct', 'refund') THEN 'mail.send'
            ELSE '' END,
       CASE WHEN kind = 'deduct' THEN 1 END,
       CASE WHEN kind = 'topup' THEN 'wallet' WHEN kind = 'adjustment' THEN ''
            WHEN n %% %(once)s = 9 THEN 'once'
            ELSE (ARRAY['mail', 'mail', 'mail', 'blog', 'reach'])[1 + n %% 5] END,
       CASE WHEN kind = 'deduct' THEN 'key:' || n ELSE '' END,
       CASE WHEN kind IN ('topup', 'clawback') THEN 'cs_' || n ELSE '' END,
       'service:abc', '', CASE WHEN kind = 'refund' THEN 'txn_' || n + 30 END,
       now() - interval '365 days' * (%(entries)s - n) / %(entries)s,
       now() - interval '365 days' * (%(entries)s - n) / %(entries)s
  FROM filling ORDER BY n;
INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at)
SELECT wallet_id, 100, count(*), now() FROM filling GROUP BY wallet_id;
INSERT INTO accounts_user (misar_id, password, is_superuser, email, name, plan_id, is_staff, is_active,
       created_at, mails_off)
SELECT user_id, '!', false, user_id || '@example.com', '', 'free', false, true, now(), '{}'
  FROM wallet_wallet ON CONFLICT DO NOTHING;
INSERT INTO wallet_topup (id, user_id, product, state, amount_cents, paid_cents, stripe_session_id,
       payment_intent_id, entry_id, remark, created_at, paid_at)
SELECT 'top_' || n, wallet_id, 'wallet', 'paid', 500, 500, 'cs_' || n, 'pi_' || n, 'txn_' || n, '',
       now() - interval '365 days' * (%(entries)s - n) / %(entries)s, now()
  FROM filling WHERE kind = 'topup';
INSERT INTO wallet_hold (id, wallet_id, product, feature, count, credits, idempotency_key, actor,
       available_before, ttl_seconds, state, captured_count, created_at, expires_at, ended_at)
SELECT 'hold_' || n, CASE WHEN n %% 100 = 5 THEN 'usr_heavy' ELSE wallet_id END,
       (ARRAY['mail', 'mail', 'mail', 'blog', 'reach'])[1 + n / 10 %% 5], 'mail.send', 1, 1, 'job:' || n,
       'service:abc', 1, 900, CASE WHEN n %% 5000 = 15 THEN 'open' ELSE 'captured' END,
       CASE WHEN n %% 5000 <> 15 THEN 1 END, began, began + interval '900 s',
       CASE WHEN n %% 5000 <> 15 THEN began END
  FROM filling,
       LATERAL (SELECT now() - interval '365 days' * (%(entries)s - n) / %(entries)s AS began) AS times
 WHERE n %% 10 = 5;
INSERT INTO wallet_lot (id, wallet_id, entry_id, product, reason, credits, remaining, held, expired,
       created_at, expires_at)
SELECT 'grant_' || n, CASE WHEN n %% 100 = 7 THEN 'usr_heavy' ELSE wallet_id END, 'txn_' || n,
       (ARRAY['', 'mail', 'mail', 'blog', 'reach'])[1 + n / 10 %% 5], 'Welcome', 5,
       CASE WHEN n %% 5000 IN (17, 27) THEN 5 ELSE 0 END, 0, 0, began,
       CASE WHEN n %% 5000 = 27 THEN now() + interval '1 day' ELSE began + interval '1 hour' END
  FROM filling,
       LATERAL (SELECT now() - interval '365 days' * (%(entries)s - n) / %(entries)s AS began) AS times
 WHERE n %% 10 = 7;
INSERT INTO wallet_lotmove (lot_id, wallet_id, sequence, credits, remaining_after)
SELECT 'grant_' || substr(id, 5), wallet_id, sequence, -1, 0 FROM wallet_entry WHERE id ~ '^txn_[0-9]*7$';
INSERT INTO wallet_payment (stripe_id, state, session_id, user_id, entry_id, refunded_cents, created_at)
SELECT 'pi_' || n, 'credited', 'cs_' || n, wallet_id, 'txn_' || n, 0, now() FROM filling WHERE kind = 'topup';
INSERT INTO wallet_stripemovement (id, created_at, category, currency, amount, fee, source_id,
       payment_intent_id)
SELECT 'txn_m' || n, now() - interval '365 days' * (%(entries)s - n) / %(entries)s, 'charge', 'usd', 500,
       45, 'ch_' || n, 'pi_' || n
  FROM filling WHERE kind = 'topup';
INSERT INTO wallet_payoutitem (movement_id, payout_id)
SELECT id, 'po_' || created_at::date FROM wallet_stripemovement;
INSERT INTO wallet_stripepayout (id, created_at, arrives_at, amount, currency, status, is_automatic,
       itemized_at)
SELECT payout_id, min(moved.created_at), now(), 455 * count(*), 'usd', 'paid', true, now()
  FROM wallet_payoutitem JOIN wallet_stripemovement moved ON moved.id = movement_id GROUP BY 1;
INSERT INTO wallet_payoutreading (since, until) VALUES (now() - interval '365 days', now());
INSERT INTO wallet_stripeevent (id, type, state, payload, stripe_session_id, user_id, remark, traceback,
       tries, received_at)
SELECT 'evt_' || n, 'checkout.session.completed',
       CASE WHEN n %% 1000 IN (1, 10) THEN 'parked' ELSE 'handled' END,
       '{}', 'cs_' || n, wallet_id, '', '', 0, now() - interval '365 days' * (%(entries)s - n) / %(entries)s
  FROM filling WHERE kind = 'topup';
INSERT INTO monetization_tip (id, creator_id, gross_cents, fee_cents, net_cents, fee_bps, plan, currency,
       refunded_cents, fee_returned_cents, email, reader, name, message, stripe_payment_id, created_at)
SELECT 'tip_' || n, wallet_id, 500, 25, 475, 500, 'free', 'USD', 0, 0, 'r' || n || '@example.com',
       'r' || n || '@example.com', '', '', 'pi_' || n, now() - interval '365 days' * n / %(entries)s
  FROM filling WHERE n %% 100 IN (1, 10);
INSERT INTO accounts_act (staff_id, verb, label, model, row_id, about, told, reason, form_key, content,
       created_at)
SELECT (SELECT misar_id FROM accounts_user WHERE is_staff LIMIT 1), 'adjust', 'Adjust', 'wallet.wallet',
       wallet_id, wallet_id, '', '', '', '', now() - interval '365 days' * n / %(entries)s
  FROM filling WHERE n %% 100 IN (1, 10);
"""
# Indexes are built after the rows are written, which is several times faster.
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
 WHERE indrelid = 'wallet_entry'::regclass AND NOT indisprimary
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


def fill():
    connection.check_constraints()  # Check the deferred constraints of earlier rows now.
    with patient(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(INDEXES)
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute(
            FILL, {"entries": ENTRIES, "wallets": WALLETS, "once": ENTRIES // 5, "seldom": ENTRIES // 3}
        )
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute("ANALYZE")


# --- The addresses of every list --------------------------------------------------------------------------

TERMS = (
    "usr_heavy",
    "usr_7",
    "usr_unknown",
    "txn_77",
    "hold_75",
    "grant_77",
    "job:75",
    "key:77",
    "cs_101",
    "pi_101",
    "evt_101",
    "tip_101",
    "nothing",
)
ADDRESSES = ("usr_7@example.com", "R101@example.com", "unknown@example.com")
VALUES = {
    "kind": ("topup", "deduct", "adjustment", "grant"),
    "product": ("mail", "wallet", "nothing"),
    "wallet__user_id": ("usr_heavy", "usr_7", "usr_unknown"),
    "stripe_session_id": ("cs_101", "nothing"),
    "created_at": ("2026-01-01T00:00:00+00:00", "1999-01-01", "2999-01-01"),
}
# As the overview and the user page ask them together.
TOGETHER = (
    "kind__exact=topup&created_at__gte={since}&created_at__lt={now}",
    "kind__exact=deduct&product__exact=blog&created_at__gte={since}&created_at__lt={now}",
    "kind__exact=adjustment&product__exact=mail&when=30d",
    "wallet__user_id__exact=usr_heavy&kind__exact=topup",
    "wallet__user_id__exact=usr_7&product__exact=mail&when=7d",
    "product__exact=nothing&kind__exact=deduct",
    "kind__exact=grant&when=today",
)


def asked_of(model, client):
    """Addresses of a list: plain, with each filter, search, order and page, and without matches."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    of_model: Any = admin.site.get_model_admin(model)
    shown = client.get(url).context["cl"]
    yield url
    for spec in shown.filter_specs:
        yield from (url + choice["query_string"] for choice in spec.choices(shown))
    for lookup in of_model.lookups:
        values = VALUES.get(lookup.rpartition("__")[0], ("usr_heavy", "nothing"))
        yield from (f"{url}?{lookup}={value.replace('+', '%2B')}" for value in values)
    for place, name in enumerate(of_model.list_display):
        if name in of_model.sortable_by:
            yield from (f"{url}?o={place}", f"{url}?o=-{place}", f"{url}?o=-{place}&p=2")
    yield from (f"{url}?p=2", f"{url}?p=99999", f"{url}?when=today&p=2")
    if of_model.search_fields:
        yield from (f"{url}?q={term}" for term in TERMS)
    if model is Entry:
        yield f"{url}?q=usr_heavy&p=200"
        yield from (f"{url}?{each}".format(since="2026-01-01", now="2026-12-01") for each in TOGETHER)


def pages_of_rows():
    yield reverse("admin:wallet_wallet_change", args=[quote("usr_heavy")])
    for entry in (
        "txn_10",
        "txn_1",
        "txn_2",
        "txn_5",
    ):  # A charge, a top-up, a refund and what it gives back.
        yield reverse("admin:wallet_entry_change", args=[quote(entry)])
    for hold in ("hold_5", "hold_15"):  # A captured one, and an overdue one.
        yield reverse("admin:wallet_hold_change", args=[quote(hold)])
    for grant in ("grant_7", "grant_17", "grant_27"):  # A used one, an ended one and an active one.
        yield reverse("admin:wallet_lot_change", args=[quote(grant)])
    yield reverse("admin:wallet_topup_change", args=[quote("top_1")])
    yield reverse("admin:wallet_stripeevent_change", args=[quote("evt_1")])


def looked_at(get, address, most, *tables):
    """What is wrong with one page: it reads the whole ledger, or runs too many queries."""
    with captured() as queries:
        answer = get(address)
        assert answer.status_code in (200, 302, 303), address
    wrong = [
        f"{address} reads the whole of {table}: {query[:1500]}"
        for table, query in scans_of(queries, LEDGER, "wallet_hold", "wallet_lot", "wallet_lotmove", *tables)
    ]
    if len(queries) > most:
        wrong.append(f"{address} asks {len(queries)} times")
    return wrong


def asked_by(get, address):
    """The queries of a page."""
    with captured() as queries:
        assert get(address).status_code == 200
    return queries


def reading_too_much(get):
    """Pages that read too many rows. A page about the heavy wallet may read that wallet's rows."""
    entries, user = (
        reverse("admin:wallet_entry_changelist"),
        lambda key: reverse("admin:one_user", args=[quote(key)]),
    )
    pages = dict.fromkeys(
        (
            entries,
            f"{entries}?product__exact=nothing",
            f"{entries}?kind__exact=adjustment&product__exact=mail",
            f"{entries}?kind__exact=grant&when=today",
            f"{entries}?q=cs_101",
            f"{entries}?q=key:77",
            f"{entries}?q=nothing",
            f"{entries}?kind__exact=deduct&created_at__gte=2026-01-01&p=200",
            reverse("admin:wallet_wallet_changelist"),
            reverse("admin:wallet_wallet_change", args=[quote("usr_7")]),
            reverse("admin:wallet_entry_change", args=[quote("txn_10")]),
            reverse("admin:wallet_entry_csv") + "?kind__exact=deduct",
            user("usr_7"),
            user("usr_unknown"),
        ),
        ROWS_READ_MAX,
    )
    heavy = (user("usr_heavy"), f"{entries}?q=usr_heavy", f"{entries}?q=usr_heavy&p=200")
    for address, most in (pages | dict.fromkeys(heavy, HEAVY)).items():
        for query, rows in rows_read(asked_by(get, address)):
            if rows > most:
                yield f"{address} reads {rows} rows of the ledger: {query[:1500]}"


def lists_with_closed_days():
    """Lists of entries that closed days cut into stretches, of dense and of rare products and features."""
    entries = reverse("admin:wallet_entry_changelist")
    filters = (
        *("", "kind__exact=deduct&product__exact=reach", "product__exact=mail", "product__exact=once"),
        # As the rows of a month's revenue lead to them.
        *(
            f"kind__in=deduct,capture,refund&product__exact={product}&feature__exact=mail.send"
            for product in ("mail", "once")
        ),
        "feature__exact=mail.rare",
        "kind__in=deduct,capture,refund&product__exact=mail&feature__exact=mail.rare",
    )
    return [
        f"{entries}?{each}&{place}"
        for each in filters
        for place in ("p=1", "p=100", "p=200", "o=0", "o=0&p=200")
    ]


def month_ends():
    """The list of months, and the pages and files of an open month and two others, each with its limit."""
    yield reverse("admin:month_ends"), QUERIES_OF_MONTHS_MAX
    this_month = day_of(timezone.now()).replace(day=1)
    for month in (this_month, add_months(this_month, -1), add_months(this_month, -6)):
        for name in ("month_end", "month_end_summary", "month_end_stripe"):
            yield reverse(f"admin:{name}", args=[month]), QUERIES_OF_MONTHS_MAX
    entries = reverse("admin:month_end_entries", args=[add_months(this_month, -1)])
    # Each page of a file is at least half full, or the last one of its stretch of time.
    pages = 31 * ENTRIES // 365 // (files.PAGE_SIZE // 2)
    yield entries, QUERIES_OF_MONTHS_MAX + 2 * pages


def to_the_end(client):
    """A page, or a file that is read to its end."""

    def get(address):
        answer = client.get(address)
        assert answer.getvalue()
        return answer

    return get


def reading_months(get):
    """What is wrong with the pages and the files of the end of a month, once days and months are closed."""
    for address, most in month_ends():
        yield from looked_at(get, address, most, *AT_STRIPE)
        for query, rows in rows_read(asked_by(get, address)):
            if rows > ROWS_READ_WITH_DAYS_MAX:
                yield f"{address} reads {rows} rows of the ledger: {query[:1500]}"


def counts_of_lists(client):
    """The number of queries of each list."""
    counts = {}
    of_models: Any = admin.site._registry
    for model in of_models:
        with captured() as queries:
            page = client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        # An empty list queries neither its rows nor their totals.
        sums = of_models[model].sums is not None
        counts[model._meta.label] = len(queries) + (1 + sums) * (page.context["cl"].result_count == 0)
    return counts


def test_no_page_reads_the_ledger_from_end_to_end(staff, give):
    give("usr_small", 10)
    UserFactory.create(misar_id="usr_small")
    counts_of_lists(staff)
    few = counts_of_lists(staff)
    user_page = reverse("admin:one_user", args=["usr_5Fsmall"])
    staff.get(user_page)
    with captured() as of_a_small_user:
        assert staff.get(user_page).status_code == 200
    fill()
    assert Entry.objects.count() > ENTRIES
    with patient():  # This test checks plans only; the bench measures times.
        # A list of too many rows has no totals.
        assert {label for label, number in counts_of_lists(staff).items() if number > few[label]} == set()
        # First check that the test notices such reads.
        assert len(scans_of(["SELECT 1 FROM wallet_entry WHERE reason = 'x'", "SELECT 1"])) == 1
        ((_, whole),) = rows_read(
            ["SELECT count(*) FROM (SELECT id FROM wallet_entry ORDER BY id) AS sorted"]
        )
        assert whole > ENTRIES
        heavy = Entry.objects.filter(wallet_id="usr_heavy").values("kind").annotate(n=Count("pk"))
        assert {row["kind"]: row["n"] for row in heavy} == {
            **dict.fromkeys(("topup", "refund", "adjustment", "clawback"), HEAVY // 10),
            "deduct": HEAVY * 6 // 10,
        }
        wrong = list(reading_too_much(staff.get))
        for model in admin.site._registry:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            for address in dict.fromkeys(asked_of(model, staff)):
                wrong += looked_at(staff.get, address, QUERIES_MAX)
            if admin.site._registry[model].search_fields:
                for term in ADDRESSES:
                    post = lambda url: staff.post(url, {"sought": term})  # noqa: B023, E731 (called at once)
                    wrong += looked_at(post, reverse(f"{name}_changelist"), QUERIES_MAX)
                    answer = staff.post(reverse(f"{name}_changelist"), {"sought": term})
                    wrong += looked_at(staff.get, answer.headers["Location"], QUERIES_MAX)
            wrong += looked_at(staff.get, reverse(f"{name}_csv"), QUERIES_MAX)
        for model, query in (
            (Entry, "kind__exact=topup"),
            (Entry, "q=usr_heavy"),
            (TopUp, "q=usr_7"),
            (Wallet, ""),
        ):
            wrong += looked_at(
                staff.get, f"{reverse(f'admin:wallet_{model._meta.model_name}_csv')}?{query}", QUERIES_MAX
            )
        for address in pages_of_rows():
            most = QUERIES_OF_TOPUP_MAX if "/wallet/topup/" in address else QUERIES_MAX
            wrong += looked_at(staff.get, address, most)
        for user in ("usr_heavy", "usr_7", "usr_unknown"):
            wrong += looked_at(staff.get, reverse("admin:one_user", args=[quote(user)]), QUERIES_OF_PAGES_MAX)
        overview = reverse("admin:index")
        periods = set(re.findall(r'href="(\?[^"]+)"', staff.get(overview).text))
        for address in (overview, *(overview + unescape(period) for period in sorted(periods))):
            wrong += looked_at(staff.get, address, QUERIES_OF_PAGES_MAX)
        # Once finished days are added up, the overview reads what the others hold, and a list reads the days
        # of its page.
        days.close_days(now=timezone.now())
        wrong += [
            f"{address} reads {rows} rows of the ledger: {query[:1500]}"
            for address in (overview, *lists_with_closed_days())
            for query, rows in rows_read(asked_by(staff.get, address))
            if rows > ROWS_READ_WITH_DAYS_MAX
        ]
        assert len(months.close_months()) >= 11
        assert len(money.close()) >= 11
        wrong += reading_months(to_the_end(staff))
    assert wrong == [], "\n".join(each[:600] for each in wrong)
    assert len(of_a_small_user) <= QUERIES_OF_PAGES_MAX
