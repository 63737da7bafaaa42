"""The command that sends the mails that are due: `manage.py send_mail [--watch] [--every 10]`."""

import signal
import time
from argparse import ArgumentParser, ArgumentTypeError
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, close_old_connections

from accounts.mail import outbox
from foundation.errors import first_line
from foundation.operators import COULD_NOT_LOOK, LookingCommand

SENT_AT_ONCE = 1000
PRUNED_EVERY_SECONDS = 3600
NAP_SECONDS = 0.5


def seconds(text: str) -> int:
    """Return the text as a whole number of seconds, at least 1."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise ArgumentTypeError(f"{text!r} is not a whole number of seconds, at least 1")
    return int(text)


class Command(LookingCommand):
    help = (
        "Send the mail that is due. It is safe to run this again, and to run several at the same time. "
        "Exit code 0: nothing failed. 1: a mail failed; it is tried again later, unless it was given up. "
        "2: an error stopped the command, or mail is off. With --watch it goes on until SIGTERM."
    )
    stopping = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--watch", action="store_true", help="go on until SIGTERM or Ctrl-C")
        parser.add_argument("--every", type=seconds, default=10, help="seconds between two rounds of --watch")

    def execute(self, *args: Any, **options: Any) -> str | None:
        if not settings.MAIL_ENABLED:
            raise CommandError("Mail is off: EMAIL_URL is not set.", returncode=COULD_NOT_LOOK)
        if options["watch"]:
            # Do not connect here: this process may start before PostgreSQL, and must survive an outage.
            return BaseCommand.execute(self, *args, **options)
        return super().execute(*args, **options)

    def handle(self, *, watch: bool, every: int, **options: Any) -> None:
        if watch:
            self._watch(every)
            return
        outcome = outbox.send_due(SENT_AT_ONCE)
        outbox.prune()
        self.stdout.write(str(outcome))
        if outcome.failed or outcome.given_up:
            self.found()

    def _watch(self, every: int) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        prune_at = time.monotonic()
        reached = True
        while not self.stopping:
            try:
                close_old_connections()
                outcome = outbox.send_due(SENT_AT_ONCE, go_on=lambda: not self.stopping)
                if time.monotonic() >= prune_at:
                    outbox.prune()
                    prune_at = time.monotonic() + PRUNED_EVERY_SECONDS
            except Error as error:
                if reached:  # Report an outage once, not in every round.
                    self._say(f"The database cannot be used, trying again: {first_line(error)}")
                reached = False
            else:
                reached = True
                if outcome.sent or outcome.failed or outcome.given_up:
                    self._say(str(outcome))
            self._rest(every)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True  # The current mail is still sent.

    def _rest(self, seconds: int) -> None:
        wake_at = time.monotonic() + seconds
        while not self.stopping and (left := wake_at - time.monotonic()) > 0:
            time.sleep(min(left, NAP_SECONDS))

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()
