"""The stored totals of finished days by feature, those of finished months, and what came into these later."""

from datetime import date

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from foundation.calendar import day_of
from wallet.books.models import FEATURE_LENGTH, PRODUCT_LENGTH, ClosedDay, Entry

NAME_LENGTH = 100
REASON_LENGTH = 200


class TotalByFeature(models.Model):
    """The sum of some entries of one product, feature and kind.

    `granted` is the part of the credits that was of grants, with the same sign; the rest was paid. Entries
    without a feature, such as top-ups, have the feature "".
    """

    product = models.CharField(max_length=PRODUCT_LENGTH, blank=True)
    feature = models.CharField(max_length=FEATURE_LENGTH, blank=True)
    kind = models.CharField(max_length=20, choices=Entry.Kind)
    credits = models.BigIntegerField()
    granted = models.BigIntegerField()
    entries = models.BigIntegerField()

    class Meta:
        abstract = True


class FeatureTotal(TotalByFeature):
    """The sum of the entries of one product, feature and kind on a closed day.

    Its credits and entries are a part of a DayTotal.
    """

    # Without a foreign key in the database, as DayTotal.
    day = models.ForeignKey(
        ClosedDay, on_delete=models.CASCADE, related_name="features", db_index=False, db_constraint=False
    )

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["day", "product", "kind", "feature"], name="wallet_featuretotal_once"
            ),
            models.CheckConstraint(condition=Q(entries__gte=1), name="wallet_featuretotal_adds_something_up"),
        ]

    def __str__(self) -> str:
        return f"{self.day_id} {self.product} {self.feature} {self.kind}: {self.credits}"


class ClosedMonth(models.Model):
    """A finished UTC month whose figures are stored and final. All earlier months are closed too.

    `opening` is what all balances came to when the month began, in credits, and `opening_granted` the part
    of it that was of grants. The first month is that of the first entry.
    """

    month = models.DateField(unique=True, help_text="Its first day.")
    opening = models.BigIntegerField()
    opening_granted = models.BigIntegerField()
    entries = models.BigIntegerField(help_text="How many were written in that month.")
    closed_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(month__day=1, entries__gte=0), name="wallet_closedmonth_is_a_month"
            )
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class MonthTotal(TotalByFeature):
    """The sum of the entries of one product, feature and kind in a closed month."""

    month = models.DateField(help_text="Its first day.")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["month", "product", "kind", "feature"], name="wallet_monthtotal_once"
            ),
            models.CheckConstraint(condition=Q(entries__gte=1), name="wallet_monthtotal_adds_something_up"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.product} {self.feature} {self.kind}: {self.credits}"


class LateTotal(TotalByFeature):
    """What a closed month lacks, of one product, feature and kind, and an operator has booked later.

    Entries came into the month after it was closed, as with a restore. They count in the month in which they
    were booked, that of `created_at`. The figures are below 0 for entries that are gone.
    """

    month = models.DateField(help_text="The first day of the closed month that has the entries.")
    number = models.BigIntegerField(help_text="1 for what was booked first of that month, and so on.")
    booked_by = models.CharField(max_length=NAME_LENGTH)
    reason = models.CharField(max_length=REASON_LENGTH)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            # Of two that book the same at once, only one can.
            models.UniqueConstraint(
                fields=["month", "number", "product", "kind", "feature"], name="wallet_latetotal_once"
            ),
            models.CheckConstraint(
                condition=~Q(credits=0, granted=0, entries=0), name="wallet_latetotal_changes_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.product} {self.feature} {self.kind}: {self.credits}"

    @property
    def booked_in(self) -> date:
        """The first day of the month in which it counts."""
        return day_of(self.created_at).replace(day=1)
