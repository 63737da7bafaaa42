"""Writing history at past times, for a sandbox only."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest import mock

from django.conf import settings
from django.utils import timezone


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """Set the time that the verbs see. Production refuses it."""
    assert not settings.PRODUCTION
    with mock.patch.object(timezone, "now", return_value=moment.astimezone(UTC)):
        yield
