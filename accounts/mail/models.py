"""The mails of the outbox."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

# A fact may contain a Misar ID, which has up to 255 characters.
KIND_LENGTH, FACT_LENGTH, SUBJECT_LENGTH = 40, 300, 200


class OutgoingMail(models.Model):
    """A mail, written in the same transaction as the event that it reports.

    When the mail is sent, given up or dropped, its address and texts are deleted; the row stays.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting to be sent"
        SENT = "sent", "Sent"
        FAILED = "failed", "Given up"
        DROPPED = "dropped", "No longer wanted"

    # Random, because the Message-ID contains this id and must stay unique after a backup is restored.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=KIND_LENGTH)
    fact = models.CharField(
        max_length=FACT_LENGTH,
        unique=True,
        help_text="What the mail is about, as receipt:top_... Each fact has only one mail.",
    )
    # Deleting a user deletes the user's mails: other rows hold everything that a mail says.
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, blank=True, related_name="outgoing_mails"
    )
    to = models.CharField(max_length=254, blank=True)
    subject = models.CharField(max_length=SUBJECT_LENGTH, blank=True)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)
    state = models.CharField(max_length=20, choices=State, default=State.WAITING)
    tries = models.IntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    last_error = models.CharField(
        max_length=100,
        blank=True,
        help_text="The error's class and status codes. The server's message is never stored, because it may "
        "contain the e-mail address.",
    )
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(
        null=True, blank=True, help_text="When the mail was given up or dropped."
    )

    class Meta:
        verbose_name = "outgoing mail"
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(state="waiting", sent_at=None, given_up_at=None)
                | Q(state="sent", sent_at__isnull=False, given_up_at=None)
                | Q(state__in=["failed", "dropped"], sent_at=None, given_up_at__isnull=False),
                name="accounts_outgoingmail_ends_once",
            ),
            models.CheckConstraint(
                condition=(Q(state="waiting") & ~Q(to="")) | Q(to="", subject="", text="", html=""),
                name="accounts_outgoingmail_ends_empty",
            ),
            models.CheckConstraint(condition=Q(tries__gte=0), name="accounts_outgoingmail_counts_tries"),
        ]
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(state="waiting"), name="accounts_mail_due"),
            models.Index(fields=["-created_at"], name="accounts_mail_newest"),
        ]

    def __str__(self) -> str:
        return self.fact
