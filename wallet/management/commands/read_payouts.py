"""`manage.py read_payouts [--since 2026-01-01] [--all]`: read Stripe's balance transactions and payouts."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from foundation.operators import COULD_NOT_LOOK, LookingCommand, moment
from wallet.errors import StripeOutOfReach
from wallet.payments.payouts import money, reading


class Command(LookingCommand):
    help = (
        "Read what moved on our balance at Stripe since the last run, with Stripe's fees and payouts, and "
        "close the money of each finished month. It changes nothing at Stripe. Safe to run again, and to run "
        "twice at the same time. Exit code 0: done. 1: done, but Stripe does not know a payout that its "
        "month waits for. 2: could not."
    )
    purpose = "read payouts"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since",
            type=moment,
            help="where the first run begins: 90d or a date; the default is the first top-up",
        )
        parser.add_argument(
            "--all",
            action="store_true",
            dest="without_pauses",
            help="also ask for each payout that is not settled and would be asked for later, such as after "
            "you gave the service the right key",
        )

    def handle(self, *, since: datetime | None, without_pauses: bool, **options: Any) -> None:
        try:
            with self.progress("Reading what Stripe has") as advance:
                until = reading.read(since=since, without_pauses=without_pauses, on_page=advance)
        except StripeOutOfReach as error:
            raise CommandError(
                "Could not read: Stripe cannot be reached, refuses our key, or answers wrongly.",
                returncode=COULD_NOT_LOOK,
            ) from error
        if until is None:
            self.stdout.write("There is no top-up yet.")
            return
        self.stdout.write(f"Read until {until:%Y-%m-%d %H:%M} UTC.")
        for month in money.close():
            self.stdout.write(f"Money of {month:%Y-%m} closed.")
        for payout in reading.unknown():
            again = reading.next_question(payout)
            self.stdout.write(
                f"Payout {payout.pk} of {payout.created_at:%Y-%m-%d}: Stripe does not know it, or answers "
                f"wrongly, since {payout.unknown_since:%Y-%m-%d}. It is asked for again "
                + (f"from {again:%Y-%m-%d} on." if again else "by the next run.")
            )
        if (reading.unknown() & reading.waited_for()).exists():
            self.found()
