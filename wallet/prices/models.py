"""The models of prices: the price of each feature, and all changes of prices."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from wallet.books.models import FEATURE_LENGTH


class RateQuerySet(models.QuerySet["Rate"]):
    def active(self) -> Self:
        """Return the rates that products can charge now, sorted by feature."""
        return self.filter(active=True).order_by("feature")


class Rate(models.Model):
    """The price of one unit of a feature, in whole credits."""

    feature = models.CharField(max_length=FEATURE_LENGTH, unique=True)
    label = models.CharField(max_length=200)
    credits = models.IntegerField(help_text="Whole credits for one unit.")
    unit = models.CharField(max_length=100, help_text="What one unit is: article, 1000 emails.")
    active = models.BooleanField(default=True)

    objects = RateQuerySet.as_manager()

    class Meta:
        ordering = ("feature",)
        constraints = [
            models.CheckConstraint(
                condition=Q(credits__gte=1) & Q(credits__lte=1_000_000_000),
                name="wallet_rate_is_never_free",
            ),
        ]

    def __str__(self) -> str:
        return self.feature


class RateChange(models.Model):
    """One change of a rate: the new values, who set them, and when. Rows are never changed or deleted."""

    feature = models.CharField(max_length=FEATURE_LENGTH)
    label = models.CharField(max_length=200)
    credits = models.IntegerField()
    unit = models.CharField(max_length=100)
    active = models.BooleanField()
    actor = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(credits__gte=1), name="wallet_ratechange_is_never_free"),
        ]
        indexes = [models.Index(fields=["feature", "-created_at"], name="wallet_ratechange_feature")]

    def __str__(self) -> str:
        return f"{self.feature}: {self.credits}"
