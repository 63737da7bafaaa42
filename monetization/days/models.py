"""The stored totals of finished days."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class ClosedDay(models.Model):
    """A finished UTC day whose totals are stored. All earlier days are closed too."""

    day = models.DateField(primary_key=True)
    closed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.day)


class DayTotal(models.Model):
    """What a creator's records of one currency add up to on a closed day, in the currency's smallest unit.

    A row counts on the day when it was recorded. `tips` to `fee_cents` are of the day's tips, `refunds` to
    `fee_returned_cents` of the day's refunds, `events` and `yearly_cents_delta` of the day's changes of
    subscriptions. `subscriptions` is how many were recorded. `payers_delta` is the number of readers who pay
    at the end of the day, minus the number who paid at its beginning.

    The currency "" stands for all currencies together. Its row has only `payers_delta`, because a reader who
    pays in two currencies is one reader; all other numbers are 0. A day without records has no row.
    """

    # Without a foreign key in the database: no total can be of a creator without records, and a law says so.
    creator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    currency = models.CharField(max_length=3, blank=True)
    day = models.DateField()
    tips = models.BigIntegerField()
    gross_cents = models.BigIntegerField()
    fee_cents = models.BigIntegerField()
    refunds = models.BigIntegerField()
    refunded_cents = models.BigIntegerField()
    fee_returned_cents = models.BigIntegerField()
    subscriptions = models.BigIntegerField()
    events = models.BigIntegerField()
    yearly_cents_delta = models.BigIntegerField()
    payers_delta = models.BigIntegerField()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["creator", "currency", "day"], name="monetization_daytotal_once"),
        ]
        # For deleting the totals of the last days.
        indexes = [models.Index(fields=["day"], name="monetization_daytotal_day")]

    def __str__(self) -> str:
        return f"{self.creator_id} {self.currency} {self.day}"
