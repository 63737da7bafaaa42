"""The wallets that are charged, and the check that the books have an entry for every answer."""

from collections.abc import Iterator, Mapping
from itertools import count, cycle

from django.db import connection, transaction
from django.db.models import F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.service_keys import issue_service_key
from bench import client
from bench.plan import OURS, SELECT_FOR_UPDATE, Variant
from bench.select_for_update_wallet import models as peer
from foundation.errors import BillingError
from wallet.books import laws, ledger
from wallet.models import Entry, ReconciliationRun, Wallet
from wallet.prices.rates import DEFAULT_RATES

FEATURE = DEFAULT_RATES[0][0]
OPENING_CREDITS = 1_000_000_000  # No wallet runs out.
HOT = "bench_hot"
VIOLATIONS_SHOWN_MAX = 10


# The columns and indexes of a table.
SHAPE = """
SELECT format('column %%s %%s, null %%s', column_name, data_type, is_nullable)
  FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = %(table)s
 UNION ALL
SELECT format('%%s %%s', split_part(indexdef, ' INDEX ', 1), split_part(indexdef, ' USING ', 2))
  FROM pg_indexes WHERE schemaname = current_schema() AND tablename = %(table)s
"""


class NotAlike(BillingError):
    """Raised when the tables of the two wallets no longer have the same columns and indexes."""


class Books:
    """Wallets of both kinds with the same ids and credits, and a key that may charge them."""

    def __init__(self, wallets: int) -> None:
        require_likeness()
        self.user_ids = [f"bench_{number:05}" for number in range(wallets)]
        self._open([*self.user_ids, HOT])
        _, self.secret = issue_service_key(product="bench")
        # Each charge has a new key, so none is a replay.
        self._keys = count(1)

    @transaction.atomic
    def _open(self, user_ids: list[str]) -> None:
        # Each adjustment names the act of a staff member, or a run.
        run = ReconciliationRun.objects.create(state=ReconciliationRun.State.FINISHED, since=timezone.now())
        for user_id in user_ids:
            ledger.credit(
                user_id=user_id,
                credits=OPENING_CREDITS,
                kind=Entry.Kind.ADJUSTMENT,
                actor=f"command:reconcile_stripe:{run.pk}",
                reason="bench",
            )
        opened = {"credits": OPENING_CREDITS, "balance_after": OPENING_CREDITS, "sequence": 1}
        peer.Wallet.objects.bulk_create(
            peer.Wallet(user_id=user_id, balance=OPENING_CREDITS, entries_count=1) for user_id in user_ids
        )
        peer.Entry.objects.bulk_create(
            peer.Entry(wallet_id=user_id, kind="adjustment", actor="bench", reason="bench", **opened)
            for user_id in user_ids
        )

    def charges(self, variant: Variant, *, one_wallet: bool) -> Iterator[bytes]:
        """An endless series of requests, ready to send: all for one wallet, or for all wallets in turn."""
        for user_id in cycle([HOT] if one_wallet else self.user_ids):
            body = {"user_id": user_id, "feature": FEATURE, "idempotency_key": f"bench:{next(self._keys)}"}
            yield client.post(variant.path, self.secret, body)


def require_likeness() -> None:
    """Raise NotAlike unless the tables of both wallets have the same columns and indexes."""
    for ours, theirs in ((Wallet, peer.Wallet), (Entry, peer.Entry)):
        if different := _shape(ours._meta.db_table) ^ _shape(theirs._meta.db_table):
            raise NotAlike(
                f"{theirs._meta.db_table} and {ours._meta.db_table} differ: {'; '.join(sorted(different))}. "
                "Update bench/select_for_update_wallet/models.py, or the comparison is not fair."
            )


def _shape(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(SHAPE, {"table": table})
        return {part for (part,) in cursor.fetchall()}


def troubles(allowed: Mapping[str, int]) -> list[str]:
    """Where books and answers differ, a sentence each. `allowed` counts the allowed charges by variant."""
    differences = [
        f"{broken.law}, but not {broken.subject}: {broken.detail}"
        for broken in laws.violations()[:VIOLATIONS_SHOWN_MAX]
    ]
    written = {
        OURS: Entry.objects.filter(kind="deduct").count(),
        SELECT_FOR_UPDATE: peer.Entry.objects.filter(kind="deduct").count(),
    }
    for variant, entries in written.items():
        if entries != allowed[variant.name]:
            differences.append(f"{variant.title}: {allowed[variant.name]} answers, {entries} entries")
    if wrong := _wrong_peer_balances():
        differences.append(f"{SELECT_FOR_UPDATE.title}: {wrong} balances are not the sum of their entries")
    return differences


def _wrong_peer_balances() -> int:
    of_wallet = peer.Entry.objects.filter(wallet=OuterRef("pk")).order_by().values("wallet")
    total = Subquery(of_wallet.annotate(total=Sum("credits")).values("total"))
    return peer.Wallet.objects.annotate(total=Coalesce(total, 0)).exclude(balance=F("total")).count()
