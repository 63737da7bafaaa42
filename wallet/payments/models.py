"""The models of payments: top-ups, and the inbox of Stripe's events."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.misar_ids import MISAR_ID_LENGTH
from foundation.identifiers import primary_key
from wallet import identifiers
from wallet.books.models import PRODUCT_LENGTH, STRIPE_ID_LENGTH, Entry

FORM_KEY_LENGTH = 64


class TopUpQuerySet(models.QuerySet["TopUp"]):
    def locked(self) -> Self:
        """Lock these top-ups. A transaction must lock top-ups before it locks a wallet."""
        return self.select_for_update().order_by("pk")

    def of_user(self, user_id: str) -> Self:
        """Return one user's top-ups, newest first."""
        return self.filter(user_id=user_id).order_by("-created_at", "-pk")

    def unsettled(self) -> Self:
        """Return the top-ups that have a Checkout Session and may still be paid."""
        return self.filter(state__in=["created", "pending"])


class StripeEventQuerySet(models.QuerySet["StripeEvent"]):
    def of_session(self, session_id: str) -> Self:
        """Return the events of one Checkout Session."""
        return self.filter(stripe_session_id=session_id).order_by("pk")


class TopUp(models.Model):
    """A user's purchase of credits, its Checkout Session at Stripe, and the outcome.

    The session's id is unique in the whole table, so one payment can never be credited to two wallets. The
    entry is written in the same transaction that changes the state to paid.
    """

    class State(models.TextChoices):
        CREATING = "creating", "Being created"
        CREATED = "created", "Waiting for payment"
        PENDING = "pending", "Payment on its way"
        PAID = "paid", "Paid"
        FAILED = "failed", "Failed"
        EXPIRED = "expired", "Expired"

    id = primary_key(identifiers.topup_id)
    user_id = models.CharField("Misar ID", max_length=MISAR_ID_LENGTH)
    product = models.CharField(max_length=PRODUCT_LENGTH, blank=True)
    state = models.CharField(max_length=20, choices=State, default=State.CREATING)
    amount_cents = models.BigIntegerField("asked for", null=True, blank=True)
    paid_cents = models.BigIntegerField("paid", null=True, blank=True)
    stripe_session_id = models.CharField(max_length=STRIPE_ID_LENGTH, null=True, blank=True, unique=True)
    payment_intent_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    # During a deployment, the previous release inserts rows without this column. Such rows get `db_default`.
    form_key = models.CharField(
        max_length=FORM_KEY_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="Of the page it was asked for on: sent twice, the form comes to one checkout.",
    )
    livemode = models.BooleanField(null=True, blank=True)
    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, null=True, blank=True, related_name="topup")
    remark = models.TextField(
        blank=True, help_text="What staff should know: another amount than asked, a failure."
    )
    created_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = TopUpQuerySet.as_manager()

    class Meta:
        verbose_name = "top-up"
        default_permissions = ("view",)
        permissions = (("settle_topup", "Can have Stripe asked about a top-up"),)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    state="paid",
                    entry__isnull=False,
                    paid_cents__gt=0,
                    paid_cents__isnull=False,
                    stripe_session_id__isnull=False,
                )
                | (~Q(state="paid") & Q(entry__isnull=True)),
                name="wallet_topup_is_paid_with_an_entry",
            ),
            models.UniqueConstraint(
                fields=["user_id", "form_key", "amount_cents"],
                condition=~Q(form_key=""),
                name="wallet_topup_form_once",
            ),
        ]
        indexes = [
            models.Index(fields=["user_id", "-created_at"], name="wallet_topup_user"),
            models.Index(fields=["-created_at"], name="wallet_topup_newest"),
            models.Index(fields=["state", "-created_at"], name="wallet_topup_state"),
            models.Index(
                fields=["payment_intent_id"], condition=~Q(payment_intent_id=""), name="wallet_topup_intent"
            ),
        ]

    def __str__(self) -> str:
        return self.id


class StripeEvent(models.Model):
    """The inbox of Stripe's events. Each verified event has one row, with its state."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting to be handled"
        HANDLED = "handled", "Handled"
        PARKED = "parked", "Parked for staff"
        RESOLVED = "resolved", "Resolved by hand"
        KEPT = "kept", "Kept for later"
        IGNORED = "ignored", "Not ours"

    id = models.CharField(primary_key=True, max_length=STRIPE_ID_LENGTH)
    type = models.CharField(max_length=255)
    state = models.CharField(max_length=20, choices=State, default=State.WAITING)
    # The text that Stripe signed. It is not jsonb, because JSON can have characters that PostgreSQL's jsonb
    # refuses.
    payload = models.TextField(blank=True)
    stripe_session_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    # During a deployment, the previous release still inserts rows without the next two columns.
    # Such rows get `db_default`.
    user_id = models.CharField(
        "Misar ID",
        max_length=MISAR_ID_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="Whom it names, if that can be a Misar ID.",
    )
    payment_intent_id = models.CharField(
        max_length=STRIPE_ID_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="The payment of its session.",
    )
    remark = models.TextField(blank=True, help_text="Why it was parked or what was odd.")
    traceback = models.TextField(blank=True, help_text="Of the last try, where it failed.")
    tries = models.PositiveIntegerField(default=0)
    received_at = models.DateTimeField(default=timezone.now)
    handled_at = models.DateTimeField(null=True, blank=True)

    objects = StripeEventQuerySet.as_manager()

    class Meta:
        verbose_name = "Stripe event"
        default_permissions = ("view",)
        permissions = (
            ("replay_stripeevent", "Can handle an event again"),
            ("resolve_stripeevent", "Can resolve a parked event by hand"),
        )
        indexes = [
            models.Index(fields=["-received_at"], name="wallet_event_newest"),
            models.Index(fields=["state", "-received_at"], name="wallet_event_state"),
            models.Index(
                fields=["user_id", "-received_at"], condition=~Q(user_id=""), name="wallet_event_user"
            ),
            models.Index(
                fields=["payment_intent_id"], condition=~Q(payment_intent_id=""), name="wallet_event_intent"
            ),
            models.Index(
                fields=["stripe_session_id"], condition=~Q(stripe_session_id=""), name="wallet_event_session"
            ),
        ]

    def __str__(self) -> str:
        return self.id
