"""`manage.py close_days [--again 2026-11-01]`: store the totals of each finished day and month."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from foundation.operators import LookingCommand, day
from foundation.words import count
from wallet.books import days, months


class Command(LookingCommand):
    help = (
        "Add up each finished day (UTC) of the ledger that is not added up yet, so that the back-office's "
        "overview does not have to do it. Safe to run again, and to run twice at the same time. "
        "Exit code 0: done. 2: could not."
    )
    purpose = "close days"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--again",
            type=day,
            metavar="DATE",
            help="first delete the totals of this day and of all later days, then add these days up again",
        )

    def handle(self, *, again: date | None, **options: Any) -> None:
        if again is not None:
            self.stdout.write(f"{count(days.reopen(again), 'day')} forgotten, from {again} on.")
        if closed := days.close_days():
            entries = sum(each.entries for each in closed)
            which = f"{closed[0].day}" if len(closed) == 1 else f"{closed[0].day} to {closed[-1].day}"
            self.stdout.write(f"{count(len(closed), 'day')} added up, {which}: {entries} entries.")
        else:
            self.stdout.write("No finished day was open.")
        if featured := days.add_features():
            self.stdout.write(f"{count(len(featured), 'earlier day')} added up by feature.")
        for month in months.close_months():
            self.stdout.write(f"{month:%Y-%m} closed.")
