"""Lots: the credits of grants, how entries moved them, and which parts of them holds have set aside."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce

from foundation.identifiers import primary_key
from wallet import identifiers
from wallet.books.models import PRODUCT_LENGTH, Entry, Wallet
from wallet.charges.models.holds import Hold, sum_of_credits


def has_ended(now: datetime | Combinable, lot: str = "") -> Q:
    """Return the condition that a lot has ended by this time; `lot` is "lot__" if another table is read."""
    return Q(**{f"{lot}expires_at__lte": now}) | Q(**{f"{lot}voided_at__lte": now})


class LotQuerySet(models.QuerySet["Lot"]):
    def of(self, user_id: str, product: str | None) -> Self:
        """Return the lots of a user: of one product, or of all with None."""
        theirs = self.filter(wallet_id=user_id)
        return theirs if product is None else theirs.filter(product=product)

    def in_spendable_order(self) -> Self:
        """Sort lots as they are spent: the soonest end first, then the older one."""
        return self.order_by("expires_at", "pk")

    def with_free_part(self) -> Self:
        """Return the lots with credits that are neither spent nor set aside."""
        # The first condition follows from the second. PostgreSQL needs it to use the partial indexes, which
        # leave out the lots that are used up.
        return self.filter(Q(remaining__gt=0), remaining__gt=F("held"))

    def ended(self, now: datetime | Combinable) -> Self:
        """Return the lots that have ended by this time and have a free part that was not written off."""
        return self.with_free_part().filter(has_ended(now))

    def in_state(self, state: str, now: datetime | Combinable) -> Self:
        """Return the lots in this state at this time of the database's clock, as `Lot.state_at` says."""
        if state == Lot.State.VOIDED:
            return self.filter(voided_at__isnull=False)
        lots = self.filter(voided_at__isnull=True)
        # Nothing is written off of a lot that goes on. The conditions are those of the partial indexes.
        match state:
            case Lot.State.USED:
                return lots.filter(remaining=0, expired=0)
            case Lot.State.EXPIRED:
                return lots.filter(Q(remaining__gt=0) | Q(expired__gt=0), expires_at__lte=now)
        return lots.filter(remaining__gt=0, expires_at__gt=now)

    def with_overdue(self, now: datetime | Combinable, *, user_id: str | None = None) -> Self:
        """Add `overdue_held`: what expired holds that are still open in the books have set aside of each.

        If all lots are of one user, `user_id` says so. Then a cluster asks only the node of this user.
        """
        wallet = user_id or OuterRef("wallet_id")
        of_wallet = {"wallet_id": wallet, "hold__wallet_id": wallet}
        parts = HoldPart.objects.filter(**of_wallet, lot_id=OuterRef("pk"))
        overdue = parts.filter(hold__state=Hold.State.OPEN, hold__expires_at__lte=now)
        credits = Subquery(sum_of_credits(overdue, by="lot_id"))
        return self.annotate(overdue_held=Cast(Coalesce(credits, 0), models.BigIntegerField()))

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-pk")

    def before(self, last: "Lot") -> Self:
        """Return the lots that come after this one in the order of `newest_first`."""
        older = Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
        return self.filter(older)


