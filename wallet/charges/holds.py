"""Holds: set credits aside before work begins, then charge for what was done.

A product authorizes a hold at the current price, and captures it in whole or in part. Or it voids the hold,
or time ends it. A capture within the hold's time always succeeds, even if a clawback has emptied the wallet.
The state of a hold at one time is decided by the database's clock, read after the wallet's lock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from accounts.actors import actor_of
from accounts.models import ServiceKey
from accounts.service_keys import require_may_charge
from foundation.database.transactions import retried
from foundation.errors import BillingError, InvalidCursor, KeyReused
from foundation.http.cursors import cursor_at, row_id_of
from wallet.books import ledger
from wallet.books.funds import HOLDS_LAST_MAX, time_of
from wallet.books.ledger import Standing
from wallet.books.models import Entry
from wallet.charges import counters, debits, lapsing, lots
from wallet.charges.models import Hold, HoldQuerySet
from wallet.errors import (
    HoldCaptured,
    HoldExpired,
    HoldTooOld,
    HoldVoided,
    KeyEnded,
    MoreThanHeld,
    NotFound,
)
from wallet.prices import rates

# Also how long an extended hold may last from its beginning.
TTL_SECONDS_MAX = int(HOLDS_LAST_MAX.total_seconds())
TTL_SECONDS_DEFAULT = 900
NO_HOLD = "There is no such hold"

State = Hold.State


@dataclass(frozen=True)
class Outcome:
    """A hold after a request. `replayed` is true if an earlier request had done what this one asks for."""

    hold: Hold
    replayed: bool = False


@retried
def authorize(
    *, service: ServiceKey, user_id: str, feature: str, count: int = 1, ttl_seconds: int, key: str
) -> Outcome:
    """Set aside the price of `count` units (1 to 1,000,000) of a feature, for the product of `service`.

    The hold ends by itself after `ttl_seconds` (1 to 604,800). The same request with the same key returns
    the first hold while it covers something; `ttl_seconds` may differ. Raises ProductStopped,
    FeatureNotAllowed, InsufficientCredits, WalletFrozen, BudgetSpent, UnknownFeature, TooManyHolds, KeyReused
    or KeyEnded. After an error, nothing was set aside.
    """
    require_may_charge(service, feature)
    try:
        with debits.spending(user_id):
            credits = rates.price(feature, count)
            after, shares = debits.set_aside(user_id=user_id, credits=credits, product=service.product)
            hold = Hold.objects.create(
                wallet_id=user_id,
                product=service.product,
                feature=feature,
                count=count,
                credits=credits,
                idempotency_key=key,
                actor=actor_of(service),
                available_before=after.available + credits,
                ttl_seconds=ttl_seconds,
                created_at=after.now,
                expires_at=after.now + timedelta(seconds=ttl_seconds),
            )
            lots.name_hold(hold, shares)
    except (IntegrityError, BillingError):
        # As for a charge: if the key has a first hold, that decides instead of the error.
        first = Hold.objects.filter(wallet_id=user_id, product=service.product, idempotency_key=key).first()
        if first:
            return _replay(first, feature=feature, count=count)
        raise
    return Outcome(hold)


def _replay(first: Hold, *, feature: str, count: int) -> Outcome:
    if (first.feature, first.count) != (feature, count):
        raise KeyReused("This idempotency_key was used for another feature or count")
    hold = first.as_of(time_of(first.wallet_id))
    if hold.state in (State.VOIDED, State.EXPIRED):
        raise KeyEnded
    if hold.state == State.CAPTURED and Entry.objects.is_given_back(_charge_of(hold)):
        raise KeyEnded
    return Outcome(hold, replayed=True)


@retried
@transaction.atomic
def capture(*, service: ServiceKey, user_id: str, hold_id: str, count: int | None = None) -> Outcome:
    """Charge for `count` units of an open hold (default: all of them), and release the rest.

    The same capture again changes nothing. Raises NotFound, MoreThanHeld, HoldCaptured, HoldVoided, or
    HoldExpired.
    """
    hold, read = _locked(user_id=user_id, hold_id=hold_id, product=service.product)
    count = hold.count if count is None else count
    if count > hold.count:
        raise MoreThanHeld(f"count must be at most {hold.count}, the count of the hold")
    if hold.state == State.CAPTURED and hold.captured_count == count:
        return Outcome(hold, replayed=True)
    _require_open(hold)
    credits = count * hold.credits_per_unit
    shares = lots.shares_of_capture(hold, credits) if read.granted else []
    _end(hold, State.CAPTURED, at=read.now, captured_count=count)
    entry, after = ledger.post(
        read,
        credits=-credits,
        held=-hold.credits,
        open_holds=-1,
        granted=-lots.total(shares),
        kind=Entry.Kind.CAPTURE,
        actor=actor_of(service),
        feature=hold.feature,
        count=count,
        product=hold.product,
        hold_id=hold.pk,
    )
    lots.release(user_id, [hold.pk])
    lots.spend(entry, shares)
    counters.uncount(after, hold.product, hold.credits - credits, asked_at=hold.created_at)
    lapsing.write_off_lots(after)
    return Outcome(hold)


@retried
@transaction.atomic
def void(*, user_id: str, hold_id: str, product: str | None) -> Outcome:
    """Release all that an open hold has set aside. A hold that is voided or expired stays as it is.

    With `product` None (staff), the hold may be of any product. Raises NotFound or HoldCaptured.
    """
    hold, read = _locked(user_id=user_id, hold_id=hold_id, product=product)
    if hold.state == State.CAPTURED:
        raise HoldCaptured
    if hold.state != State.OPEN:
        # Time ended an expired hold, not an earlier request like this one.
        return Outcome(hold, replayed=hold.state == State.VOIDED)
    _end(hold, State.VOIDED, at=read.now)
    after = ledger.set_held(read, by=-hold.credits, open_holds=-1)
    lots.release(user_id, [hold.pk])
    counters.uncount(after, hold.product, hold.credits, asked_at=hold.created_at)
    lapsing.write_off_lots(after)
    return Outcome(hold)


@retried
@transaction.atomic
def extend(*, service: ServiceKey, user_id: str, hold_id: str, ttl_seconds: int) -> Outcome:
    """Let an open hold last until `ttl_seconds` from now, unless it lasts longer already.

    Raises NotFound, HoldCaptured, HoldVoided, HoldExpired, or HoldTooOld if the hold would last more than
    seven days from its beginning.
    """
    hold, read = _locked(user_id=user_id, hold_id=hold_id, product=service.product)
    _require_open(hold)
    expires_at = read.now + timedelta(seconds=ttl_seconds)
    if expires_at > hold.created_at + timedelta(seconds=TTL_SECONDS_MAX):
        raise HoldTooOld
    if expires_at > hold.expires_at:
        hold.expires_at = expires_at
        _of(hold).update(expires_at=expires_at)
    return Outcome(hold)


def _locked(*, user_id: str, hold_id: str, product: str | None) -> tuple[Hold, Standing]:
    """Lock the wallet, write off what is overdue, and return the hold and the standing. Raises NotFound."""
    read = ledger.lock(user_id)
    if read is None:
        raise NotFound(NO_HOLD)
    read = lapsing.lapse(user_id, read)
    of_product = {} if product is None else {"product": product}
    hold = Hold.objects.filter(wallet_id=user_id, pk=hold_id, **of_product).first()
    if hold is None:
        raise NotFound(NO_HOLD)
    return hold, read


def _require_open(hold: Hold) -> None:
    match hold.state:
        case State.CAPTURED:
            raise HoldCaptured
        case State.VOIDED:
            raise HoldVoided
        case State.EXPIRED:
            raise HoldExpired


def _charge_of(hold: Hold) -> Entry:
    """Return the entry of a captured hold."""
    return Entry.objects.get(wallet_id=hold.wallet_id, hold_id=hold.pk)


def _end(hold: Hold, state: Hold.State, *, at: datetime, captured_count: int | None = None) -> None:
    hold.state, hold.ended_at, hold.captured_count = state, at, captured_count
    _of(hold).update(state=state, ended_at=at, captured_count=captured_count)


def _of(hold: Hold) -> HoldQuerySet:
    """The row of a hold, found by its wallet and its id."""
    return Hold.objects.filter(wallet_id=hold.wallet_id, pk=hold.pk)


# --- Reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """Some holds, newest first, as they are now. `next_cursor` is None on the last page."""

    holds: list[Hold]
    next_cursor: str | None


def find(*, user_id: str, hold_id: str, product: str | None) -> Hold:
    """Return a hold of this user as it is now; of this product, unless that is None. Raises NotFound."""
    hold = Hold.objects.of(user_id, product).filter(pk=hold_id).first()
    if hold is None:
        raise NotFound(NO_HOLD)
    return hold.as_of(time_of(user_id))


def page(
    *, user_id: str, product: str | None, state: str = "", limit: int, cursor: str | None = None
) -> Page:
    """Return up to `limit` holds of a user, newest first: of one product, or of all with `product` None.

    `state` selects holds by their state now; an overdue hold has expired. Raises InvalidCursor.
    """
    now = time_of(user_id)
    chosen = Hold.objects.of(user_id, product)
    if cursor is not None:
        last = chosen.filter(pk=row_id_of(cursor) or "").first()
        if last is None:
            raise InvalidCursor
        chosen = chosen.before(last)
    if state:
        chosen = chosen.in_state(state, now)
    rows = list(chosen.newest_first()[: limit + 1])
    next_cursor = cursor_at(rows[limit - 1].pk) if len(rows) > limit else None
    return Page([hold.as_of(now) for hold in rows[:limit]], next_cursor)
