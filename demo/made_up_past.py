"""Writing history at past times, for a sandbox only."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest import mock

from django.conf import settings
from django.utils import timezone

from wallet.books import ledger


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """Set the time that the verbs see, and the time of the entries that they write. Production refuses it.

    Along a wallet's entries the time never falls, so each wallet's history must be written oldest first.
    """
    assert not settings.PRODUCTION
    moment = moment.astimezone(UTC)
    times = {"created_at": moment, "effective_at": moment}
    with (
        mock.patch.object(timezone, "now", return_value=moment),
        mock.patch.object(ledger, "times_of", return_value=times),
    ):
        yield
