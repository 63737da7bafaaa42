"""What the wallet page says about refunds, disputes and the debt that they may leave."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from wallet.books.funds import Funds
from wallet.books.models import Entry, EntryQuerySet
from wallet.charges.models import Lot, LotMove
from wallet.payments import causes
from wallet.payments.checkout import DOLLARS_MAX
from wallet.payments.models import StripeRefund, TopUp

# How many payments the page names, and how many entries and top-ups it looks through for them.
NAMED_MAX = 3
LOOKED_THROUGH_MAX = 100


@dataclass(frozen=True)
class Lost:
    """A payment whose credits were taken back: what happened, and how many of its credits are gone.

    They were taken `times` times, the last time at `at`. `refunds` has the ids of the refunds that took
    money.
    """

    sentence: str
    credits: int
    times: int
    at: datetime
    refunds: frozenset[str]


@dataclass(frozen=True)
class Debt:
    """What a user owes, in credits, and the payments that left the debt, newest first.

    At most NAMED_MAX payments are named; `unnamed_count` is how many more there are.
    """

    owed: int
    payments: list[Lost]
    unnamed_count: int

    @property
    def needs_several_top_ups(self) -> bool:
        """Whether one top-up cannot be large enough to pay it."""
        return self.owed > DOLLARS_MAX


def debt_of(funds: Funds) -> Debt | None:
    """Return the debt of a user; None if they owe nothing."""
    if not funds.owed:
        return None
    since = _moves_of_payments_since(funds) if funds.grants else _moves_of_payments_below_zero(funds)
    gone: Counter[str] = Counter()  # Since the debt began, by Checkout Session, the newest one first.
    for entry in since:
        gone[entry.stripe_session_id] -= entry.credits
    lost = [session_id for session_id, credits in gone.items() if credits > 0]
    return Debt(funds.owed, _payments(funds.user_id, lost[:NAMED_MAX]), len(lost[NAMED_MAX:]))


def paid_before(entry: Entry) -> int:
    """Return how many paid credits the user had before an entry of a payment; negative in a debt.

    Such an entry moves paid credits only.
    """
    (found,) = _with_paid_after(Entry.objects.of_user(entry.wallet_id).filter(pk=entry.pk), entry.wallet_id)
    return found.paid_after - found.credits


def _moves_of_payments_below_zero(funds: Funds) -> list[Entry]:
    """Return how payments moved the balance since it fell below 0, newest first. There are no grants."""
    entries = Entry.objects.of_user(funds.user_id)
    # The debt began after the last entry that left a balance of 0 or more.
    before = entries.filter(balance_after__gte=0).values_list("sequence", flat=True).first() or 0
    return list(entries.filter(sequence__gt=before, kind__in=causes.KINDS)[:LOOKED_THROUGH_MAX])


def _moves_of_payments_since(funds: Funds) -> list[Entry]:
    """Return how payments moved the paid credits since they fell below 0, newest first."""
    moves = Entry.objects.of_user(funds.user_id).filter(kind__in=causes.KINDS)
    found = []
    for entry in _with_paid_after(moves, funds.user_id)[:LOOKED_THROUGH_MAX]:
        found.append(entry)
        if entry.paid_after - entry.credits >= 0:
            break
    return found


def _with_paid_after(entries: EntryQuerySet, user_id: str) -> Any:
    """Add `paid_after` to entries of this user: the balance after each, less what grants had left then."""
    place = {"wallet_id": user_id, "sequence__lte": OuterRef(OuterRef("sequence"))}
    last_move = LotMove.objects.filter(**place, lot_id=OuterRef("pk")).order_by("-sequence")[:1]
    lots = Lot.objects.filter(wallet_id=user_id)
    left = lots.annotate(left=Subquery(last_move.values("remaining_after"))).order_by().values("wallet_id")
    total = Subquery(left.annotate(total=Sum("left")).values("total"))
    granted = Coalesce(total, 0, output_field=BigIntegerField())
    return entries.annotate(paid_after=F("balance_after") - granted)


def _payments(user_id: str, session_ids: list[str]) -> list[Lost]:
    """Return what happened to these payments. Also count what was taken before the debt began."""
    facts = causes.facts_of(session_ids)
    theirs = Entry.objects.of_user(user_id).filter(stripe_session_id__in=session_ids, kind__in=causes.KINDS)
    entries = list(theirs)
    payments = []
    for session_id in session_ids:
        moves = [entry for entry in entries if entry.stripe_session_id == session_id]
        taken = [entry for entry in moves if entry.kind == Entry.Kind.CLAWBACK]
        payments.append(
            Lost(
                facts[session_id].what_took_money(),
                -sum(entry.credits for entry in moves),
                len(taken),
                taken[0].created_at,
                frozenset(refund.pk for refund in facts[session_id].reported.live_refunds),
            )
        )
    return payments


def refunds_on_their_way(user_id: str, debt: Debt | None) -> list[str]:
    """Return a sentence for each refund of a user that has not reached them yet, newest first.

    A refund that `debt` names as the only one of its payment is left out.
    """
    paid = TopUp.objects.of_user(user_id).filter(state=TopUp.State.PAID).exclude(payment_intent_id="")
    intents = set(paid.values_list("payment_intent_id", flat=True)[:LOOKED_THROUGH_MAX])
    waiting = StripeRefund.objects.filter(payment_intent_id__in=intents, status__in=causes.ON_THEIR_WAY)
    if not (found := list(waiting.order_by("-created_at", "pk"))):
        return []
    topups = paid.filter(payment_intent_id__in=[refund.payment_intent_id for refund in found])
    # Two sessions can name the same payment intent. Its refunds are facts of one of them.
    facts = causes.facts_of([topup.stripe_session_id or "" for topup in topups])
    owners = {refund.pk: each.topup for each in facts.values() for refund in each.reported.refunds}
    named = [each.refunds for each in debt.payments] if debt else []
    return [
        causes.refund_in_words(refund, owners[refund.pk])
        for refund in found
        if refund.pk in owners and {refund.pk} not in named
    ]
