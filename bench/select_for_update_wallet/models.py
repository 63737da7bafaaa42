"""The same wallet and entry as ours, column by column and index by index, without triggers.

It has the constraints that most projects write: a balance is never negative, a key is used once. apps.py
creates the tables of wallets and entries.
"""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.misar_ids import MISAR_ID_LENGTH
from foundation.identifiers import IDENTIFIER_LENGTH
from wallet import identifiers
from wallet.books.models import FEATURE_LENGTH, KEY_LENGTH, PRODUCT_LENGTH, STRIPE_ID_LENGTH


class ServiceKey(models.Model):
    """A product's key. Only the digest of its secret is stored."""

    product = models.CharField(max_length=PRODUCT_LENGTH)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True)

    # For the type checker, which runs with the service's settings. The same below.
    objects: ClassVar[models.Manager["ServiceKey"]] = models.Manager()
    DoesNotExist: ClassVar[type[Exception]]

    def __str__(self) -> str:
        return self.prefix


class Rate(models.Model):
    """The price of one unit of a feature, in credits."""

    feature = models.CharField(max_length=FEATURE_LENGTH, unique=True)
    credits = models.IntegerField()
    active = models.BooleanField(default=True)

    objects: ClassVar[models.Manager["Rate"]] = models.Manager()

    def __str__(self) -> str:
        return self.feature


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

    objects: ClassVar[models.Manager["Wallet"]] = models.Manager()

    class Meta:
        managed = False

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
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversals", db_index=False
    )
    hold_id = models.CharField(max_length=IDENTIFIER_LENGTH, null=True, blank=True)  # noqa: DJ001 (as ours)
    held = models.BigIntegerField(null=True)
    effective_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[models.Manager["Entry"]] = models.Manager()

    class Meta:
        managed = False

    def __str__(self) -> str:
        return self.id
