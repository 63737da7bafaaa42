"""Give credits of a charge back: the refund of a product, and the same by staff."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.actors import actor_of
from accounts.models import ServiceKey
from foundation.database.transactions import retried
from foundation.errors import KeyReused
from wallet.books import ledger
from wallet.books.funds import available_of
from wallet.books.models import Entry
from wallet.charges import counters, lapsing, lots
from wallet.charges.models import GiveBack, Hold
from wallet.errors import NotFound, NothingToGiveBack

CHARGES = (Entry.Kind.DEDUCT, Entry.Kind.CAPTURE)
CREDITS_MAX = 10**15


@dataclass(frozen=True)
class Refund:
    """A refund's entry and what its answer says. `replayed`: an earlier request with the same key made it."""

    entry: Entry
    answer: GiveBack
    replayed: bool


@retried
@transaction.atomic
def refund(
    *,
    service: ServiceKey,
    user_id: str,
    charge: dict[str, str],
    credits: int | None = None,
    reason: str = "",
    key: str,
) -> Refund:
    """Give back credits of a charge of this product; without `credits`, all that is left of it.

    `charge` names the charge by one of its entry's fields: `pk`, `idempotency_key` (of its deduct) or
    `hold_id`. The same request with the same key returns the first answer, whatever its reason. Raises
    NotFound, NothingToGiveBack or KeyReused.
    """
    product = service.product
    found = Entry.objects.filter(wallet_id=user_id, product=product, kind__in=CHARGES, **charge).first()
    return _give_back(
        user_id=user_id,
        product=product,
        charge=found,
        credits=credits,
        reason=reason,
        key=key,
        actor=actor_of(service),
    )


@retried
@transaction.atomic
def give_back(*, entry: Entry, credits: int | None = None, reason: str, key: str, actor: str) -> Entry:
    """Give back credits of a charge, as staff do. Return the new entry, which refers to the charge.

    Without `credits`, the rest of the charge is given back. The same request with the same key returns the
    first entry. Raises NotFound if `entry` is not a charge, NothingToGiveBack if too few credits of it are
    left, and KeyReused if the key was used for another charge or another number of credits.
    """
    return _give_back(
        user_id=entry.wallet_id,
        product=entry.product,
        charge=entry if entry.kind in CHARGES else None,
        credits=credits,
        reason=reason,
        key=key,
        actor=actor,
    ).entry


def _give_back(
    *,
    user_id: str,
    product: str,
    charge: Entry | None,
    credits: int | None,
    reason: str,
    key: str,
    actor: str,
) -> Refund:
    assert key, "giving back has a key: a second request moves nothing"
    # Lock the wallet, so that no other process can give credits of this charge back at the same time.
    read = ledger.lock(user_id)
    kind = Entry.Kind.REFUND
    if first := Entry.objects.with_key(user_id=user_id, product=product, kind=kind, key=key).first():
        return _replay(first, charge=charge, credits=credits)
    if charge is None or read is None:
        raise NotFound("There is no such charge")
    given_back = Entry.objects.given_back(charge)
    left = charge.charged - given_back
    given = left if credits is None else credits
    if not 0 < given <= left:
        raise NothingToGiveBack(left)
    # First write off what has ended: the shares below are read with the lots as they are after it.
    read = lapsing.lapse(user_id, read)
    shares = lots.shares_of_give_back(charge, given, given_back=given_back)
    entry, after = ledger.post(
        read,
        credits=given,
        granted=lots.total(shares),
        kind=kind,
        actor=actor,
        reason=reason,
        idempotency_key=key,
        feature=charge.feature,
        product=product,
        reverses=charge,
    )
    lots.give_back(entry, shares)
    counters.uncount(after, product, given, asked_at=_asked_at(charge))
    lapsed = lots.total(share for share in shares if share.lot.ends_at <= after.now)
    after = lapsing.write_off_lots(after)
    answer = GiveBack.objects.create(
        wallet_id=user_id,
        entry=entry,
        requested=credits,
        refundable=left - given,
        lapsed=lapsed,
        to_grants=lots.total(shares),
        available=after.available,
    )
    return Refund(entry, answer, replayed=False)


def _asked_at(charge: Entry) -> datetime:
    """Return when a charge was asked for: when its hold was made, or when it was written."""
    if charge.hold_id is None:
        return charge.created_at
    return Hold.objects.get(wallet_id=charge.wallet_id, pk=charge.hold_id).created_at


def _replay(first: Entry, *, charge: Entry | None, credits: int | None) -> Refund:
    answer = GiveBack.objects.filter(wallet_id=first.wallet_id, entry=first).first()
    # Older releases stored no answer. They knew only refunds by staff, with keys that no product knows.
    is_same_amount = credits == answer.requested if answer else credits in (None, first.credits)
    if charge is None or first.reverses_id != charge.pk or not is_same_amount:
        raise KeyReused("This idempotency_key gave back another charge or another number of credits")
    return Refund(first, answer or _answer_now(first, charge), replayed=True)


def _answer_now(first: Entry, charge: Entry) -> GiveBack:
    """Return what the answer to a refund would say now. It is not saved."""
    left = charge.charged - Entry.objects.given_back(charge)
    return GiveBack(entry=first, refundable=left, lapsed=0, available=available_of(first.wallet_id))
