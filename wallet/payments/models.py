"""The models of payments: top-ups, what Stripe says of their payments, and the inbox of Stripe's events.

Rows of top-ups, payments, refunds and disputes are found by ids of Stripe. They hold no foreign key to a
wallet, because a wallet may be on another node of a cluster.
"""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.misar_ids import MISAR_ID_LENGTH
from foundation.identifiers import IDENTIFIER_LENGTH, primary_key
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

    class Origin(models.TextChoices):
        """What began the top-up."""

        CHECKOUT = "checkout", "A checkout"

    id = primary_key(identifiers.topup_id)
    # During a deployment, the previous release inserts rows without this column. Such rows get `db_default`.
    origin = models.CharField(
        max_length=20, choices=Origin, default=Origin.CHECKOUT, db_default=Origin.CHECKOUT
    )
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
    # Without a foreign key in the database, as the module says. A law checks it.
    entry = models.OneToOneField(
        Entry, on_delete=models.PROTECT, null=True, blank=True, related_name="topup", db_constraint=False
    )
    remark = models.TextField(
        blank=True, help_text="What staff should know: another amount than asked, a failure."
    )
    created_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = TopUpQuerySet.as_manager()

    class Meta:
        verbose_name = "top-up"
        default_permissions = ("view",)
        permissions = (
            ("settle_topup", "Can have Stripe asked about a top-up"),
            ("refund_topup", "Can refund a top-up through Stripe"),
        )
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


class Payment(models.Model):
    """A payment at Stripe, under one of its ids: the id of its Checkout Session, or of its payment intent.

    The primary key makes sure that a payment is credited once, over all wallets: the row is inserted before
    the entry, in the same transaction. A transaction that decides about a payment locks its rows first. The
    row of a payment intent may come before its credits, when Stripe reports a refund or a dispute first.
    """

    class State(models.TextChoices):
        KNOWN = "known", "Not credited"
        CREDITED = "credited", "Credited"
        BY_HAND = "by_hand", "Credited by hand"
        CLOSED = "closed", "Closed by hand without credits"

    stripe_id = models.CharField(primary_key=True, max_length=STRIPE_ID_LENGTH)
    state = models.CharField(max_length=20, choices=State, default=State.KNOWN)
    # The next three are empty until the payment is decided, and then never change (migrations/payments.sql).
    session_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    user_id = models.CharField("Misar ID", max_length=MISAR_ID_LENGTH, blank=True)
    entry_id = models.CharField("entry", max_length=IDENTIFIER_LENGTH, blank=True)
    refunded_cents = models.BigIntegerField(
        default=0, help_text="The most that its charge has said it refunded, failed refunds included."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["credited", "by_hand"]) & ~Q(entry_id="") & ~Q(user_id="")
                | Q(state__in=["known", "closed"], entry_id=""),
                name="wallet_payment_is_credited_with_an_entry",
            ),
            models.CheckConstraint(condition=Q(refunded_cents__gte=0), name="wallet_payment_refunds_add_up"),
        ]
        indexes = [
            models.Index(fields=["entry_id"], condition=~Q(entry_id=""), name="wallet_payment_entry"),
            models.Index(fields=["session_id"], condition=~Q(session_id=""), name="wallet_payment_session"),
        ]

    def __str__(self) -> str:
        return self.stripe_id


