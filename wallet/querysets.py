"""The reading language of the books. Nothing here writes."""

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Sum
from django.db.models.functions import Abs

if TYPE_CHECKING:
    from wallet.models import Entry, Rate, StripeEvent, TopUp, Wallet


class WalletQuerySet(models.QuerySet["Wallet"]):
    def locked(self, *user_ids: str) -> Self:
        """Lock these wallets, in the order of their ids so that two callers cannot wait for each other."""
        return self.select_for_update().filter(pk__in=user_ids).order_by("pk")


class EntryQuerySet(models.QuerySet["Entry"]):
    def of_user(self, user_id: str) -> Self:
        """One wallet's entries, newest first: by its own sequence, so that `balance_after` always chains."""
        return self.filter(wallet_id=user_id).order_by("-sequence")

    def between(self, first: int, last: int) -> Self:
        """Entries after the place `first`, up to and including the place `last`, by their sequence."""
        return self.filter(sequence__gt=first, sequence__lte=last)

    def with_key(self, *, user_id: str, product: str, kind: str, key: str) -> Self:
        """The entry this idempotency key made, if any."""
        return self.filter(wallet_id=user_id, product=product, kind=kind, idempotency_key=key)

    def given_back(self, entry: "Entry") -> int:
        """How many credits of a charge have been given back so far."""
        total = self.filter(wallet_id=entry.wallet_id, reverses=entry).aggregate(total=Sum("credits"))[
            "total"
        ]
        return total or 0

    def moved_by_hand(self, actor: str, *, since: datetime) -> int:
        """How many credits a member of staff adjusted and gave back since then, up and down as one sum."""
        theirs = self.filter(kind__in=["adjustment", "refund"], created_at__gte=since, actor=actor)
        return theirs.aggregate(total=Sum(Abs("credits")))["total"] or 0


class TopUpQuerySet(models.QuerySet["TopUp"]):
    def locked(self) -> Self:
        """Lock these top-ups; always before a wallet."""
        return self.select_for_update().order_by("pk")

    def of_user(self, user_id: str) -> Self:
        """One user's top-ups, newest first."""
        return self.filter(user_id=user_id).order_by("-created_at", "-pk")

    def unsettled(self) -> Self:
        """Top-ups whose Checkout Session may still be paid."""
        return self.filter(state__in=["created", "pending"])


class RateQuerySet(models.QuerySet["Rate"]):
    def active(self) -> Self:
        """What can be charged now."""
        return self.filter(active=True).order_by("feature")


class StripeEventQuerySet(models.QuerySet["StripeEvent"]):
    def of_session(self, session_id: str) -> Self:
        """What Stripe told of one Checkout Session."""
        return self.filter(stripe_session_id=session_id).order_by("pk")

    def unhandled(self) -> Self:
        """Events whose effect has not been brought about."""
        return self.filter(handled_at=None, state="waiting")
