"""Write lawful books of any length, quickly. `check_ledger` finds nothing wrong in them.

The rows are computed from the number of the entry, so a few statements write everything. Triggers are off
meanwhile, since they would look at each row: the laws are checked afterwards instead (laws.violations). That
needs a superuser, as the role of a private PostgreSQL is.

Entries are spread evenly over the last year, and over wallets of about 900 entries each. One wallet, HEAVY,
has a tenth of all entries. A wallet writes BLOCK entries in succession. Its first block, and each tenth
block after it, has one entry of each of these: a top-up with its payment, a grant, a charge that the grant
pays, its expiry, the capture of a hold, a charge that is given back, its refund, and a clawback of a part of
the top-up. All other entries are charges.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from django.db import connection, transaction

from bench.growth import BLOCK
from foundation.database.patience import patient
from wallet.books import days

HEAVY = "usr_heavy"
WALLETS_MIN, ENTRIES_A_WALLET = 100, 1000
TOPUP_CREDITS = 10_000  # So much that the wallets can be charged for a long time.
SORTING_MEMORY = "512MB"  # To build an index of ten million entries.

TABLES = """
SELECT string_agg(format('%I', relname), ', ') FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname LIKE 'wallet\\_%'
   AND relname NOT IN ('wallet_rate', 'wallet_ratechange')
"""
# Building an index at the end takes a fraction of the time that it takes to add to it row by row.
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
 WHERE indrelid = 'wallet_entry'::regclass
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""

# A function is as quick as its text in the query: PostgreSQL puts the text in its place.
FUNCTIONS = """
CREATE FUNCTION pg_temp.entry(n bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'txn_' || lpad(n::text, 26, '0');
CREATE FUNCTION pg_temp.moment(n bigint, entries bigint) RETURNS timestamptz LANGUAGE sql STABLE
RETURN now() - interval '1 second' * (365 * 86400 * (entries - n)::double precision / entries);
CREATE FUNCTION pg_temp.product(turn bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (ARRAY['mail', 'blog', 'reach'])[1 + turn % 3];
"""

# A turn is a block of entries of one wallet. `first` is the number of the entry before the turn, `before` is
# the number of turns that the wallet had before, and `opening` is its balance before. A varied turn leaves
# 13 credits less than its top-up, and each of the nine others takes 10.
TURNS = """
CREATE TEMPORARY TABLE turn ON COMMIT DROP AS
SELECT turn, turn * %(block)s AS first, wallet, before, before %% 10 = 0 AS varied,
       (%(topup)s - 103) * (before / 10)
       + CASE before %% 10 WHEN 0 THEN 0 ELSE %(topup)s - 3 - 10 * (before %% 10) END AS opening
  FROM generate_series(0, %(entries)s / %(block)s - 1) AS turn, LATERAL (
       SELECT turn - turn / 10 - 1 AS other) numbered, LATERAL (
       SELECT CASE WHEN turn %% 10 = 0 THEN %(heavy)s
                   ELSE 'usr_' || lpad((other %% %(wallets)s)::text, 6, '0') END AS wallet,
              CASE WHEN turn %% 10 = 0 THEN turn / 10 ELSE other / %(wallets)s END AS before) placed
"""

WALLETS = """
INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at)
SELECT DISTINCT ON (wallet) wallet, opening + CASE WHEN varied THEN %(topup)s - 13 ELSE -10 END,
       (before + 1) * %(block)s, pg_temp.moment(0, %(entries)s)
  FROM turn ORDER BY wallet, before DESC
"""

# The places in a turn are 1 to 10. `reached` is the balance after the entry, less the opening balance.
ENTRIES = """
INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, feature, count, product,
       idempotency_key, stripe_session_id, actor, reason, reverses_id, hold_id, held, effective_at,
       created_at)
SELECT pg_temp.entry(first + place), wallet, before * %(block)s + place, each.kind, each.credits,
       opening + each.reached,
       CASE WHEN each.kind IN ('deduct', 'capture', 'refund') THEN 'mail.send' ELSE '' END,
       CASE WHEN each.kind IN ('deduct', 'capture') THEN 1 END,
       CASE WHEN each.kind IN ('topup', 'clawback') THEN 'wallet' ELSE pg_temp.product(turn) END,
       CASE WHEN each.kind IN ('deduct', 'grant', 'refund') THEN 'key:' || first + place ELSE '' END,
       CASE WHEN each.kind IN ('topup', 'clawback') THEN 'cs_' || first ELSE '' END,
       CASE each.kind WHEN 'expiry' THEN 'time' WHEN 'topup' THEN 'stripe' WHEN 'clawback' THEN 'stripe'
            ELSE 'service:bench' END,
       CASE WHEN each.kind IN ('grant', 'expiry') THEN 'Welcome' ELSE '' END,
       CASE WHEN each.kind = 'refund' THEN pg_temp.entry(first + 6) END,
       CASE WHEN each.kind = 'capture' THEN 'hold_' || first END,
       0, moment, moment
  FROM turn JOIN (
       SELECT true, place, kind, credits, %(topup)s + reached
         FROM (VALUES (1, 'topup', %(topup)s, 0), (2, 'grant', 2, 2), (3, 'deduct', -1, 1),
                      (4, 'expiry', -1, 0), (5, 'capture', -1, -1), (6, 'deduct', -1, -2),
                      (7, 'refund', 1, -1), (8, 'clawback', -10, -11), (9, 'deduct', -1, -12),
                      (10, 'deduct', -1, -13)) AS varied (place, kind, credits, reached)
        UNION ALL SELECT false, place, 'deduct', -1, -place FROM generate_series(1, %(block)s) AS place
       ) AS each (varied, place, kind, credits, reached) USING (varied), LATERAL (
       SELECT pg_temp.moment(first + place, %(entries)s) AS moment) timed
 ORDER BY turn, place
