"""What a product has granted, over all wallets. The credits of a grant are a lot (charges/models/lots.py)."""

from django.db import models
from django.db.models import Q

from wallet.books.models import PRODUCT_LENGTH


class GrantedMonth(models.Model):
    """How many credits a product has granted in a UTC month, taken back or not.

    The grants of a product wait for this row, so its limit is exact. No charge locks it.
    """

    pk = models.CompositePrimaryKey("product", "month")
    product = models.CharField(max_length=PRODUCT_LENGTH)
    month = models.DateField(help_text="Its first day.")
    credits = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(credits__gte=0), name="wallet_grantedmonth_counts_from_zero")
        ]

    def __str__(self) -> str:
        return f"{self.product} {self.month}: {self.credits}"
