"""Which creators get weekly mails."""

from django.conf import settings
from django.db import models
from django.db.models import Q


class Digest(models.Model):
    """A creator who gets the tips of each week in one mail, and the first week without such a mail yet.

    The row is made when the creator chooses this. It outlives the choice until the mail about the week of the
    last such tip is written.
    """

    creator = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    next_week = models.DateField(db_index=True, help_text="The Monday (UTC) with which the week begins.")

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(next_week__iso_week_day=1), name="monetization_digest_week_begins_on_monday"
            ),
        ]

    def __str__(self) -> str:
        return self.creator_id
