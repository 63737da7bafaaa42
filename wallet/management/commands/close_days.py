"""`manage.py close_days [--again 2026-11-01]`: store the totals of each finished day."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand

from foundation.database.patience import patient
from foundation.words import count
from wallet.books import days


def day(text: str) -> date:
    """Return the date that a text such as 2026-11-01 names. Raises ArgumentTypeError for other texts."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a date such as 2026-11-01") from error


class Command(BaseCommand):
    help = (
        "Add up each finished day (UTC) of the ledger that is not added up yet, so that the back-office's "
        "overview does not have to do it. Safe to run again, and to run twice at the same time."
    )

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
                self.stdout.write(f"{count(days.reopen(again), 'day')} forgotten, from {again} on.")
            closed = days.close_days()
        if not closed:
            self.stdout.write("No finished day was open.")
            return
        entries = sum(each.entries for each in closed)
        which = f"{closed[0].day}" if len(closed) == 1 else f"{closed[0].day} to {closed[-1].day}"
        self.stdout.write(f"{count(len(closed), 'day')} added up, {which}: {entries} entries.")
