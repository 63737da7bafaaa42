"""The command for maintenance: `manage.py maintenance begin "Why." | end | status`."""

import time
from argparse import ArgumentParser
from datetime import UTC
from typing import Any

from django.core.management.base import CommandError

from accounts import maintenance
from accounts.maintenance import Writer
from accounts.models import Maintenance
from foundation.operators import COULD_NOT_LOOK, LookingCommand
from foundation.words import moment

LOOK_EVERY_SECONDS = 0.2


class Command(LookingCommand):
    help = (
        "Pause all changes: every web process answers 503 to what is no reading, and background work rests. "
        "`begin` returns when no change is accepted any more and what ran has ended. It is safe to run again "
        "(a new reason replaces the old one). Run it as the operator role. Exit code 0: done; for `status`, "
        "there is no maintenance. 1: something still writes; for `status`, there is maintenance. 2: an error "
        "stopped the command."
    )
    purpose = "do that"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("begin", "end", "status"))
        parser.add_argument("reason", nargs="?", help="a sentence for users, such as: Back at 14:00 UTC.")
        parser.add_argument(
            "--wait", type=int, default=60, help="how many seconds to wait for what still writes; %(default)s"
        )

    def handle(self, *, action: str, reason: str | None, wait: int, **options: Any) -> None:
        if (action == "begin") != (reason is not None):
            raise CommandError(
                "`begin` needs a reason, and no other action has one.", returncode=COULD_NOT_LOOK
            )
        if action == "begin":
            self._begin(str(reason), wait)
        elif action == "status":
            self._status()
        elif maintenance.end():
            self._say("The maintenance has ended. Every process accepts changes again within a second.")
        else:
            self._say("There was no maintenance.")

    def _status(self) -> None:
        if (found := Maintenance.objects.first()) is None:
            self._say("There is no maintenance.")
            return
        self._say(f"Changes are paused since {moment(found.since.astimezone(UTC))}: {found.reason}")
        self.found()

    def _begin(self, reason: str, wait: int) -> None:
        began = maintenance.begin(reason)
        seconds = maintenance.REMEMBERED_SECONDS + maintenance.REQUEST_SECONDS_MAX
        self._say(f"Maintenance since {moment(began.since.astimezone(UTC))}: {began.reason}")
        self._say(f"Waiting {seconds:.0f} seconds for the requests that run now.")
        time.sleep(seconds)
        # From here on no request of before is running, and no other one writes.
        before = time.monotonic()
        give_up_at = before + wait
        while True:
            work = maintenance.is_a_round_running()
            writing = maintenance.still_writing(seconds=time.monotonic() - before)
            if not (work or writing):
                break
            if time.monotonic() >= give_up_at:
                self._report(work, writing)
                self.found()
            time.sleep(LOOK_EVERY_SECONDS)
        self._say("No change is accepted any more. To go on: manage.py maintenance end")

    def _report(self, work: bool, writing: list[Writer]) -> None:
        self.stderr.write(
            "No request is accepted that changes something, but what began before still writes:"
        )
        if work:
            self.stderr.write("- background work: tidy, send_mail or seal_ledger with --watch")
        for writer in writing:
            self.stderr.write(
                f"- a transaction of {writer.role} since {writer.since:%H:%M:%S}, {writer.name}"
            )
        self.stderr.write("Wait for it, or end it, and run this again.")

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()
