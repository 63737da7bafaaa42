"""What wallets have: how much of it is held, granted and available, for lists and for the forms of staff.

A hold that has expired holds nothing, and the free part of a grant that has ended is gone, whether that was
written down already or not.
"""

from django.db.models import BigIntegerField, Case, F, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Now

from backoffice.actions.staff_action import Facts
from foundation import money
from wallet.books import funds
from wallet.charges.models import has_ended
from wallet.models import Hold, HoldPart, Lot, Wallet

# In the URL of the list of wallets, and their conditions. `with_funds` adds what is held and available. The
# conditions on the row itself come first, so that the holds and grants of few wallets are read.
HELD, OVERHELD, GRANTED, OWING = "held", "overheld", "granted", "owing"
CONDITIONS = {
    HELD: Q(held__gt=0, held_now__gt=0),
    # Of users who owe nothing. The second condition follows from the third: what ended grants lost is part
    # of what the row counts as granted.
    OVERHELD: Q(balance__gte=F("granted"), balance__lt=F("held") + F("granted"), available__lt=0),
    GRANTED: Q(granted__gt=0, granted_now__gt=0),
    # Granted credits never pay a debt, so paid credits are missing. The row says this alone: writing off a
    # grant that has ended changes both columns by the same credits.
    OWING: Q(balance__lt=F("granted")),
}
OWED = F("granted") - F("balance")  # By a wallet that owes.


def with_funds(wallets: QuerySet[Wallet]) -> QuerySet[Wallet]:
    """Add to each wallet what it has now, in credits: its balance, what is held, granted and available."""
    holds = Hold.objects.overdue(Now()).filter(wallet_id=OuterRef("pk"))
    held_now = F("held") - _sum(holds, "credits")
    lost = Case(When(granted__gt=0, then=_lost()), default=0, output_field=BigIntegerField())
    return wallets.annotate(held_now=held_now, lost=lost).annotate(
        balance_now=F("balance") - F("lost"),
        granted_now=F("granted") - F("lost"),
        available=F("balance") - F("lost") - F("held_now"),
    )


def facts_of_wallet(wallet: Wallet) -> Facts:
    """Return what a wallet has, and how much of it can be spent."""
    now = funds.funds_of(wallet.pk)
    return [
        ("Available", money.credits(now.available)),
        ("Held", money.credits(now.held) if now.held else ""),
        ("Balance", money.credits(now.balance)),
        ("Paid", money.credits(now.paid) if now.granted else ""),
        ("Granted", money.credits(now.granted) if now.granted else ""),
        ("Frozen", "Yes" if now.frozen else ""),
        ("Entries", money.plain(wallet.entries_count)),
    ]


def _lost() -> Combinable:
    """What a wallet's row still counts of grants that have ended: their free parts.

    What an overdue hold has set aside of such a grant is free, too.
    """
    lots = Lot.objects.filter(has_ended(Now()), wallet_id=OuterRef("pk"), remaining__gt=0)
    of_wallet = {name: OuterRef("pk") for name in ("wallet_id", "hold__wallet_id", "lot__wallet_id")}
    overdue = HoldPart.objects.filter(
        has_ended(Now(), "lot__"), **of_wallet, hold__state=Hold.State.OPEN, hold__expires_at__lte=Now()
    )
    return _sum(lots, F("remaining") - F("held")) + _sum(overdue, "credits")


def _sum(rows: QuerySet, amount: object) -> Coalesce:
    totals = rows.order_by().values("wallet_id").annotate(total=Sum(amount)).values("total")
    return Coalesce(Subquery(totals), 0, output_field=BigIntegerField())
