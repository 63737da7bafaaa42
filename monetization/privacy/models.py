"""The record of erasures."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Erasure(models.Model):
    """A record that a reader was erased, without the reader's address."""

    actor = models.CharField(max_length=300)
    tips = models.IntegerField()
    subscriptions = models.IntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(tips__gte=0, subscriptions__gte=0), name="monetization_erasure_counts_from_zero"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d}"