class StripeRefund(models.Model):
    """A refund as Stripe last reported it. A failed or cancelled refund took no money from us."""

    ENDED = ("failed", "canceled")

    id = models.CharField(primary_key=True, max_length=STRIPE_ID_LENGTH)
    payment_intent_id = models.CharField(max_length=STRIPE_ID_LENGTH)
    charge_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    amount_cents = models.BigIntegerField()
    status = models.CharField(max_length=50)
    reason = models.CharField(max_length=100, blank=True, help_text="Why it failed, or why it was made.")
    created_at = models.DateTimeField(help_text="When it was made at Stripe.")
    reported_at = models.DateTimeField(help_text="When Stripe reported this status.")

    class Meta:
        verbose_name = "Stripe refund"
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="wallet_striperefund_is_money")
        ]
        indexes = [
            models.Index(fields=["payment_intent_id"], name="wallet_refund_intent"),
            models.Index(fields=["-created_at"], name="wallet_refund_newest"),
            models.Index(fields=["status", "-created_at"], name="wallet_refund_status"),
            models.Index(fields=["charge_id"], condition=~Q(charge_id=""), name="wallet_refund_charge"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def has_ended(self) -> bool:
        """Whether the refund failed or was cancelled."""
        return self.status in self.ENDED

    @property
    def has_succeeded(self) -> bool:
        """Whether the money has reached the buyer's bank. Even then the bank can return it."""
        return self.status == "succeeded"


class StripeDispute(models.Model):
    """A dispute or an inquiry as Stripe last reported it.

    `movements` has each balance transaction of the dispute: its id, and the cents that it returned (above 0)
    or took (below 0), without Stripe's fee. An inquiry moves no money.
    """

    # While a dispute has another status, its outcome is open.
    CLOSED = ("won", "lost", "warning_closed", "prevented")
    # In these, Stripe waits for our evidence.
    UNANSWERED = ("needs_response", "warning_needs_response", "appeal_needs_response")

    id = models.CharField(primary_key=True, max_length=STRIPE_ID_LENGTH)
    payment_intent_id = models.CharField(max_length=STRIPE_ID_LENGTH)
    charge_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    amount_cents = models.BigIntegerField()
    status = models.CharField(max_length=50)
    reason = models.CharField(max_length=100, blank=True)
    movements = models.JSONField(default=dict)
    due_at = models.DateTimeField(null=True, blank=True, help_text="When our answer is due.")
    created_at = models.DateTimeField(help_text="When it was opened at Stripe.")
    reported_at = models.DateTimeField(help_text="When Stripe reported this status.")

    class Meta:
        verbose_name = "Stripe dispute"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["payment_intent_id"], name="wallet_dispute_intent"),
            models.Index(fields=["-created_at"], name="wallet_dispute_newest"),
            models.Index(fields=["status", "-created_at"], name="wallet_dispute_status"),
            models.Index(fields=["charge_id"], condition=~Q(charge_id=""), name="wallet_dispute_charge"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def is_inquiry(self) -> bool:
        """Whether the bank only asks about the payment. It has taken no money."""
        return self.status.startswith("warning_")

    @property
    def withdrawn_cents(self) -> int:
        """The cents that the dispute took, less those that it returned. It can be below 0."""
        return -sum(self.movements.values())


class RefundRequest(models.Model):
    """A refund of a top-up that a staff member asks Stripe for.

    The row is saved before Stripe is asked, and its id is the idempotency key at Stripe. So a request whose
    answer was lost can be sent again. The books move when Stripe reports the refund.
    """

    class State(models.TextChoices):
        ASKING = "asking", "No answer from Stripe yet"
        MADE = "made", "Made at Stripe"
        REFUSED = "refused", "Refused by Stripe"

    id = primary_key(identifiers.refund_request_id)
    topup = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="refund_requests")
    amount_cents = models.BigIntegerField()
    reason = models.TextField()
    actor = models.CharField(max_length=300, help_text="Who asked for it: user:<Misar ID of staff>.")
    form_key = models.CharField(max_length=FORM_KEY_LENGTH)
    state = models.CharField(max_length=20, choices=State, default=State.ASKING)
    stripe_refund_id = models.CharField(max_length=STRIPE_ID_LENGTH, blank=True)
    remark = models.TextField(blank=True, help_text="Why Stripe refused.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "refund request"
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="wallet_refundrequest_is_money"),
            models.UniqueConstraint(fields=["actor", "form_key"], name="wallet_refundrequest_form_once"),
        ]
        indexes = [
            models.Index(fields=["actor", "-created_at"], name="wallet_refundrequest_actor"),
            models.Index(fields=["-created_at"], name="wallet_refundrequest_newest"),
        ]

    def __str__(self) -> str:
        return self.id


class ReconciliationRun(models.Model):
    """A comparison of Stripe with the books: its progress, and what it has found so far.

    Only one run may be in the state running. A run that was interrupted can be continued at `next_day`. The
    finished report is an Audit.
    """

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        INTERRUPTED = "interrupted", "Interrupted"
        FINISHED = "finished", "Finished"

    state = models.CharField(max_length=20, choices=State, default=State.RUNNING)
    since = models.DateTimeField(help_text="It compares what happened from this time on.")
    applies = models.BooleanField(default=False, help_text="Whether it also repairs.")
    next_day = models.DateField(null=True, help_text="The first UTC day that is not compared yet.")
    seen_count = models.BigIntegerField(default=0)
    unknown_count = models.BigIntegerField(default=0)
    found_count = models.BigIntegerField(default=0)
    findings = models.JSONField(default=list, help_text="The first hundred.")
    counts = models.JSONField(default=dict, help_text="How many findings of each kind, repaired ones too.")
    seen = models.JSONField(default=dict, help_text="How many objects of Stripe of each name were compared.")
    unknown = models.JSONField(default=dict, help_text="How many of what it does not know, by a description.")
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now(), help_text="When the process last wrote progress.")

    class Meta:
        verbose_name = "reconciliation run"
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="running"), name="wallet_reconciliationrun_one_at_a_time"
            )
        ]
        indexes = [models.Index(fields=["-started_at"], name="wallet_reconciliation_newest")]

    def __str__(self) -> str:
        return f"Reconciliation since {self.since:%Y-%m-%d %H:%M}"


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
    tries = models.IntegerField(default=0)
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
        constraints = [
            models.CheckConstraint(condition=Q(tries__gte=0), name="wallet_stripeevent_counts_tries"),
        ]
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
