"""What is late, was refused, or waits for staff, as queries: for the front page and for the metrics.

All use an index and read few rows, however long the history is, except `wallets_in_question`. Nothing here
writes.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from accounts.models import OutgoingMail
from backoffice.credits import funds, grants
from wallet.charges.models import HoldQuerySet, LotQuerySet
from wallet.models import Entry, Hold, Lot, RefundRequest, Seal, StripeDispute, StripeEvent, TopUp, Wallet
from wallet.payments import receipts

LATE_EVENT = timedelta(minutes=5)
LATE_PAYMENT = timedelta(hours=1)
LATE_REFUND = timedelta(minutes=1)
LATE_HOLD = timedelta(minutes=10)
LATE_MAIL = timedelta(hours=1)
LATE_SEAL = timedelta(hours=1)
LATE_PAYOUTS = timedelta(hours=50)  # Two nights, and two hours for a slow run.
MAILS_LOOKED_BACK = timedelta(days=7)
REFUNDS_LOOKED_BACK = timedelta(days=7)


def events(at: datetime) -> dict[str, Any]:
    """Return how many Stripe events are not done, by what is wrong, and when the oldest of those came in."""
    State = StripeEvent.State
    waiting, late = Q(state=State.WAITING), at - LATE_EVENT
    # Read only events in these three states. These are few rows in the index, even if millions of other
    # events were handled.
    open_states = [State.PARKED, State.WAITING, State.KEPT]
    return StripeEvent.objects.filter(state__in=open_states).aggregate(
        kept=Count("pk", filter=Q(state=State.KEPT)),
        parked=Count("pk", filter=Q(state=State.PARKED)),
        waiting=Count("pk", filter=waiting),
        failed=Count("pk", filter=waiting & Q(tries__gte=1)),
        late=Count("pk", filter=waiting & Q(received_at__lt=late)),
        untried=Count("pk", filter=waiting & Q(received_at__lt=late, tries=0)),
        oldest_waiting=Min("received_at", filter=waiting),
    )


def late_payments(at: datetime) -> QuerySet[TopUp]:
    return TopUp.objects.filter(state=TopUp.State.PENDING, created_at__lt=at - LATE_PAYMENT)


def disputes() -> dict[str, Any]:
    """Return how many disputes have no answer yet, and when the first answer is due."""
    return StripeDispute.objects.filter(status__in=StripeDispute.UNANSWERED).aggregate(
        unanswered=Count("pk"), first_due_at=Min("due_at")
    )


def unanswered_refunds(at: datetime) -> QuerySet[RefundRequest]:
    return RefundRequest.objects.filter(state=RefundRequest.State.ASKING, created_at__lt=at - LATE_REFUND)


def refused_refunds(at: datetime) -> QuerySet[RefundRequest]:
    return RefundRequest.objects.filter(
        state=RefundRequest.State.REFUSED, created_at__gte=at - REFUNDS_LOOKED_BACK
    )


def wallets_in_question() -> dict[str, Any]:
    """Return how many wallets owe, how much, and how many have more held than they have, or are frozen.

    No index has the balances, because it would slow down each charge. So this reads all wallets, and the
    caller limits its time.
    """
    owing = funds.CONDITIONS[funds.OWING]
    # The first condition is true of each wallet that owes or has more held than it has.
    in_question = Q(balance__lt=F("held") + F("granted")) | Q(frozen=True)
    return funds.with_funds(Wallet.objects.filter(in_question)).aggregate(
        owing=Count("pk", filter=owing),
        owed=Sum(funds.OWED, filter=owing, default=0),
        overheld=Count("pk", filter=funds.CONDITIONS[funds.OVERHELD]),
        frozen=Count("pk", filter=Q(frozen=True)),
    )


def late_holds(at: datetime) -> HoldQuerySet:
    return Hold.objects.overdue(at - LATE_HOLD)


def late_grants(at: datetime) -> LotQuerySet:
    return Lot.objects.ended(at - grants.LATE_AFTER)


def given_up_mails(at: datetime) -> QuerySet[OutgoingMail]:
    return OutgoingMail.objects.filter(state="failed", created_at__gte=at - MAILS_LOOKED_BACK)


def waiting_mails() -> QuerySet[OutgoingMail]:
    return OutgoingMail.objects.filter(state="waiting")


def late_mails(at: datetime) -> QuerySet[OutgoingMail]:
    return waiting_mails().filter(next_try_at__lt=at - LATE_MAIL)


def unwritten_receipts(at: datetime) -> QuerySet[TopUp]:
    return receipts.missing(at).filter(paid_at__lt=at - LATE_MAIL)


def with_seals(entries: QuerySet[Entry]) -> QuerySet[Any]:
    """Add to each entry up to which one its wallet is sealed, as `sealed_to`."""
    last_seal = Seal.objects.filter(wallet_id=OuterRef("wallet_id")).order_by("-after")
    return entries.annotate(sealed_to=Coalesce(Subquery(last_seal.values("sequence")[:1]), 0))
