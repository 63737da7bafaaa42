"""Redactions: what an erasure did to the words of history."""

from django.db import models


class Redaction(models.Model):
    """What an erasure did to the words of a row of history: their digests before and after.

    A trigger writes it (migrations/redactions.sql). With it, a seal of the row can still be checked, because
    the seal has the digest of the words too.
    """

    table_name = models.CharField(max_length=63)
    key = models.BigIntegerField(help_text="The key of the row in its table.")
    before = models.BinaryField(max_length=32)
    after = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["table_name", "key", "id"], name="accounts_redaction_of_row")]

    def __str__(self) -> str:
        return f"{self.table_name} {self.key}"