"""

# What belongs to the entries of the varied turns. The lot ends with its expiry, and all its credits are gone.
BELONGINGS = (
    """
INSERT INTO wallet_topup (id, origin, user_id, product, state, amount_cents, paid_cents, stripe_session_id,
       payment_intent_id, form_key, livemode, entry_id, remark, created_at, paid_at)
SELECT 'top_' || first, 'checkout', wallet, 'wallet', 'paid', %(topup)s * 100, %(topup)s * 100,
       'cs_' || first, 'pi_' || first, '', false, pg_temp.entry(first + 1), '',
       pg_temp.moment(first + 1, %(entries)s), pg_temp.moment(first + 1, %(entries)s)
  FROM turn WHERE varied
""",
    """
INSERT INTO wallet_payment (stripe_id, state, session_id, user_id, entry_id, refunded_cents, created_at)
SELECT id, 'credited', 'cs_' || first, wallet, pg_temp.entry(first + 1), refunded,
       pg_temp.moment(first + 1, %(entries)s)
  FROM turn, LATERAL (VALUES ('cs_' || first, 0), ('pi_' || first, 1000)) AS payment (id, refunded)
 WHERE varied
""",
    """
INSERT INTO wallet_striperefund (id, payment_intent_id, charge_id, amount_cents, status, reason, created_at,
       reported_at)
SELECT 're_' || first, 'pi_' || first, 'ch_' || first, 1000, 'succeeded', '',
       pg_temp.moment(first + 8, %(entries)s), pg_temp.moment(first + 8, %(entries)s)
  FROM turn WHERE varied
""",
    """
INSERT INTO wallet_lot (id, wallet_id, entry_id, product, reason, credits, remaining, held, expired,
       created_at, expires_at)
SELECT 'grant_' || first, wallet, pg_temp.entry(first + 2), pg_temp.product(turn), 'Welcome', 2, 0, 0, 1,
       pg_temp.moment(first + 2, %(entries)s), pg_temp.moment(first + 4, %(entries)s)
  FROM turn WHERE varied
""",
    """
INSERT INTO wallet_lotmove (wallet_id, sequence, lot_id, credits, remaining_after)
SELECT wallet, before * %(block)s + place, 'grant_' || first, credits, remaining
  FROM turn, LATERAL (VALUES (2, 2, 2), (3, -1, 1), (4, -1, 0)) AS move (place, credits, remaining)
 WHERE varied
""",
    """
INSERT INTO wallet_grantedmonth (product, month, credits)
SELECT product, date_trunc('month', created_at AT TIME ZONE 'UTC')::date, sum(credits)
  FROM wallet_lot GROUP BY 1, 2
""",
    """
INSERT INTO wallet_hold (id, wallet_id, product, feature, count, credits, idempotency_key, actor,
       available_before, ttl_seconds, state, captured_count, created_at, expires_at, ended_at)
SELECT 'hold_' || first, wallet, pg_temp.product(turn), 'mail.send', 1, 1, 'key:' || first + 5,
       'service:bench', opening + %(topup)s, 900, 'captured', 1, captured - interval '1 second',
       captured + interval '899 seconds', captured
  FROM turn, LATERAL (SELECT pg_temp.moment(first + 5, %(entries)s) AS captured) timed WHERE varied
""",
    """
INSERT INTO wallet_giveback (wallet_id, entry_id, requested, refundable, lapsed, to_grants, available)
SELECT wallet, pg_temp.entry(first + 7), 1, 0, 0, 0, opening + %(topup)s - 1 FROM turn WHERE varied
""",
)


def write(entries: int, *, wallets: int = 0) -> None:
    """Replace all books by books of so many entries, a multiple of BLOCK, and close their days.

    `wallets` is how many there are besides HEAVY, for books of another kind than those that are measured.
    """
    assert entries % BLOCK == 0, f"a wallet writes {BLOCK} entries in succession"
    values: dict[str, str | int] = {
        "entries": entries,
        "block": BLOCK,
        "heavy": HEAVY,
        "topup": TOPUP_CREDITS,
        "wallets": wallets or max(WALLETS_MIN, entries // ENTRIES_A_WALLET),
    }
    with patient():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(f"SET LOCAL maintenance_work_mem = '{SORTING_MEMORY}'")
            cursor.execute(TABLES)
            cursor.execute(f"TRUNCATE {cursor.fetchone()[0]}")
            cursor.execute(FUNCTIONS)
            cursor.execute(TURNS, values)
            cursor.execute(WALLETS, values)
            with _indexes_built_afterwards():
                cursor.execute(ENTRIES, values)
            for statement in BELONGINGS:
                cursor.execute(statement, values)
            for name in ("entry(bigint)", "moment(bigint, bigint)", "product(bigint)"):
                cursor.execute(f"DROP FUNCTION pg_temp.{name}")
        days.reopen(date.min)
        days.close_days()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")


@contextmanager
def _indexes_built_afterwards() -> Iterator[None]:
    """Drop the indexes of the entries that keep no constraint, and build them again after the block."""
    with connection.cursor() as cursor:
        cursor.execute(INDEXES)
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        yield
        for _, definition in indexes:
            cursor.execute(definition)
