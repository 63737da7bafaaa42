"""The link to a creator's free days."""

from django.conf import settings
from django.db import models
from django.utils import timezone

TITLE_LENGTH = 100
NONCE_LENGTH = 22  # 128 random bits in base64.


class FreeSlotsLink(models.Model):
    """A link that shows which days of a creator's positions are free. A creator has at most one.

    The link's token is signed, so `nonce` alone does not open it (links.py).
    """

    creator = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.PROTECT, related_name="+"
    )
    nonce = models.CharField(max_length=NONCE_LENGTH, unique=True)
    title = models.CharField(max_length=TITLE_LENGTH, blank=True)  # All that the page says of the creator.
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.creator_id
