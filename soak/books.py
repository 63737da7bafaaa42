"""The wallets that are charged, and the comparison of what callers were told with the books."""

import json
import secrets
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from accounts import service_keys
from foundation.database import configuration
from foundation.database.patience import patient
from soak.callers import World
from soak.client import Address
from soak.plan import WALLETS
from soak.tally import Kind, Outcome, Tally, Unit
from wallet.books import ledger
from wallet.models import Entry, Hold, ReconciliationRun
from wallet.prices.rates import DEFAULT_RATES

PRODUCT = "soak"
FEATURE, _, PRICE, _ = DEFAULT_RATES[0]
OPENING_CREDITS = 1_000_000_000  # No wallet runs out.
SHOWN_MAX = 10
CHECK_SECONDS_MAX = 600


def opened(addresses: list[Address], tally: Tally) -> World:
    """Wallets with credits, and a key that may charge them."""
    run = secrets.token_hex(4)
    _, secret = service_keys.issue_service_key(product=PRODUCT)
    wallets = [f"soak_{run}_{number:03}" for number in range(WALLETS)]
    hot = f"soak_{run}_hot"
    with transaction.atomic():
        # Each adjustment names the act of a staff member, or a run.
        by = ReconciliationRun.objects.create(state=ReconciliationRun.State.FINISHED, since=timezone.now())
        for user_id in (*wallets, hot):
            ledger.credit(
                user_id=user_id,
                credits=OPENING_CREDITS,
                kind=Entry.Kind.ADJUSTMENT,
                actor=f"command:reconcile_stripe:{by.pk}",
                reason="soak",
            )
    return World(
        addresses=addresses,
        service_key=secret,
        webhook_secret=settings.STRIPE_WEBHOOK_SECRETS[0],
        feature=FEATURE,
        price=PRICE,
        run=run,
        wallets=wallets,
        hot_wallet=hot,
        tally=tally,
    )


def compare(world: World) -> list[str]:
    """Count what is lost and what is doubled, in the windows; return the first few of them as sentences.

    A wallet whose sum differs from what its callers were told is a sentence too.
    """
    with patient():
        booked = {Kind.DEDUCT: _deducts(world), Kind.CAPTURE: _captures(world), Kind.TOPUP: _topups(world)}
    sentences = [*_of_units(world.tally, booked), *_of_strays(world.tally, booked), *_of_sums(world, booked)]
    more = len(sentences) - SHOWN_MAX
    return [*sentences[:SHOWN_MAX], f"and {more} more"] if more > 0 else sentences


# Of each key: its user, and the credits of each entry.
Booked = dict[str, list[tuple[str, int]]]


def _of_units(tally: Tally, booked: dict[Kind, Booked]) -> Iterator[str]:
    for unit in tally.units:
        found = booked[unit.kind].get(unit.key, [])
        total = sum(credits for _, credits in found)
        is_there = _is_there(unit, found)
        if unit.outcome is Outcome.ACKNOWLEDGED and (not is_there or total < unit.credits):
            unit.window.lost += 1
            yield f"Lost: {unit.key} of {unit.user_id}, {unit.credits} credits, {total} in the books."
        elif total > unit.credits or (unit.outcome is Outcome.DENIED and found):
            unit.window.doubled += 1
            yield f"Doubled: {unit.key} of {unit.user_id}, {unit.credits} credits, {total} in the books."


def _is_there(unit: Unit, found: list[tuple[str, int]]) -> bool:
    # A top-up may have been taken back in full by refunds.
    return bool(found) and all(user_id == unit.user_id for user_id, _ in found)


def _of_strays(tally: Tally, booked: dict[Kind, Booked]) -> Iterator[str]:
    """Entries that no caller asked for are charged twice for some work."""
    known = {(unit.kind, unit.key) for unit in tally.units}
    for kind, entries in booked.items():
        for key in entries.keys() - {key for of, key in known if of is kind}:
            tally.windows[-1].doubled += 1
            yield f"Doubled: {key} is in the books, and no caller asked for it."


def _of_sums(world: World, booked: dict[Kind, Booked]) -> Iterator[str]:
    """The sum of what was acknowledged must be that of the books, for each wallet.

    What a caller knows nothing of counts as it is in the books.
    """
    told: Counter[str] = Counter()
    for unit in world.tally.units:
        sign = 1 if unit.kind is Kind.TOPUP else -1
        if unit.outcome is Outcome.ACKNOWLEDGED:
            told[unit.user_id] += sign * unit.credits
        elif unit.outcome is Outcome.OPEN:
            told[unit.user_id] += sign * sum(credits for _, credits in booked[unit.kind].get(unit.key, []))
    theirs = Entry.objects.filter(wallet_id__in=[*world.wallets, world.hot_wallet])
    sums = dict(theirs.values_list("wallet_id").annotate(total=Sum("credits")))
    for user_id, total in sums.items():
        if total - OPENING_CREDITS != told[user_id]:
            booked_credits = total - OPENING_CREDITS
            yield f"{user_id}: {told[user_id]:+d} credits by the answers, {booked_credits:+d} by the books."


def _deducts(world: World) -> Booked:
    return _by_key(_entries(world, "deduct").values_list("idempotency_key", "wallet_id", "credits"), sign=-1)


def _captures(world: World) -> Booked:
    keys = dict(Hold.objects.filter(product=PRODUCT).values_list("pk", "idempotency_key"))
    rows = _entries(world, "capture").values_list("hold_id", "wallet_id", "credits")
    return _by_key(((keys[hold_id], user_id, credits) for hold_id, user_id, credits in rows), sign=-1)


def _topups(world: World) -> Booked:
    kinds = ("topup", "clawback", "reinstatement")
    rows = Entry.objects.filter(kind__in=kinds, stripe_session_id__contains=world.run)
    return _by_key(rows.values_list("stripe_session_id", "wallet_id", "credits"), sign=1)


def _entries(world: World, kind: str) -> Any:
    return Entry.objects.filter(kind=kind, product=PRODUCT, wallet_id__in=[*world.wallets, world.hot_wallet])


def _by_key(rows: Any, *, sign: int) -> Booked:
    booked: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for key, user_id, credits in rows:
        booked[key].append((user_id, sign * credits))
    return booked


def broken_laws() -> list[str]:
    """What check_ledger finds, a sentence each."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check_ledger", "--json"],
        cwd=configuration.ROOT,
        capture_output=True,
        text=True,
        timeout=CHECK_SECONDS_MAX,
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return [f"check_ledger could not look: {done.stderr.strip()[-300:]}"]
    found = [f"{each['law']}, but not {each['subject']}: {each['detail']}" for each in report["violations"]]
    return found[:SHOWN_MAX]