class Lot(models.Model):
    """The credits of one grant. They have an end.

    `remaining` was not spent; the part that open holds have set aside is in it. What is neither spent nor set
    aside at the end is written off by an `expiry` entry (charges/lapsing.py). Time alone decides that a lot
    has ended, so writing it down may come later.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        USED = "used", "Used"
        EXPIRED = "expired", "Expired"
        VOIDED = "voided", "Voided"

    # In the database, the primary key is (id, wallet), as that of holds.
    id = primary_key(identifiers.grant_id)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="lots", db_index=False)
    entry = models.ForeignKey(
        Entry, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    product = models.CharField(
        max_length=PRODUCT_LENGTH, blank=True, help_text="Which product granted it; empty for staff."
    )
    reason = models.CharField(max_length=200, help_text="The user sees it.")
    credits = models.BigIntegerField(help_text="What was granted.")
    remaining = models.BigIntegerField(help_text="What was not spent and not written off.")
    held = models.BigIntegerField(default=0, help_text="The part of what is left that open holds set aside.")
    expired = models.BigIntegerField(default=0, help_text="What was written off when the lot had ended.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True, blank=True, help_text="When the grant was taken back.")
    removed = models.BigIntegerField(null=True, blank=True, help_text="What taking it back wrote off.")
    held_when_voided = models.BigIntegerField(
        null=True, blank=True, help_text="What open holds had set aside when it was taken back."
    )

    # `with_overdue` reads it. Under the wallet's lock, no hold is overdue.
    overdue_held: int = 0

    objects = LotQuerySet.as_manager()

    class Meta:
        verbose_name = "grant"
        default_permissions = ("view",)
        permissions = (("grant_lot", "Can grant credits"), ("void_lot", "Can take a grant back"))
        constraints = [
            models.UniqueConstraint(fields=["wallet", "entry"], name="wallet_lot_one_per_entry"),
            models.CheckConstraint(
                condition=Q(
                    held__gte=0,
                    held__lte=F("remaining"),
                    expired__gte=0,
                    credits__gte=F("remaining") + F("expired"),
                ),
                name="wallet_lot_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(credits__gte=1, expires_at__gt=F("created_at")),
                name="wallet_lot_grants_something",
            ),
            # The conditions on NULL are needed: PostgreSQL accepts a row if a check gives NULL.
            models.CheckConstraint(
                condition=Q(voided_at__isnull=True, removed__isnull=True, held_when_voided__isnull=True)
                | Q(
                    voided_at__isnull=False,
                    voided_at__lt=F("expires_at"),
                    removed__isnull=False,
                    removed__gte=0,
                    held_when_voided__isnull=False,
                    held_when_voided__gte=0,
                ),
                name="wallet_lot_is_voided_before_its_end",
            ),
        ]
        indexes = [
            models.Index(fields=["wallet", "-created_at", "-id"], name="wallet_lot_newest"),
            models.Index(
                fields=["wallet", "expires_at", "id"], condition=Q(remaining__gt=0), name="wallet_lot_left"
            ),
            # For the command that writes off what has ended in all wallets.
            models.Index(fields=["expires_at"], condition=Q(remaining__gt=0), name="wallet_lot_ending"),
            models.Index(
                fields=["voided_at"],
                condition=Q(voided_at__isnull=False, remaining__gt=0),
                name="wallet_lot_voided",
            ),
            # For the lists of staff.
            models.Index(fields=["-created_at"], name="wallet_lot_list"),
            models.Index(fields=["product", "-created_at"], name="wallet_lot_product"),
            models.Index(
                fields=["-created_at"], condition=Q(voided_at__isnull=False), name="wallet_lot_taken_back"
            ),
            models.Index(fields=["-created_at"], condition=Q(expired__gt=0), name="wallet_lot_expired"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def free(self) -> int:
        """The credits that are neither spent nor set aside. Once the lot has ended, they are lost."""
        return self.remaining - self.held

    @property
    def ends_at(self) -> datetime:
        """When the lot ends, or ended: at its end, or earlier if it was taken back."""
        return min(self.expires_at, self.voided_at or self.expires_at)

    def state_at(self, now: datetime) -> "Lot.State":
        """Return the state at this time of the database's clock.

        A lot that was spent to the last credit stays `used` after its end, unless credits came back to it.
        """
        if self.voided_at is not None:
            return self.State.VOIDED
        if self.remaining == 0 and self.expired == 0:
            return self.State.USED
        return self.State.EXPIRED if self.expires_at <= now else self.State.ACTIVE

    def as_of(self, now: datetime) -> Self:
        """Return this lot, changed to what it is at this time of the database's clock. The row stays.

        What holds that have expired had set aside is free, if the lot was read with `with_overdue`. The free
        part of a lot that has ended is written off.
        """
        self.held -= self.overdue_held
        self.overdue_held = 0
        if self.ends_at <= now:
            self.remaining, self.expired = self.held, self.expired + self.free
        return self


class LotMove(models.Model):
    """By how much an entry changed what is left of a lot: the grant, a charge, a refund, the end."""

    pk = models.CompositePrimaryKey("wallet", "sequence", "lot")
    # The foreign key of the database is on the entry, by its wallet and sequence (migrations/0025_*.py).
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    sequence = models.BigIntegerField(help_text="The entry's number in its wallet.")
    lot = models.ForeignKey(
        Lot, on_delete=models.PROTECT, related_name="moves", db_index=False, db_constraint=False
    )
    credits = models.BigIntegerField()
    remaining_after = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=~Q(credits=0), name="wallet_lotmove_moves_something")]
        indexes = [models.Index(fields=["wallet", "lot", "sequence"], name="wallet_lotmove_lot")]

    def __str__(self) -> str:
        return f"{self.lot_id} {self.sequence}: {self.credits}"


class HoldPart(models.Model):
    """How many credits of a hold were set aside from a lot. The rest of the hold is paid credits."""

    pk = models.CompositePrimaryKey("wallet", "hold", "lot")
    # The foreign keys of the database include the wallet (migrations/0025_*.py).
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    hold = models.ForeignKey(
        Hold, on_delete=models.PROTECT, related_name="parts", db_index=False, db_constraint=False
    )
    lot = models.ForeignKey(
        Lot, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    credits = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(credits__gte=1), name="wallet_holdpart_sets_something_aside")
        ]

    def __str__(self) -> str:
        return f"{self.hold_id} {self.lot_id}: {self.credits}"
