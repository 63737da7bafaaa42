"""The stored totals of finished days by feature, and those of finished months."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from wallet.books.models import FEATURE_LENGTH, PRODUCT_LENGTH, ClosedDay, Entry


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
