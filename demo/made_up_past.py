"""A made-up past, for a sandbox alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest import mock

from django.conf import settings
from django.utils import timezone


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """Let the verbs write as if it were then. Nothing but a sandbox may have a past made up."""
    assert not settings.PRODUCTION
    with mock.patch.object(timezone, "now", return_value=moment.astimezone(UTC)):
        yield
