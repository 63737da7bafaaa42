"""The laws of the books, as SQL queries. Tests, the nightly check and operators use the same queries.

Constraints and triggers enforce most of these laws. A law can still be broken if only a part of a backup was
restored, if an operator dropped a trigger, or if a migration has a bug. These queries find the broken rows.

Each query returns (subject, detail) for each row that breaks its law. A query of LAWS_OF_WALLETS reads only the
wallets from the id `after` (not included) to the id `last` (included).
"""

from collections.abc import Callable, Iterable, Iterator

from django.db import connection

from accounts import laws as accounts
from wallet.books.laws import acts, days, entries, grants, holds, in_force, payments, prices
from wallet.books.laws.violations import Violation, broken

__all__ = [
    "LAWS_OF_DAYS",
    "LAWS_OF_SEVERAL_NODES",
    "LAWS_OF_THE_WHOLE",
    "LAWS_OF_WALLETS",
    "Violation",
    "broken",
    "find_violations",
    "find_violations_of",
    "found_again",
    "violations",
]

WALLETS_AT_A_TIME = 1000

LAWS_OF_WALLETS = (
    entries.LAWS_OF_WALLETS
    | holds.LAWS_OF_WALLETS
    | grants.LAWS_OF_WALLETS
    | payments.LAWS_OF_WALLETS
    | acts.LAWS_OF_WALLETS
)
LAWS_OF_THE_WHOLE = (
    accounts.LAWS
    | entries.LAWS_OF_THE_WHOLE
    | payments.LAWS_OF_THE_WHOLE
    | grants.LAWS_OF_THE_WHOLE
    | prices.LAWS_OF_THE_WHOLE
    | acts.LAWS_OF_THE_WHOLE
    | in_force.LAWS_OF_THE_WHOLE
)
LAWS_OF_DAYS = days.LAWS_OF_DAYS
# Those that compare entries with tables of the coordinator, on a cluster. All other laws are about rows of one node.
LAWS_OF_SEVERAL_NODES = (
    payments.LAWS_OF_WALLETS
    | payments.LAWS_OF_THE_WHOLE
    | acts.LAWS_OF_WALLETS
    | acts.LAWS_OF_THE_WHOLE
    | grants.LAWS_OF_THE_WHOLE
    | days.LAWS_OF_DAYS
)


def violations() -> list[Violation]:
    """Return every violation; [] if no law is broken."""
    return list(find_violations())


def find_violations(*, on_wallets: Callable[[int], None] = lambda count: None) -> Iterator[Violation]:
    """Yield every violation. The wallets are read once, in batches of 1,000.

    After each batch, `on_wallets` is called with the number of its wallets. If products may charge at the
    same time, use this function in a REPEATABLE READ transaction; otherwise the result may be wrong.
    """
    for law, query in (LAWS_OF_THE_WHOLE | LAWS_OF_DAYS).items():
        yield from broken(law, query, {})
    after = ""
    while batch := _next_wallets(after):
        yield from _of_wallets(after, batch[-1])
        after = batch[-1]
        on_wallets(len(batch))


def find_violations_of(
    wallets: Iterable[str], *, on_wallets: Callable[[int], None] = lambda count: None
) -> Iterator[Violation]:
    """Yield every violation of the laws of single wallets, for these Misar IDs; see `find_violations`.

    The database has sorted the Misar IDs. A query reads a range of at most 1,000 wallets, since one wallet
    takes it almost as long. So wallets between two of these are checked too.
    """
    for after, within in _ranges(wallets):
        yield from _of_wallets(after, within[-1])
        on_wallets(len(within))


def found_again(violations: Iterable[Violation]) -> Iterator[Violation]:
    """Yield those of these violations that are still there. All are of laws of LAWS_OF_SEVERAL_NODES.

    The nodes of a cluster have no common moment. So a transaction that commits while a law is read can be seen
    on one node and not yet on another. Such a violation is gone in the next transaction.
    """
    subjects: dict[str, set[str]] = {}
    for violation in violations:
        subjects.setdefault(violation.law, set()).add(violation.subject)
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(user_id), '') FROM wallet_wallet")
        [(last,)] = cursor.fetchall()
    for law, theirs in subjects.items():
        for violation in broken(law, LAWS_OF_SEVERAL_NODES[law], {"after": "", "last": last}):
            if violation.subject in theirs:
                yield violation


def _ranges(wallets: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield these wallets in groups that lie close together, each with the wallet before it."""
    after, near = "", set[str]()
    group: list[str] = []
    for wallet in wallets:
        if wallet not in near:
            if group:
                yield after, group
            after, group = _wallet_before(wallet), []
            near = set(_next_wallets(after))
        group.append(wallet)
    if group:
        yield after, group


def _of_wallets(after: str, last: str) -> Iterator[Violation]:
    for law, query in LAWS_OF_WALLETS.items():
        yield from broken(law, query, {"after": after, "last": last})


def _wallet_before(wallet: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(user_id) FROM wallet_wallet WHERE user_id < %s", [wallet])
        return cursor.fetchone()[0] or ""


def _next_wallets(after: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id FROM wallet_wallet WHERE user_id > %s ORDER BY user_id LIMIT %s",
            [after, WALLETS_AT_A_TIME],
        )
        return [user_id for (user_id,) in cursor.fetchall()]
