"""The models of seals. A seal is never changed or removed."""

from django.db import models
from django.db.models.functions import Now

from wallet.books.models import Wallet

NAME_LENGTH = 63  # PostgreSQL's limit.


class Seal(models.Model):
    """The seal of a stretch of a wallet's entries: those above `after`, up to and including `sequence`.

    Each seal continues the one before: its `after` is the `sequence` of that one, and its hash includes the
    hash of that one. `after` is in the primary key, so two processes cannot continue the same seal.
    """

    pk = models.CompositePrimaryKey("wallet", "after")
    # Without a foreign key in the database: a seal must outlive a wallet that an attacker deletes.
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    after = models.BigIntegerField()
    sequence = models.BigIntegerField(help_text="The last entry of the stretch.")
    format = models.SmallIntegerField(help_text="Of the canonical text (formats.py).")
    entries_digest = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(after__gte=0, sequence__gt=models.F("after")),
                name="wallet_seal_covers_something",
            )
        ]
        # One row a wallet, so the seal file finds all wallets without reading all seals.
        indexes = [models.Index(fields=["wallet"], condition=models.Q(after=0), name="wallet_seal_first")]

    def __str__(self) -> str:
        return f"{self.wallet_id} {self.after + 1} to {self.sequence}"


class TableSeal(models.Model):
    """The seal of the rows of a table with a key above `after`, up to and including `key`."""

    pk = models.CompositePrimaryKey("table_name", "after")
    table_name = models.CharField(max_length=NAME_LENGTH)
    after = models.BigIntegerField()
    key = models.BigIntegerField(help_text="Of the last row of the stretch.")
    rows = models.BigIntegerField(help_text="How many rows the stretch has; keys may be left out.")
    format = models.SmallIntegerField(help_text="Of the canonical text (tables.py).")
    rows_digest = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(after__gte=0, key__gt=models.F("after"), rows__gte=1),
                name="wallet_tableseal_covers_something",
            )
        ]

    def __str__(self) -> str:
        return f"{self.table_name} {self.after + 1} to {self.key}"
