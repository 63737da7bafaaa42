"""Grant credits with an end, take a grant back, and read the grants of a user."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from accounts.actors import actor_of
from accounts.models import ServiceKey
from foundation.database.transactions import retried
from foundation.errors import InvalidCursor, KeyReused
from foundation.http.cursors import cursor_at, row_id_of
from wallet.books import ledger
from wallet.books.funds import time_of
from wallet.books.models import Entry
from wallet.charges import counters, lapsing, lots
from wallet.charges.models import Budget, Lot
from wallet.errors import GrantEndOutOfRange, GrantVoided, NotFound, TooManyGrants
from wallet.grants import caps as product_caps
from wallet.grants.caps import Caps

CREDITS_MAX = 1_000_000  # Of one grant.
LASTS_MIN = timedelta(minutes=1)
LASTS_YEARS_MAX = 5
# How many grants with credits left a wallet may have, and a product in it.
GRANTS_MAX = 100
GRANTS_OF_PRODUCT_MAX = 20
REASON_LENGTH = 200
NO_GRANT = "There is no such grant"


@dataclass(frozen=True)
class Granted:
    """A grant as it was when it was made. `replayed`: an earlier request with the same key made it.

    The lot of a replay is not that of the row: all its credits are left.
    """

    lot: Lot
    replayed: bool = False


@dataclass(frozen=True)
class Voided:
    """A grant that was taken back, or had ended before. `replayed`: an earlier request took it back.

    `removed` is how many credits this took out of the wallet, and `held` how many open holds kept.
    """

    lot: Lot
    state: Lot.State
    removed: int
    held: int
    replayed: bool = False


def grant_of_product(
    *, service: ServiceKey, user_id: str, credits: int, expires_at: datetime, reason: str, key: str
) -> Granted:
    """Grant credits for the product of `service`, within the caps of this key. See `grant`."""
    return grant(
        user_id=user_id,
        credits=credits,
        expires_at=expires_at,
        reason=reason,
        key=key,
        product=service.product,
        actor=actor_of(service),
        caps=Caps(grant=service.grant_max or 0, month=service.grant_month_max or 0),
    )


@retried
@transaction.atomic
def grant(
    *,
    user_id: str,
    credits: int,
    expires_at: datetime,
    reason: str,
    key: str,
    product: str = "",
    actor: str,
    caps: Caps | None = None,
) -> Granted:
    """Grant credits (1 to 1,000,000) that end at `expires_at`, one minute to five years ahead.

    The same request with the same key returns the first grant, whatever its reason, and whatever has become
    of it since. Staff grant without a product and without caps. Raises GrantEndOutOfRange, OverCap,
    TooManyGrants, KeyReused, or GrantVoided. After an error, nothing was granted.
    """
    assert key, "a grant has a key: a second request grants nothing"
    assert (caps is None) == (product == ""), "a product grants within caps; the limits of staff are others"
    ledger.open_wallet(user_id)
    read = ledger.lock(user_id)
    assert read is not None, "the wallet was opened"
    kind = Entry.Kind.GRANT
    if first := Entry.objects.with_key(user_id=user_id, product=product, kind=kind, key=key).first():
        return _replay(first, credits=credits, expires_at=expires_at, actor=actor)
    if not read.now + LASTS_MIN <= expires_at <= years_after(read.now, LASTS_YEARS_MAX):
        raise GrantEndOutOfRange
    read = lapsing.lapse(user_id, read)
    left = Lot.objects.filter(wallet_id=user_id, remaining__gt=0)
    of_product = left.filter(product=product).count() if product else 0
    if of_product >= GRANTS_OF_PRODUCT_MAX or left.count() >= GRANTS_MAX:
        raise TooManyGrants
    entry, _ = ledger.post(
        read,
        credits=credits,
        granted=credits,
        kind=kind,
        actor=actor,
        product=product,
        reason=reason,
        idempotency_key=key,
    )
    lot = Lot.objects.create(
        wallet_id=user_id,
        entry=entry,
        product=product,
        reason=reason,
        credits=credits,
        remaining=credits,
        created_at=read.now,
        expires_at=expires_at,
    )
    lots.begin(entry, lot)
    if caps is not None:
        month = counters.first_day(Budget.Period.MONTH, read.now)
        product_caps.count(product, caps, credits, month=month)
    return Granted(lot)


def _replay(first: Entry, *, credits: int, expires_at: datetime, actor: str) -> Granted:
    lot = Lot.objects.get(wallet_id=first.wallet_id, entry=first)
    # Staff share the product "", so a key belongs to one staff member.
    is_of_another = lot.product == "" and first.actor != actor
    if (lot.credits, lot.expires_at) != (credits, expires_at) or is_of_another:
        raise KeyReused("This idempotency_key was used for another grant")
    if lot.voided_at is not None:
        raise GrantVoided
    # The first answer said that all of it was left.
    lot.remaining, lot.held, lot.expired = lot.credits, 0, 0
    return Granted(lot, replayed=True)


@retried
@transaction.atomic
def void(*, user_id: str, grant_id: str, product: str | None) -> Voided:
    """Take a grant back: it ends now, and its free part is taken out of the wallet.

    What was spent stays spent, and what open holds have set aside stays set aside. A grant that has expired
    stays as it is. With `product` None (staff), the grant may be of any product. Raises NotFound.
    """
    read = ledger.lock(user_id)
    row = Lot.objects.of(user_id, product).filter(pk=grant_id)
    lot = row.first()
    if read is None or lot is None:
        raise NotFound(NO_GRANT)
    if lot.voided_at is not None:
        return Voided(lot, Lot.State.VOIDED, lot.removed or 0, lot.held_when_voided or 0, replayed=True)
    read = lapsing.lapse(user_id, read)
    lot = row.get()
    if lot.expires_at <= read.now:
        return Voided(lot, lot.state_at(read.now), removed=0, held=lot.held)
    lot.voided_at, lot.removed, lot.held_when_voided = read.now, lot.free, lot.held
    row.update(voided_at=lot.voided_at, removed=lot.removed, held_when_voided=lot.held_when_voided)
    lapsing.write_off_lots(read)
    return Voided(lot, Lot.State.VOIDED, lot.removed, lot.held_when_voided)


def years_after(moment: datetime, years: int) -> datetime:
    """Return the same time so many years later; from 29 February, 1 March if there is no such day."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)


# --- Reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """Some grants, newest first, as they are at `now`. `next_cursor` is None on the last page."""

    lots: list[Lot]
    now: datetime
    next_cursor: str | None


def page(
    *, user_id: str, product: str | None, state: str = "", limit: int, cursor: str | None = None
) -> Page:
    """Return up to `limit` grants of a user, newest first: of one product, or of all with `product` None.

    `state` selects grants by their state now. Raises InvalidCursor.
    """
    now = time_of(user_id)
    chosen = Lot.objects.of(user_id, product)
    if cursor is not None:
        last = chosen.filter(pk=row_id_of(cursor) or "").first()
        if last is None:
            raise InvalidCursor
        chosen = chosen.before(last)
    if state:
        chosen = chosen.in_state(state, now)
    rows = list(chosen.with_overdue(now, user_id=user_id).newest_first()[: limit + 1])
    next_cursor = cursor_at(rows[limit - 1].pk) if len(rows) > limit else None
    return Page([lot.as_of(now) for lot in rows[:limit]], now, next_cursor)
