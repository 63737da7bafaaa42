"""What the answers to refunds said."""

from django.db import models

from wallet.books.models import Entry, Wallet


class GiveBack(models.Model):
    """What the first answer to a refund said, so that a replay can say the same."""

    pk = models.CompositePrimaryKey("wallet", "entry")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="+", db_index=False)
    entry = models.ForeignKey(
        Entry, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    requested = models.BigIntegerField(null=True, help_text="In credits; empty if all that was left was.")
    refundable = models.BigIntegerField(help_text="Credits of the charge that were left after this refund.")
    lapsed = models.BigIntegerField(help_text="Credits that went back to a grant past its end.")
    # A trigger refuses NULL where the charge was paid by a grant (migrations/grants_guard.sql).
    to_grants = models.BigIntegerField(
        null=True, help_text="Credits that went back to grants. Empty from releases that knew none."
    )
    available = models.BigIntegerField(help_text="The credits that could be spent after this refund.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.entry_id
