"""`manage.py close_creators_days [--again 2026-11-01]`: store the totals of each finished day's records."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from foundation.database.patience import patient
from foundation.operators import LookingCommand, day
from foundation.words import count
from monetization.days import closing


class Command(LookingCommand):
    help = (
        "Add up the creators' records of each finished day (UTC) that is not added up yet, so that the "
        "figures of creators do not have to do it. Safe to run again, and to run twice at the same time. "
        "Exit code 0: done. 2: could not."
    )
    purpose = "close creators' days"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--again",
            type=day,
            metavar="DATE",
            help="first delete the totals of this day and of all later days, then add these days up again",
        )

    def handle(self, *, again: date | None, **options: Any) -> None:
        with patient():
            if again is not None:
                self.stdout.write(f"{count(closing.reopen(again), 'day')} forgotten, from {again} on.")
            closed = closing.close_days()
        if not closed:
            self.stdout.write("No finished day was open.")
            return
        which = f"{closed[0].day}" if len(closed) == 1 else f"{closed[0].day} to {closed[-1].day}"
        self.stdout.write(f"{count(len(closed), 'day')} added up, {which}.")
