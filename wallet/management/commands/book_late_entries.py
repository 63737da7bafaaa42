"""`manage.py book_late_entries 2026-03-01 [--reason "Restore of 3 April" --by anna]`."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import CommandError
from django.db import IntegrityError

from foundation import money
from foundation.operators import COULD_NOT_LOOK, LookingCommand, day
from foundation.text import is_printable, is_visible
from foundation.words import count
from wallet.books import months
from wallet.books.totals import NAME_LENGTH, REASON_LENGTH


class Command(LookingCommand):
    help = (
        "Show what came into a closed month after it was closed, such as by a restore. With --reason and "
        "--by, book it in the month of now, for good; the closed month stays as it is. First add the days of "
        "the month up again: close_days --again. Exit code 0: the month lacks nothing, or it is booked. 1: "
        "it lacks what is shown. 2: could not."
    )
    purpose = "book late entries"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("month", type=day, metavar="DATE", help="any day of the closed month")
        parser.add_argument("--reason", help="why entries came into it, for finance")
        parser.add_argument("--by", help="who books them")

    def handle(self, *, month: date, reason: str | None, by: str | None, **options: Any) -> None:
        month = month.replace(day=1)
        if reason is None and by is None:
            self._say(parts := months.lacking(month), month)
            if parts:
                self.found()
            return
        booked_by, why = _checked("--by", by, NAME_LENGTH), _checked("--reason", reason, REASON_LENGTH)
        try:
            parts = months.book_late(month, booked_by=booked_by, reason=why)
        except IntegrityError as error:
            raise CommandError(
                "Another process books the same. Look again.", returncode=COULD_NOT_LOOK
            ) from error
        self._say(parts, month)
        if parts:
            self.stdout.write("Booked in the month of now.")

    def _say(self, parts: list[months.Part], month: date) -> None:
        for part in parts:
            of = " ".join(filter(None, (part.product, part.feature, part.kind)))
            entries = count(part.entries, "entry", "entries")
            self.stdout.write(f"{month:%Y-%m} {of}: {money.signed(part.credits)} credits in {entries}.")
        if not parts:
            self.stdout.write(
                f"{month:%Y-%m} lacks nothing, is not closed, or has a day that is not added up."
            )


def _checked(option: str, text: str | None, longest: int) -> str:
    if not text or not (is_visible(text) and is_printable(text) and len(text) <= longest):
        raise CommandError(
            f"{option} must be a printable text of at most {longest} characters.", returncode=COULD_NOT_LOOK
        )
    return text
