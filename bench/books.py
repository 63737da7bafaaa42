"""The wallets that are charged, and the check that the books have an entry for every answer."""

from collections.abc import Iterator, Mapping
from itertools import count, cycle

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts import service_keys
from bench import client
from bench.limit import DIGITS, PREFIX, SAMPLE
from bench.plan import BATCH, OURS, SELECT_FOR_UPDATE, Asks, Variant
from bench.select_for_update_wallet import models as peer
from wallet.books import laws, ledger
from wallet.charges import deductions
from wallet.models import Entry, ReconciliationRun
from wallet.prices.rates import DEFAULT_RATES

FEATURE, _, PRICE, _ = DEFAULT_RATES[0]
OPENING_CREDITS = 1_000_000_000  # No wallet runs out.
HOT = f"{PREFIX}hot"
REPLAYED_MAX = 100  # So many wallets have a charge that is replayed.
POOR = [f"{PREFIX}poor_{number:03}" for number in range(100)]  # They can pay one unit, and are charged two.
VIOLATIONS_SHOWN_MAX = 10


class Books:
    """Wallets of both kinds with the same ids and credits, and a key that may charge them."""

    def __init__(self, wallets: int) -> None:
        self.user_ids = [f"{PREFIX}{number:0{DIGITS}}" for number in range(wallets)]
        key, self.secret = service_keys.issue_service_key(product="bench")
        self._open_ours({user_id: OPENING_CREDITS for user_id in (*self.user_ids, HOT, SAMPLE)})
        self._open_ours(dict.fromkeys(POOR, PRICE))
        self._open_peers([*self.user_ids, HOT])
        peer.ServiceKey.objects.using(DEFAULT_DB_ALIAS).create(
            product=key.product, prefix=key.prefix, digest=key.digest
        )
        self.replayed = self.user_ids[:REPLAYED_MAX]
        self.service = service_keys.find_service_key(self.secret)
        for user_id in self.replayed:
            deductions.deduct(
                service=self.service, user_id=user_id, feature=FEATURE, key=self._replayed_key(user_id)
            )
        # Each new charge has a new key, so none is a replay.
        self._keys = count(1)

    @transaction.atomic
    def _open_ours(self, credits: Mapping[str, int]) -> None:
        # Each adjustment names the act of a staff member, or a run.
        run = ReconciliationRun.objects.create(state=ReconciliationRun.State.FINISHED, since=timezone.now())
        for user_id, opening in credits.items():
            ledger.credit(
                user_id=user_id,
                credits=opening,
                kind=Entry.Kind.ADJUSTMENT,
                actor=f"command:reconcile_stripe:{run.pk}",
                reason="bench",
            )

    @transaction.atomic
    def _open_peers(self, user_ids: list[str]) -> None:
        opened = {"credits": OPENING_CREDITS, "balance_after": OPENING_CREDITS, "sequence": 1, "held": 0}
        peer.Rate.objects.using(DEFAULT_DB_ALIAS).create(feature=FEATURE, credits=PRICE)
        peer.Wallet.objects.using(DEFAULT_DB_ALIAS).bulk_create(
            peer.Wallet(user_id=user_id, balance=OPENING_CREDITS, entries_count=1) for user_id in user_ids
        )
        peer.Entry.objects.using(DEFAULT_DB_ALIAS).bulk_create(
            peer.Entry(wallet_id=user_id, kind="adjustment", actor="bench", reason="bench", **opened)
            for user_id in user_ids
        )

    def user_ids_of(self, *, one_wallet: bool) -> list[str]:
        """The wallets that a load charges."""
        return [HOT] if one_wallet else self.user_ids

    def requests(self, variant: Variant, *, one_wallet: bool) -> Iterator[bytes]:
        """An endless series of requests, ready to send: all for one wallet, or for all wallets in turn."""
        for body in self._bodies(variant.asks, self.user_ids_of(one_wallet=one_wallet)):
            yield client.post(variant.path, self.secret, body)

    def _bodies(self, asks: Asks, user_ids: list[str]) -> Iterator[object]:
        match asks:
            case Asks.REPLAYS:
                for user_id in cycle(self.replayed):
                    yield _charge(user_id, self._replayed_key(user_id))
            case Asks.REFUSALS:
                for user_id in cycle(POOR):
                    yield _charge(user_id, self._new_key()) | {"count": 2}
            case Asks.NEW_CHARGES:
                for user_id in cycle(user_ids):
                    yield _charge(user_id, self._new_key())
            case Asks.BATCHES:
                for user_id in cycle(user_ids):
                    yield {"items": [_charge(user_id, self._new_key()) for _ in range(BATCH)]}
            case Asks.BATCHES_OF_WALLETS:
                others = cycle(user_ids)
                while True:
                    yield {"items": [_charge(next(others), self._new_key()) for _ in range(BATCH)]}

    def _new_key(self) -> str:
        return f"bench:{next(self._keys)}"

    @staticmethod
    def _replayed_key(user_id: str) -> str:
        return f"replayed:{user_id}"

    def troubles(self, charges: Mapping[Variant, int], *, by_pgbench: int) -> list[str]:
        """Where books and answers differ, a sentence each. `charges` counts the new charges by variant."""
        differences = [
            f"{broken.law}, but not {broken.subject}: {broken.detail}"
            for broken in laws.violations()[:VIOLATIONS_SHOWN_MAX]
        ]
        ours = sum(number for variant, number in charges.items() if variant.path.startswith(OURS.path))
        theirs = charges.get(SELECT_FOR_UPDATE, 0)
        of_ours = Entry.objects.filter(kind="deduct").exclude(wallet_id=SAMPLE).count()
        of_ours -= len(self.replayed) + by_pgbench
        of_theirs = peer.Entry.objects.using(DEFAULT_DB_ALIAS).filter(kind="deduct").count()
        for variant, answers, entries in ((OURS, ours, of_ours), (SELECT_FOR_UPDATE, theirs, of_theirs)):
            if entries != answers:
                differences.append(f"{variant.title}: {answers} answers, {entries} entries")
        if wrong := _wrong_peer_balances():
            differences.append(
                f"{SELECT_FOR_UPDATE.title}: {wrong} balances are not the sum of their entries"
            )
        return differences


def _charge(user_id: str, key: str) -> dict[str, object]:
    return {"user_id": user_id, "feature": FEATURE, "idempotency_key": key}


def _wrong_peer_balances() -> int:
    of_wallet = peer.Entry.objects.filter(wallet=OuterRef("pk")).order_by().values("wallet")
    total = Subquery(of_wallet.annotate(total=Sum("credits")).values("total"))
    wallets = peer.Wallet.objects.using(DEFAULT_DB_ALIAS)
    return wallets.annotate(total=Coalesce(total, 0)).exclude(balance=F("total")).count()
