"""The command that sends the mails that are due: `manage.py send_mail [--watch] [--every 10]`."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from accounts.mail import outbox
from foundation.operators import COULD_NOT_LOOK, Round, WatchingCommand

SENT_AT_ONCE = 1000
WRITTEN_EVERY_SECONDS = 60
PRUNED_EVERY_SECONDS = 3600


class Command(WatchingCommand):
    help = (
        "Send the mail that is due. Before that, write the mails of a week, and receipts that could not be "
        "written with their payment. It is safe to run this again, and to run several at the same time. "
        "Exit code 0: nothing failed. 1: a mail failed; it is tried again later, unless it was given up. "
        "2: an error stopped the command, or mail is off. With --watch it goes on until SIGTERM."
    )
    _prune_at = _write_at = 0.0

    def execute(self, *args: Any, **options: Any) -> str | None:
        if not settings.MAIL_ENABLED:
            raise CommandError("Mail is off: EMAIL_URL is not set.", returncode=COULD_NOT_LOOK)
        return super().execute(*args, **options)

    def work(self) -> Round:
        """Write what no event has written, send the mail that is due, and delete old mail once an hour."""
        late = outbox.Written()
        if time.monotonic() >= self._write_at:
            # Set first: if a writer cannot read its table, the next rounds still send the mail that waits.
            self._write_at = time.monotonic() + WRITTEN_EVERY_SECONDS
            for write in outbox.WRITERS:
                one = write(self.goes_on)
                late = outbox.Written(late.written + one.written, late.failed + one.failed)
        outcome = outbox.send_due(SENT_AT_ONCE, go_on=self.goes_on)
        if time.monotonic() >= self._prune_at:
            outbox.prune()
            self._prune_at = time.monotonic() + PRUNED_EVERY_SECONDS
        sentence = f"{outcome}, {late.failed} not written" if late.failed else str(outcome)
        failed = bool(outcome.failed or outcome.given_up or late.failed)
        return Round(sentence, did_something=bool(outcome.sent) or failed, failed=failed)
