"""What Stripe says of our balance there: each move of money with its fee, and each payout with what is in it.

Amounts are in the smallest unit of their currency, positive for money that came. Rows are read from Stripe
by `manage.py read_payouts`, and only added; of a payout, what became of it may change.
"""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from wallet.books.models import STRIPE_ID_LENGTH

NAME_LENGTH = 100
# Stripe's reporting category of the money of a payout that failed or was canceled. The source of such a
# movement is that payout.
CAME_BACK = "payout_reversal"


class StripeMovement(models.Model):
    """A balance transaction of Stripe: money that came to our balance, or left it, and Stripe's fee for it.

    Its net, what the balance changed by, is the amount less the fee.
    """

    id = models.CharField(primary_key=True, max_length=STRIPE_ID_LENGTH)
    created_at = models.DateTimeField(help_text="When the money moved.")
    category = models.CharField(max_length=NAME_LENGTH, help_text="Stripe's reporting category.")
    currency = models.CharField(max_length=3, help_text="Of the balance, in lower case.")
    amount = models.BigIntegerField()
    fee = models.BigIntegerField()
    source_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    payment_intent_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["created_at", "id"], name="wallet_movement_created"),
            models.Index(
                fields=["source_id"], condition=Q(category=CAME_BACK), name="wallet_movement_came_back"
            ),
        ]

    def __str__(self) -> str:
        return self.id


class StripePayout(models.Model):
    """A payout of Stripe to our bank. Stripe says what is in it only of automatic ones.

    `is_automatic` is also False if Stripe made a payout by itself and does not say what is in it.
    """

    id = models.CharField(primary_key=True, max_length=STRIPE_ID_LENGTH)
    created_at = models.DateTimeField()
    arrives_at = models.DateTimeField()
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=NAME_LENGTH)
    is_automatic = models.BooleanField()
    itemized_at = models.DateTimeField(
        null=True, help_text="When what is in it was read. Empty while Stripe has not said it."
    )
    unknown_since = models.DateTimeField(
        null=True,
        help_text="Since when Stripe does not know it, or answers wrongly. Empty while it knows it.",
    )
    asked_at = models.DateTimeField(null=True, help_text="When Stripe was last asked for it.")

    # A payout in one of these states does not change any more, and its money has come back. One that is paid
    # may still fail: Stripe's documentation says within five business days, and two weeks were seen.
    ENDED = ("failed", "canceled")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["created_at"], name="wallet_payout_created")]

    def __str__(self) -> str:
        return self.id


class PayoutItem(models.Model):
    """The payout in which a movement was paid out."""

    movement_id = models.CharField(primary_key=True, max_length=STRIPE_ID_LENGTH)
    payout_id = models.CharField(max_length=STRIPE_ID_LENGTH)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["payout_id"], name="wallet_payoutitem_payout")]

    def __str__(self) -> str:
        return f"{self.movement_id} in {self.payout_id}"


class PayoutReading(models.Model):
    """A stretch of time of which all movements and payouts are read. The next one begins where it ended."""

    since = models.DateTimeField()
    until = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(until__gt=F("since")), name="wallet_payoutreading_goes_on")
        ]

    def __str__(self) -> str:
        return f"{self.since} to {self.until}"


class ClosedMoney(models.Model):
    """A UTC month whose money at Stripe is stored and final. All earlier months are closed too."""

    month = models.DateField(unique=True, help_text="Its first day.")
    closed_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class MonthMoney(models.Model):
    """What the movements of one category and currency add up to in a closed month.

    `of_topups` says whether they are of payments that gave credits. `paid_out` is the part of their net that
    automatic payouts had sent to our bank by the end of the month.
    """

    month = models.DateField(help_text="Its first day.")
    currency = models.CharField(max_length=3)
    category = models.CharField(max_length=NAME_LENGTH)
    of_topups = models.BooleanField()
    movements = models.BigIntegerField()
    amount = models.BigIntegerField()
    fee = models.BigIntegerField()
    paid_out = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["month", "currency", "category", "of_topups"], name="wallet_monthmoney_once"
            ),
            models.CheckConstraint(condition=Q(movements__gte=1), name="wallet_monthmoney_adds_something_up"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.category}: {self.amount}"
