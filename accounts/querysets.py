"""The reading language of keys, service keys and API keys alike."""

from datetime import datetime
from typing import Any, Self

from django.db import models, transaction
from django.db.models import Q


class KeyQuerySet(models.QuerySet[Any]):
    def usable(self, at: datetime) -> Self:
        """Keys that open a door at that moment: not revoked, not expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None)

    def note_use(self, key: models.Model, *, at: datetime) -> None:
        """Write down when a key was used, unless somebody holds its row: no request waits for this."""
        with transaction.atomic():
            free = self.select_for_update(skip_locked=True).filter(pk=key.pk).values("pk")
            self.filter(pk__in=free).update(last_used_at=at)
