"""What the wallet page says about refunds, disputes and the debt that they may leave."""

from dataclasses import dataclass
from datetime import datetime

from wallet.books.models import Entry, Wallet
from wallet.payments import causes
from wallet.payments.checkout import DOLLARS_MAX
from wallet.payments.models import StripeRefund, TopUp

# How many payments the page names, and how many entries and top-ups it looks through for them.
NAMED_MAX = 3
LOOKED_THROUGH_MAX = 100


@dataclass(frozen=True)
class Lost:
    """A payment whose credits were taken back: what happened, how many credits are gone, and since when."""

    sentence: str
    credits: int
    at: datetime
    refunds: frozenset[str] = frozenset()


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


def debt_of(wallet: Wallet) -> Debt | None:
    """Return the debt of a wallet; None if its balance is not below 0."""
    if wallet.balance >= 0:
        return None
    entries = Entry.objects.of_user(wallet.pk)
    # The debt began after the last entry that left a balance of 0 or more.
    before = entries.filter(balance_after__gte=0).values_list("sequence", flat=True).first() or 0
    since = entries.filter(sequence__gt=before, kind__in=causes.KINDS)[:LOOKED_THROUGH_MAX]
    gone: dict[str, int] = {}
    last: dict[str, Entry] = {}
    for entry in since:
        session_id = entry.stripe_session_id
        gone[session_id] = gone.get(session_id, 0) - entry.credits
        if entry.kind == Entry.Kind.CLAWBACK:
            last.setdefault(session_id, entry)
    lost = [session_id for session_id in last if gone[session_id] > 0]
    named = lost[:NAMED_MAX]
    facts = causes.facts_of(named)
    payments = [
        Lost(
            facts[session_id].what_took_money(),
            gone[session_id],
            last[session_id].created_at,
            frozenset(refund.pk for refund in facts[session_id].live_refunds),
        )
        for session_id in named
    ]
    return Debt(-wallet.balance, payments, len(lost) - len(named))


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
    owners = {refund.pk: each.topup for each in facts.values() for refund in each.refunds}
    named = [each.refunds for each in debt.payments] if debt else []
    return [
        causes.refund_in_words(refund, owners[refund.pk])
        for refund in found
        if refund.pk in owners and {refund.pk} not in named
    ]
