"""The records of what creators earn: sponsor slots, paid subscriptions and tips.

The payments were made outside this service, and these records change no wallet. Amounts are integers in the
smallest unit of their currency, as in Stripe's API. Amounts of different currencies are never added. The
history (subscription events, refunds) is append-only: a database trigger enforces this (migrations/laws.sql).
"""

from datetime import datetime
from typing import Self, TypeVar

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, OuterRef, Q
from django.db.models.functions import Coalesce, Upper
from django.utils import timezone

from accounts.models import User
from foundation.identifiers import primary_key
from foundation.mailboxes import Addressed, not_filled
from monetization import identifiers
from monetization.days.models import ClosedDay as ClosedDay
from monetization.days.models import DayTotal as DayTotal
from monetization.digests.models import Digest as Digest
from monetization.first_answers import KEY_LENGTH
from monetization.first_answers import FirstAnswer as FirstAnswer
from monetization.free_slots.models import FreeSlotsLink as FreeSlotsLink
from monetization.privacy.models import Erasure as Erasure

NAME_LENGTH = 200
PLAN_LENGTH = 100
EMAIL_LENGTH = 254
URL_LENGTH = 2048
STRIPE_ID_LENGTH = 255
MESSAGE_LENGTH = 500
FORM_KEY_LENGTH = 64
PRICE_CENTS_MAX = 99_999_999


class Earner(models.Model):
    """A creator's own rules.

    Adding or editing a placement locks this row, so the creator's placements are checked one by one.
    """

    creator = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.PROTECT, related_name="earner"
    )
    one_sponsor_at_a_time = models.BooleanField(
        default=False, help_text="Refuse a placement whose position is taken in that period."
    )
    # What the creator dismissed on the overview, see dashboard/overview/dismissals.py.
    dismissed = models.JSONField(default=dict, db_default={}, editable=False)

    class Meta:
        default_permissions = ("view",)
        permissions = (("set_rule", "Can switch a creator's rule"),)

    def __str__(self) -> str:
        return self.creator_id


Row = TypeVar("Row", bound=models.Model)


class RecordQuerySet(models.QuerySet[Row]):
    """Rows that each belong to one creator."""

    def visible_to(self, creator: User) -> Self:
        """Return the rows of this creator."""
        return self.filter(creator_id=creator.pk)


class SponsorQuerySet(RecordQuerySet["Sponsor"]):
    def booked(self) -> Self:
        """Return the placements that were not cancelled."""
        return self.filter(cancelled_at=None)

    def active_or_upcoming(self, at: datetime) -> Self:
        """Return the placements that are not cancelled and have not ended at that moment."""
        return self.booked().filter(active_until__gt=at)

    def in_state(self, state: str, at: datetime) -> Self:
        """Return the placements that have this state at that moment. `state_at` has the same rules."""
        if state == "cancelled":
            return self.exclude(cancelled_at=None)
        return {
            "upcoming": self.booked().filter(active_from__gt=at),
            "active": self.booked().filter(active_from__lte=at, active_until__gt=at),
            "ended": self.booked().filter(active_until__lte=at),
        }[state]

    def overlapping(
        self, *, position: str | OuterRef, active_from: datetime | OuterRef, active_until: datetime | OuterRef
    ) -> Self:
        """Return the placements of that position with a period that overlaps [active_from, active_until)."""
        return self.booked().filter(
            position=position, active_from__lt=active_until, active_until__gt=active_from
        )

    def sharing_with_outer_row(self) -> Self:
        """For a subquery: return the other placements that overlap the outer row in the same position."""
        outer = {name: OuterRef(name) for name in ("position", "active_from", "active_until")}
        return self.overlapping(**outer).exclude(pk=OuterRef("pk"))


