"""What the wallet page says about refunds, disputes and the debt that they may leave."""

from dataclasses import dataclass

from wallet.books.models import Entry, Wallet
from wallet.payments import causes
from wallet.payments.causes import Reversal
from wallet.payments.checkout import DOLLARS_MAX
from wallet.payments.models import Payment, StripeRefund, TopUp

# How many payments the page names, and how many entries and top-ups it looks through for them.
NAMED_MAX = 3
LOOKED_THROUGH_MAX = 100


@dataclass(frozen=True)
class Debt:
    """What a user owes, in credits, and the payments whose credits were taken back.

    `payments` has the newest one first: its last clawback, and the credits of it that are still gone. It
    names at most NAMED_MAX payments; `unnamed_count` is how many more there are.
    """

    owed: int
    payments: list[tuple[Reversal, int]]
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
    taken: dict[str, int] = {}
    clawbacks: dict[str, Entry] = {}
    for entry in since:
        key = entry.stripe_session_id or entry.pk
        taken[key] = taken.get(key, 0) - entry.credits
        if entry.kind == Entry.Kind.CLAWBACK:
            clawbacks.setdefault(key, entry)
    gone = [(entry, taken[key]) for key, entry in clawbacks.items() if taken[key] > 0]
    reversals = causes.of_entries(entry for entry, _ in gone[:NAMED_MAX])
    payments = [(reversals[entry.pk], credits) for entry, credits in gone[:NAMED_MAX]]
    return Debt(-wallet.balance, payments, len(gone) - len(payments))


def refunds_on_their_way(user_id: str, debt: Debt | None) -> list[str]:
    """Return a sentence for each refund of a user that has not reached them yet, newest first.

    A refund that `debt` names is left out.
    """
    paid = TopUp.objects.of_user(user_id).filter(state=TopUp.State.PAID).exclude(payment_intent_id="")
    topups = {topup.stripe_session_id: topup for topup in paid[:LOOKED_THROUGH_MAX]}
    intents = {topup.payment_intent_id for topup in topups.values()}
    refunds = StripeRefund.objects.filter(payment_intent_id__in=intents, status__in=causes.ON_THEIR_WAY)
    found = list(refunds.order_by("-created_at", "pk"))
    if not found:
        return []
    named = {reversal.refund.pk for reversal, _ in (debt.payments if debt else ()) if reversal.refund}
    # Two sessions can name the same payment intent. Its refunds belong to the session of its row.
    rows = Payment.objects.filter(pk__in=[refund.payment_intent_id for refund in found])
    sessions = {row.pk: row.session_id for row in rows}
    return [
        causes.refund_in_words(refund, topup)
        for refund in found
        if refund.pk not in named and (topup := topups.get(sessions.get(refund.payment_intent_id)))
    ]
