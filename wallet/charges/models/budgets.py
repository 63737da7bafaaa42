"""Budgets: the most that products may charge a user in a UTC day or month."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import OuterRef, Q, Subquery, Value
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import Exact

from wallet.books.models import PRODUCT_LENGTH, Wallet
from wallet.charges.models.holds import Hold, sum_of_credits


class BudgetQuerySet(models.QuerySet["Budget"]):
    def that_can_refuse(self, user_id: str, product: str) -> Self:
        """Return the budgets that a charge of this product must keep: the user's, and the product's own."""
        by_user = Q(set_by=Budget.SetBy.USER, product__in=["", product])
        return self.filter(by_user | Q(set_by=Budget.SetBy.PRODUCT, product=product), wallet_id=user_id)

    def with_overdue(self, user_id: str, now: datetime) -> Self:
        """Add `overdue_credits`: what each counts of holds that have expired but are open in the books.

        The budgets are those of this user. The subquery says so, too, for a cluster.
        """
        of_product = Q(product=OuterRef("product")) | Q(Exact(OuterRef("product"), Value("")))
        overdue = Hold.objects.filter(of_product, wallet_id=user_id).overdue(now)
        counted = overdue.filter(created_at__date__gte=OuterRef("starts"))
        credits = Subquery(sum_of_credits(counted, by="wallet_id"))
        return self.annotate(overdue_credits=Cast(Coalesce(credits, 0), models.BigIntegerField()))


class Budget(models.Model):
    """The most that products may charge a user in a UTC day or month.

    `spent` counts the period that begins at `starts`. In any other period, nothing was spent yet.
    """

    class SetBy(models.TextChoices):
        USER = "user", "User"
        PRODUCT = "product", "Product"

    class Period(models.TextChoices):
        DAY = "day", "Day"
        MONTH = "month", "Month"

    pk = models.CompositePrimaryKey("wallet", "set_by", "product", "period")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="+", db_index=False)
    set_by = models.CharField(max_length=20, choices=SetBy)
    product = models.CharField(max_length=PRODUCT_LENGTH, blank=True, help_text="Empty: all products.")
    period = models.CharField(max_length=20, choices=Period)
    credits = models.BigIntegerField(help_text="The most that may be spent in a period.")
    alert_percent = models.SmallIntegerField(default=100, help_text="At which part of it to send an alert.")
    starts = models.DateField(help_text="The first day of the period that `spent` counts.")
    spent = models.BigIntegerField(
        help_text="Charges and open holds of the period, by when they were asked for, less what came back."
    )

    # `with_overdue` reads it. Under the wallet's lock, no hold is overdue.
    overdue_credits: int = 0

    objects = BudgetQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = (("remove_budget", "Can remove a budget"),)
        constraints = [
            models.CheckConstraint(
                condition=Q(credits__gte=0, spent__gte=0, alert_percent__gte=1, alert_percent__lte=100),
                name="wallet_budget_counts_from_zero",
            ),
            models.CheckConstraint(
                condition=Q(set_by="user") | (Q(set_by="product") & ~Q(product="")),
                name="wallet_budget_is_of_who_set_it",
            ),
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, [self.wallet_id, self.set_by, self.product, self.period]))
