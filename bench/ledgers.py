"""How much longer back-office pages take with a long ledger: read with a short one, then with a long one."""

import http.client
from collections.abc import Callable
from datetime import date

from django.db import connection, transaction

from accounts.models import User
from accounts.signing_in import second_factor, sessions
from bench.histories import Timing, session_of, timed
from foundation.database.patience import patient
from wallet.books import days

SHORT_ENTRIES, LONG_ENTRIES = 10_000, 1_000_000
WALLETS = 1_000
# The wallet of this user has a tenth of all entries.
HEAVY = "usr_heavy"

PAGES = {
    "the list of entries": "/admin/wallet/entry/",
    "its last page": "/admin/wallet/entry/?p=200",
    "entries of one kind and product": "/admin/wallet/entry/?kind__exact=refund&product__exact=mail",
    "a search by Misar ID": f"/admin/wallet/entry/?q={HEAVY}",
    "a search by idempotency key": "/admin/wallet/entry/?q=key:77",
    "one user, a tenth of all entries": "/admin/user/usr_5Fheavy/",
    "the overview, days added up": "/admin/",
}


class Page(Timing):
    """A page, timed with the short ledger and later with the long one."""

    @property
    def ratio(self) -> float:
        """The ratio of the two medians: there are no pairs, since the ledger grew between the reads."""
        return self.long_ms / self.short_ms


def read(
    address: tuple[str, int],
    times: int,
    *,
    long: int = LONG_ENTRIES,
    on_read: Callable[[], None] = lambda: None,
) -> list[Page]:
    """Read each page with a short ledger, add entries up to `long`, and read each page again."""
    staff = User.objects.create_superuser("bench")
    second_factor.set_up(staff, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    cookie = session_of(staff, also=lambda session: sessions.note_passed(session, staff))
    pages = [Page(title, path) for title, path in PAGES.items()]
    caller = http.client.HTTPConnection(*address, timeout=30)
    written = 0
    for name, entries in (("short", min(SHORT_ENTRIES, long)), ("long", long)):
        with patient():
            grow(written, entries)
        written = entries
        for number in range(times + 1):
            for page in pages:
                milliseconds = timed(caller, page.path, cookie)
                if number:  # The first round warms caches and connections.
                    page.milliseconds[name].append(milliseconds)
            on_read()
    caller.close()
    return pages


@transaction.atomic
def _written(first: int, last: int) -> None:
    with connection.cursor() as cursor:
        # Without the triggers, which would take minutes here and are not measured.
        cursor.execute("ALTER TABLE wallet_entry DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE wallet_wallet DISABLE TRIGGER USER")
        for statement in (OPENED, ENTRIES, COUNTED):
            cursor.execute(statement, {"first": first, "last": last, "wallets": WALLETS, "heavy": HEAVY})
        # Check the foreign keys now; otherwise they are checked at the end of the transaction.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE wallet_entry ENABLE TRIGGER USER")
        cursor.execute("ALTER TABLE wallet_wallet ENABLE TRIGGER USER")


def grow(first: int, last: int) -> None:
    """Add the entries after number `first` up to `last`, spread over the last year, and close the days."""
    _written(first, last)
    days.reopen(date.min)
    days.close_days()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


OPENED = """
INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at)
SELECT 'usr_' || n, 0, 0, now() FROM generate_series(0, %(wallets)s - 1) AS n
 UNION ALL SELECT %(heavy)s, 0, 0, now()
    ON CONFLICT DO NOTHING
"""
# Nearly all entries are charges, as in production; a refund gives back the charge before it, of its wallet.
ENTRIES = """
INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, feature, count, product,
       idempotency_key, stripe_session_id, actor, reason, reverses_id, effective_at, created_at)
SELECT 'txn_' || n, wallet_id, entries_count + row_number() OVER (PARTITION BY wallet_id ORDER BY n), kind,
       CASE kind WHEN 'deduct' THEN -1 WHEN 'topup' THEN 100 ELSE 1 END, 1000,
       CASE WHEN kind <> 'topup' THEN 'mail.send' ELSE '' END, CASE WHEN kind = 'deduct' THEN 1 END,
       CASE WHEN kind = 'topup' THEN 'wallet' ELSE (ARRAY['mail', 'blog', 'reach'])[1 + n %% 3] END,
       CASE WHEN kind = 'deduct' THEN 'key:' || n ELSE '' END,
       CASE WHEN kind = 'topup' THEN 'cs_' || n ELSE '' END,
       'service:bench', '', CASE WHEN kind = 'refund' THEN 'txn_' || n - 1 END, moment, moment
  FROM (SELECT n, CASE WHEN n %% 10 = 0 THEN %(heavy)s
                    WHEN n %% 500 = 3 THEN 'usr_' || (n - 1) %% %(wallets)s
                    ELSE 'usr_' || n %% %(wallets)s END AS wallet_id,
               CASE WHEN n %% 100 = 1 THEN 'topup' WHEN n %% 500 = 3 THEN 'refund' ELSE 'deduct' END AS kind,
               now() - interval '365 days' * (%(last)s - n) / (%(last)s - %(first)s) AS moment
          FROM generate_series(%(first)s + 1, %(last)s) AS n) AS line
  JOIN wallet_wallet ON wallet_wallet.user_id = line.wallet_id
 ORDER BY n
"""
COUNTED = """
UPDATE wallet_wallet SET entries_count = found.entries, balance = 1000
  FROM (SELECT wallet_id, count(*) AS entries FROM wallet_entry GROUP BY wallet_id) AS found
 WHERE user_id = found.wallet_id
"""
