"""`manage.py export_ledger --to FILE [--since DATE] [--until DATE] [--user ID] [--seals FILE]`."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from foundation.operators import LookingCommand, database_read
from foundation.words import count
from wallet.seals import export
from wallet.seals.export import Scope
from wallet.seals.files import STDOUT, shown


def midnight(text: str) -> datetime:
    """Return the midnight (UTC) at which a day such as 2026-11-01 begins, or raise ArgumentTypeError."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a date such as 2026-11-01") from error


class Command(LookingCommand):
    help = (
        "Write the sealed entries of a period, their seals and the proof up to the Merkle root into one "
        "file for an auditor, in one snapshot while the service runs. `verify_export` checks the file "
        "without a database. Entries that are not sealed yet are left out and counted. Exit code 0: written. "
        "1: written, but the books and the seals differ. 2: could not write."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--to",
            required=True,
            metavar="FILE",
            help="a new file, compressed if its name ends in .gz; - is stdout",
        )
        parser.add_argument("--since", type=midnight, metavar="DATE", help="entries from this day on (UTC)")
        parser.add_argument("--until", type=midnight, metavar="DATE", help="entries before this day (UTC)")
        parser.add_argument("--user", metavar="MISAR_ID", help="only this user's wallet")
        parser.add_argument(
            "--seals",
            metavar="FILE",
            help="prove up to the root of this seal file, not of the seals now",
        )

    def handle(
        self,
        *,
        to: str,
        since: datetime | None,
        until: datetime | None,
        user: str | None,
        seals: str | None,
        **options: Any,
    ) -> None:
        # Sentences go where they cannot get into the file.
        say = self.stderr.write if to == STDOUT else self.stdout.write
        with self.progress("Exporting entries") as advance:
            exported = export.write(
                to,
                stdout=self.stdout,
                scope=Scope(since=since, until=until, user=user),
                seal_file=seals,
                on_entries=advance,
            )
        for difference in exported.differences:
            self.stderr.write(f"The books and the seals differ: {shown(difference)}")
        entries = count(exported.entries, "entry", "entries")
        say(f"{entries} of {count(exported.wallets, 'wallet')} in {database_read()}. Root: {exported.root}")
        if exported.unsealed:
            unsealed = count(exported.unsealed, "entry", "entries")
            where = "in that seal file" if seals else "yet"
            say(f"Not in the file: {unsealed} of the period that no seal covers {where}.")
        if exported.differences:
            self.stderr.write("`check_ledger --seals` says what was changed.")
            self.found()
