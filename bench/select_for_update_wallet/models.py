"""The same wallet and entry as ours, column by column and index by index, without triggers.

It has the constraints that most projects write: a balance is never negative, a key is used once.
"""

from typing import ClassVar

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils import timezone

from accounts.misar_ids import MISAR_ID_LENGTH
from foundation.identifiers import IDENTIFIER_LENGTH
from wallet import identifiers
from wallet.books.models import FEATURE_LENGTH, KEY_LENGTH, PRODUCT_LENGTH, STRIPE_ID_LENGTH


class Wallet(models.Model):
    """One user's credits."""

    user_id = models.CharField(primary_key=True, max_length=MISAR_ID_LENGTH)
    balance = models.BigIntegerField(default=0)
    entries_count = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    open_holds = models.SmallIntegerField(default=0)
    granted = models.BigIntegerField(default=0)
    watch = models.BigIntegerField(default=0)
    budgets = models.SmallIntegerField(default=0)
    frozen = models.BooleanField(default=False)
    revision = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    # For the type checker, which runs with the service's settings.
    objects: ClassVar[models.Manager["Wallet"]] = models.Manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(balance__gte=0), name="for_update_wallet_never_negative"),
        ]
        indexes = [
            models.Index(OpClass(Upper("user_id"), "text_pattern_ops"), name="for_update_wallet_user_begins")
        ]

    def __str__(self) -> str:
        return self.user_id


class Entry(models.Model):
    """One movement of credits."""

    id = models.CharField(primary_key=True, max_length=IDENTIFIER_LENGTH, default=identifiers.transaction_id)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="entries", db_index=False)
    sequence = models.BigIntegerField()
    kind = models.CharField(max_length=20)
    credits = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    feature = models.CharField(max_length=FEATURE_LENGTH, blank=True)
    count = models.IntegerField(null=True, blank=True)
    product = models.CharField(max_length=PRODUCT_LENGTH, blank=True)
    idempotency_key = models.CharField(max_length=KEY_LENGTH, blank=True)
    stripe_session_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    actor = models.CharField(max_length=300)
    reason = models.TextField(blank=True)
    reverses = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reversals",
        db_index=False,
        db_constraint=False,
    )
    hold_id = models.CharField(max_length=IDENTIFIER_LENGTH, null=True, blank=True)  # noqa: DJ001 (as ours)
    held = models.BigIntegerField(null=True)
    effective_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[models.Manager["Entry"]] = models.Manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(count__isnull=True) | Q(count__gte=1), name="for_update_entry_counts_units"
            ),
            models.UniqueConstraint(fields=["wallet", "sequence"], name="for_update_entry_one_per_place"),
            models.UniqueConstraint(
                fields=["wallet", "product", "kind", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="for_update_entry_key_once",
            ),
            models.UniqueConstraint(
                fields=["wallet", "stripe_session_id"],
                condition=Q(kind="topup"),
                name="for_update_entry_checkout_once",
            ),
            models.UniqueConstraint(
                fields=["wallet", "hold_id"],
                condition=Q(hold_id__isnull=False),
                name="for_update_entry_one_per_hold",
            ),
        ]
        indexes = [
            models.Index(F("created_at").desc(), name="for_update_entry_newest"),
            models.Index(fields=["product", "-created_at"], name="for_update_entry_product"),
            models.Index(
                fields=["kind", "-created_at"], condition=~Q(kind="deduct"), name="for_update_entry_kind"
            ),
            models.Index(
                fields=["reverses"], condition=Q(reverses__isnull=False), name="for_update_entry_reverses"
            ),
            models.Index(
                fields=["stripe_session_id"],
                condition=~Q(stripe_session_id=""),
                name="for_update_entry_session",
            ),
            models.Index(
                fields=["idempotency_key"], condition=~Q(idempotency_key=""), name="for_update_entry_key"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def available_after(self) -> int:
        return self.balance_after

    @property
    def available_before(self) -> int:
        return self.balance_after - self.credits

    @property
    def charged(self) -> int:
        return -self.credits