class Sponsor(models.Model):
    """A placement sold to a sponsor, over the half-open period [active_from, active_until)."""

    class Position(models.TextChoices):
        HEADER = "header", "Header"
        FOOTER = "footer", "Footer"
        INLINE = "inline", "Inline"

    class State(models.TextChoices):
        """The state of a placement at a moment. It is computed and never stored."""

        UPCOMING = "upcoming", "Upcoming"
        ACTIVE = "active", "Active"
        ENDED = "ended", "Ended"
        CANCELLED = "cancelled", "Cancelled"

    id = primary_key(identifiers.sponsor_id)
    creator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="sponsors")
    sponsor_name = models.CharField(max_length=NAME_LENGTH)
    # Readers' browsers load this URL. We never fetch it.
    logo_url = models.CharField(max_length=URL_LENGTH)
    target_url = models.CharField(max_length=URL_LENGTH)
    position = models.CharField(max_length=10, choices=Position)
    active_from = models.DateTimeField()
    active_until = models.DateTimeField()
    price_cents = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    cancelled_at = models.DateTimeField(null=True, blank=True)
    # During a deployment, the earlier release still adds rows without this field, so it has a `db_default`.
    form_key = models.CharField(
        max_length=FORM_KEY_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="Of the page it was entered on: sent twice, the form places once.",
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects = SponsorQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = (("cancel_sponsor", "Can cancel a placement"),)
        constraints = [
            models.CheckConstraint(
                condition=Q(active_until__gt=F("active_from")),
                name="monetization_sponsor_ends_after_it_begins",
            ),
            models.CheckConstraint(
                condition=Q(price_cents=None) | Q(price_cents__gte=0),
                name="monetization_sponsor_price_not_negative",
            ),
            models.UniqueConstraint(
                fields=["creator", "form_key"],
                condition=~Q(form_key=""),
                name="monetization_sponsor_form_once",
            ),
        ]
        indexes = [
            models.Index(fields=["creator", "active_from", "id"], name="monetization_sponsor_soonest"),
            models.Index(fields=["creator", "position", "active_from"], name="monetization_sponsor_slot"),
            # For the back-office's list of all creators' rows, as the other indexes named *_all.
            models.Index(fields=["-created_at"], name="monetization_sponsor_all"),
            models.Index(
                OpClass(Upper("sponsor_name"), "text_pattern_ops"), name="monetization_sponsor_begins"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    def state_at(self, moment: datetime) -> State:
        """Return the placement's state at that moment."""
        if self.cancelled_at:
            return self.State.CANCELLED
        if moment < self.active_from:
            return self.State.UPCOMING
        return self.State.ACTIVE if moment < self.active_until else self.State.ENDED


class SubscriptionQuerySet(RecordQuerySet["Subscription"]):
    def paying(self) -> Self:
        """Return the active and past-due subscriptions. They count in MRR until they are cancelled."""
        return self.filter(status__in=["active", "past_due"])


class Subscription(Addressed):
    """A reader's paid subscription as it is now. Its events are its history."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        PAST_DUE = "past_due", "Past due"
        CANCELLED = "cancelled", "Cancelled"

    class Interval(models.TextChoices):
        WEEK = "week", "Weekly"
        MONTH = "month", "Monthly"
        QUARTER = "quarter", "Quarterly"
        YEAR = "year", "Yearly"
        UNKNOWN = "unknown", "Not known"

    id = primary_key(identifiers.subscription_id)
    creator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="subscriptions"
    )
    subscriber_email = models.CharField(max_length=EMAIL_LENGTH)
    # The address in lower case, or the stand-in of an erased reader. Together with `mailbox`, it says which
    # reader this is: SQL compares coalesce(mailbox, reader).
    reader = models.CharField(max_length=EMAIL_LENGTH)
    plan = models.CharField(max_length=PLAN_LENGTH)
    interval = models.CharField(max_length=10, choices=Interval)
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    # The income per year. It is stored because an income per month would have to be rounded. It is 0 if the
    # subscription is cancelled or its interval is not known.
    yearly_cents = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    stripe_subscription_id = models.CharField(  # noqa: DJ001 (two NULLs are not equal)
        max_length=STRIPE_ID_LENGTH, null=True, blank=True
    )
    # Since when the interval is not known. It is NULL if the interval is known, if the subscription is
    # cancelled, and if an earlier release wrote the row.
    unknown_since = models.DateTimeField(null=True, blank=True, editable=False)
    # The times of the last change of the status, and of the terms (plan and price), outside this service. An
    # older change never overwrites a newer one. Both times are NULL until the first change is recorded,
    # because this change may have happened before the subscription was recorded.
    status_at = models.DateTimeField(null=True, blank=True)
    terms_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = (("change_status", "Can change a subscription's status"),)
        constraints = [
            models.UniqueConstraint(
                fields=["creator", "stripe_subscription_id"], name="monetization_subscription_stripe_id_once"
            ),
            models.CheckConstraint(
                condition=Q(amount_cents__gte=0) & Q(yearly_cents__gte=0),
                name="monetization_subscription_not_negative",
            ),
            models.CheckConstraint(
                condition=~Q(status="cancelled") | Q(yearly_cents=0),
                name="monetization_subscription_cancelled_earns_nothing",
            ),
        ]
        indexes = [
            models.Index(fields=["creator", "-created_at", "-id"], name="monetization_sub_newest"),
            # The other orders of a creator's list, and the search for a plan.
            models.Index(
                fields=["creator", "currency", "yearly_cents", "id"], name="monetization_sub_by_mrr"
            ),
            models.Index(fields=["creator", "status", "created_at", "id"], name="monetization_sub_by_state"),
            models.Index(
                "creator", OpClass(Upper("plan"), "text_pattern_ops"), name="monetization_sub_plan_begins"
            ),
            # The subscriptions of one reader of a creator, for the count of readers who pay.
            models.Index("creator", Coalesce("mailbox", "reader"), name="monetization_sub_payer"),
            models.Index(
                fields=["creator", "currency", "yearly_cents"],
                condition=Q(status="past_due"),
                name="monetization_sub_past_due",
            ),
            models.Index(
                fields=["creator", "currency", "status"],
                condition=Q(interval="unknown"),
                name="monetization_sub_unknown",
            ),
            models.Index(
                fields=["reader"], opclasses=["text_pattern_ops"], name="monetization_sub_reader_begins"
            ),
            models.Index(
                fields=["mailbox"],
                opclasses=["text_pattern_ops"],
                condition=~Q(mailbox=None),
                name="monetization_sub_mailbox",
            ),
            models.Index(fields=["id"], condition=not_filled("reader"), name="monetization_sub_not_filled"),
            models.Index(fields=["-created_at"], name="monetization_sub_all"),
            # Support staff may know only Stripe's id. Tip has such an index too.
            models.Index(
                fields=["stripe_subscription_id"],
                condition=Q(stripe_subscription_id__isnull=False),
                name="monetization_sub_stripe_id",
            ),
        ]

    ADDRESS_FIELD = "subscriber_email"
    COMPARED_FIELD = "reader"

    def __str__(self) -> str:
        return self.id


class SubscriptionEvent(models.Model):
    """One change of a subscription, and how much it changed the yearly income. Events are append-only."""

    class Kind(models.TextChoices):
        CREATED = "created", "New"
        REACTIVATED = "reactivated", "Reactivated"
        PAST_DUE = "past_due", "Past due"
        CANCELLED = "cancelled", "Cancelled"
        CHANGED = "changed", "Plan or price changed"

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="events")
    creator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind)
    status = models.CharField(max_length=10, choices=Subscription.Status)
    plan = models.CharField(max_length=PLAN_LENGTH)
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    yearly_cents_delta = models.BigIntegerField(help_text="MRR moves by a twelfth of this.")
    occurred_at = models.DateTimeField(help_text="When it happened in the world.")
    created_at = models.DateTimeField(default=timezone.now, help_text="When it was recorded.")

    class Meta:
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["creator", "created_at"], name="monetization_event_of_creator"),
            # Only a reader with such an event can have stopped paying.
            models.Index(
                fields=["creator", "created_at"],
                condition=Q(status="cancelled"),
                name="monetization_event_cancelled",
            ),
            models.Index(fields=["subscription", "id"], name="monetization_event_of_sub"),
            models.Index(fields=["-created_at"], name="monetization_event_all"),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} {self.kind}"


class TipQuerySet(RecordQuerySet["Tip"]):
    """A creator's tips."""


class Tip(Addressed):
    """A reader's one-time gift. Its gross amount, fee and net amount never change."""

    id = primary_key(identifiers.tip_id)
    creator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="tips")
    gross_cents = models.BigIntegerField()
    fee_cents = models.BigIntegerField()
    net_cents = models.BigIntegerField()
    fee_bps = models.IntegerField()
    plan = models.CharField(max_length=40, help_text="The creator's plan when it was recorded.")
    currency = models.CharField(max_length=3)
    refunded_cents = models.BigIntegerField(default=0)
    fee_returned_cents = models.BigIntegerField(default=0)
    email = models.CharField(max_length=EMAIL_LENGTH, blank=True)
    reader = models.CharField(max_length=EMAIL_LENGTH, blank=True)
    name = models.CharField(max_length=NAME_LENGTH, blank=True)
    message = models.TextField(max_length=MESSAGE_LENGTH, blank=True)
    message_hidden_at = models.DateTimeField(
        null=True, blank=True, help_text="Hidden by the creator: shown on no page, in no file and no mail."
    )
    stripe_payment_id = models.CharField(  # noqa: DJ001 (two NULLs are not equal)
        max_length=STRIPE_ID_LENGTH, null=True, blank=True
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects = TipQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = (("refund_tip", "Can record a refund"), ("erase_reader", "Can erase a reader"))
        constraints = [
            models.UniqueConstraint(
                fields=["creator", "stripe_payment_id"], name="monetization_tip_stripe_id_once"
            ),
            models.CheckConstraint(
                condition=Q(
                    gross_cents=F("fee_cents") + F("net_cents"),
                    gross_cents__gt=0,
                    fee_cents__gte=0,
                    net_cents__gte=0,
                ),
                name="monetization_tip_parts_add_up",
            ),
            models.CheckConstraint(
                condition=Q(
                    refunded_cents__gte=0,
                    refunded_cents__lte=F("gross_cents"),
                    fee_returned_cents__gte=0,
                    fee_returned_cents__lte=F("fee_cents"),
                ),
                name="monetization_tip_refunds_at_most_the_whole",
            ),
            models.CheckConstraint(condition=Q(fee_bps__gte=0), name="monetization_tip_rate_is_not_negative"),
        ]
        indexes = [
            models.Index(fields=["creator", "-created_at", "-id"], name="monetization_tip_newest"),
            models.Index(
                fields=["creator", "currency", "gross_cents", "id"], name="monetization_tip_by_amount"
            ),
            # Finds the newest tip without a Stripe id, for the overview.
            models.Index(
                fields=["creator", "created_at"],
                condition=Q(stripe_payment_id=None),
                name="monetization_tip_no_stripe_id",
            ),
            # Staff search by the beginning of an address or a name. With this operator class, an index serves
            # LIKE in every collation. It serves equality too.
            models.Index(
                fields=["reader"], opclasses=["text_pattern_ops"], name="monetization_tip_reader_begins"
            ),
            models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="monetization_tip_name_begins"),
            models.Index(
                fields=["mailbox"],
                opclasses=["text_pattern_ops"],
                condition=~Q(mailbox=None),
                name="monetization_tip_mailbox",
            ),
            models.Index(fields=["id"], condition=not_filled("reader"), name="monetization_tip_not_filled"),
            models.Index(fields=["-created_at"], name="monetization_tip_all"),
            models.Index(
                fields=["stripe_payment_id"],
                condition=Q(stripe_payment_id__isnull=False),
                name="monetization_tip_stripe_id",
            ),
        ]

    ADDRESS_FIELD = "email"
    COMPARED_FIELD = "reader"

    def __str__(self) -> str:
        return self.id

    @property
    def shown_message(self) -> str:
        """The reader's message; "" if the creator has hidden it."""
        return "" if self.message_hidden_at else self.message

    @property
    def refundable_cents(self) -> int:
        """How much of the tip can still be refunded, in the smallest unit."""
        return self.gross_cents - self.refunded_cents

    @property
    def net_after_refunds_cents(self) -> int:
        """How much the creator keeps; below 0 if the whole tip is refunded and its fee is not returned."""
        return self.net_cents - (self.refunded_cents - self.fee_returned_cents)


class Refund(models.Model):
    """A refund to a reader, and the part of our fee that the refund returned. Refunds are append-only."""

    id = primary_key(identifiers.refund_id)
    tip = models.ForeignKey(Tip, on_delete=models.PROTECT, related_name="refunds")
    creator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    amount_cents = models.BigIntegerField()
    fee_returned_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    key = models.CharField(max_length=KEY_LENGTH)
    actor = models.CharField(max_length=300)
    reason = models.CharField(max_length=500, blank=True)
    number = identifiers.refund_number()  # Seals cover refunds by it.
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["tip", "key"], name="monetization_refund_key_once"),
            models.UniqueConstraint(fields=["number"], name="monetization_refund_number_once"),
            models.CheckConstraint(
                condition=Q(amount_cents__gt=0, fee_returned_cents__gte=0),
                name="monetization_refund_moves_something",
            ),
        ]
        indexes = [
            models.Index(fields=["creator", "created_at"], name="monetization_refund_of_creator"),
            models.Index(fields=["-created_at"], name="monetization_refund_all"),
        ]

    def __str__(self) -> str:
        return self.id
