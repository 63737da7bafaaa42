"""Writing history at past times, for a sandbox only."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from django.conf import settings
from django.db.models.expressions import DatabaseDefault
from django.db.models.signals import pre_save
from django.utils import timezone

from wallet.models import Entry


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """Set the time that the verbs see, and the time of the entries that they write. Production refuses it.

    Along a wallet's entries the time never falls, so each wallet's history must be written oldest first.
    """
    assert not settings.PRODUCTION
    pre_save.connect(_date, sender=Entry)
    try:
        with mock.patch.object(timezone, "now", return_value=moment.astimezone(UTC)):
            yield
    finally:
        pre_save.disconnect(_date, sender=Entry)


def _date(instance: Entry, **_: Any) -> None:
    """Give an entry the time that the verbs see. Without this, the database gives it the present time."""
    instance.created_at = timezone.now()
    if isinstance(instance.effective_at, DatabaseDefault):
        instance.effective_at = instance.created_at
