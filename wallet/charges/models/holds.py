"""Holds: credits that are set aside for work whose price is known before it runs."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import F, Q, Sum
from django.db.models.expressions import Combinable

from foundation.identifiers import primary_key
from wallet import identifiers
from wallet.books.models import FEATURE_LENGTH, KEY_LENGTH, PRODUCT_LENGTH, Wallet


def sum_of_credits(rows: models.QuerySet[Any], *, by: str) -> models.QuerySet[Any]:
    """Return a query for the sum of `credits` of these rows, which all have the same `by`; for a subquery."""
    return rows.order_by().values(by).annotate(total=Sum("credits")).values("total")


class HoldQuerySet(models.QuerySet["Hold"]):
    def of(self, user_id: str, product: str | None) -> Self:
        """Return the holds of a user: of one product, or of all products with None."""
        theirs = self.filter(wallet_id=user_id)
        return theirs if product is None else theirs.filter(product=product)

    def in_state(self, state: str, now: datetime | Combinable) -> Self:
        """Return the holds in this state at this time of the database's clock. Overdue holds have expired."""
        if state == Hold.State.OPEN:
            return self.filter(state=state, expires_at__gt=now)
        if state == Hold.State.EXPIRED:
            return self.filter(Q(state=state) | Q(state=Hold.State.OPEN, expires_at__lte=now))
        return self.filter(state=state)

    def overdue(self, now: datetime | Combinable) -> Self:
        """Return the holds that are written down as open, although their end is not after this time."""
        return self.filter(state=Hold.State.OPEN, expires_at__lte=now)

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-pk")

    def before(self, last: "Hold") -> Self:
        """Return the holds that come after this one in the order of `newest_first`."""
        older = Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
        return self.filter(older)


class Hold(models.Model):
    """Credits that a product set aside for work whose price is known before it runs.

    A hold ends once: it is captured (in whole or in part), voided, or expired at `expires_at`. Time alone
    decides that it has expired. Lapsing writes this down, maybe later (charges/lapsing.py).
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CAPTURED = "captured", "Captured"
        VOIDED = "voided", "Voided"
        EXPIRED = "expired", "Expired"

    # In the database, the primary key is (id, wallet): staff find a hold by its id alone.
    id = primary_key(identifiers.hold_id)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="holds", db_index=False)
    product = models.CharField(max_length=PRODUCT_LENGTH)
    feature = models.CharField(max_length=FEATURE_LENGTH)
    count = models.IntegerField(help_text="Units of the feature.")
    credits = models.BigIntegerField(help_text="The price of all units, when the hold was made.")
    idempotency_key = models.CharField(max_length=KEY_LENGTH)
    actor = models.CharField(max_length=300)
    available_before = models.BigIntegerField(help_text="The credits that could be spent before this hold.")
    ttl_seconds = models.IntegerField(help_text="How long it was to last when it was made.")
    state = models.CharField(max_length=20, choices=State, default=State.OPEN)
    captured_count = models.IntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = (("void_hold", "Can void a hold"),)
        constraints = [
            models.UniqueConstraint(
                fields=["wallet", "product", "idempotency_key"], name="wallet_hold_key_once"
            ),
            models.CheckConstraint(
                condition=Q(credits__gte=1, count__gte=1, ttl_seconds__gte=1) & ~Q(idempotency_key=""),
                name="wallet_hold_sets_something_aside",
            ),
            models.CheckConstraint(
                condition=Q(available_before__gte=F("credits")), name="wallet_hold_was_covered"
            ),
            # The conditions on NULL are needed: PostgreSQL accepts a row if a check gives NULL.
            models.CheckConstraint(
                condition=Q(state="open", ended_at__isnull=True, captured_count__isnull=True)
                | Q(
                    state="expired",
                    ended_at__isnull=False,
                    ended_at=F("expires_at"),
                    captured_count__isnull=True,
                )
                | Q(
                    state="voided",
                    ended_at__isnull=False,
                    ended_at__lt=F("expires_at"),
                    captured_count__isnull=True,
                )
                | Q(
                    state="captured",
                    ended_at__isnull=False,
                    ended_at__lt=F("expires_at"),
                    captured_count__isnull=False,
                    captured_count__gte=1,
                    captured_count__lte=F("count"),
                ),
                name="wallet_hold_ends_once",
            ),
        ]
        indexes = [
            models.Index(fields=["wallet", "-created_at", "-id"], name="wallet_hold_newest"),
            models.Index(fields=["wallet", "expires_at"], condition=Q(state="open"), name="wallet_hold_open"),
            # For the command that ends overdue holds of all wallets.
            models.Index(fields=["expires_at"], condition=Q(state="open"), name="wallet_hold_overdue"),
            # For the lists of staff.
            models.Index(fields=["-created_at"], name="wallet_hold_list"),
            models.Index(fields=["product", "-created_at"], name="wallet_hold_product"),
            models.Index(fields=["idempotency_key"], name="wallet_hold_key"),
            # Nearly all holds are captured in the end, so this index leaves them out.
            models.Index(
                fields=["state", "-created_at"],
                condition=Q(state__in=["voided", "expired"]),
                name="wallet_hold_ended",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def credits_per_unit(self) -> int:
        """The price of one unit when the hold was made."""
        return self.credits // self.count

    @property
    def captured_credits(self) -> int | None:
        """The credits that the capture took; None if the hold was not captured."""
        return None if self.captured_count is None else self.captured_count * self.credits_per_unit

    @property
    def available_after(self) -> int:
        """The credits that could be spent after this hold was made."""
        return self.available_before - self.credits

    @property
    def first_expires_at(self) -> datetime:
        """When the hold was to expire when it was made. `expires_at` may be later."""
        return self.created_at + timedelta(seconds=self.ttl_seconds)

    def as_of(self, now: datetime) -> Self:
        """Return this hold, changed to what it is at this time of the database's clock. The row stays.

        An overdue hold has expired.
        """
        if self.state == self.State.OPEN and self.expires_at <= now:
            self.state, self.ended_at = self.State.EXPIRED, self.expires_at
        return self
