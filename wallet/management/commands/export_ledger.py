"""`manage.py export_ledger --to FILE [--since DATE] [--until DATE] [--user ID] [--seals FILE]`."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from foundation.operators import COULD_NOT_LOOK, LookingCommand, database_read, file_name, midnight
from foundation.words import count
from wallet.models import Seal, Wallet
from wallet.seals import export
from wallet.seals.export import Exported, Scope
from wallet.seals.files import STDOUT, FileRefused, shown


class Command(LookingCommand):
    help = (
        "Write the sealed entries of a period, their seals and the proof up to the Merkle root into one "
        "file for an auditor, in one snapshot while the service runs. `verify_export` checks the file "
        "without a database. Entries that are not sealed yet are left out and counted. Exit code 0: written. "
        "1: written, but the books and the seals differ. 2: could not write."
    )
    purpose = "export"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--to",
            required=True,
            type=file_name,
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
        scope = Scope(since=since, until=until, user=user)
        _require_sense(scope)
        exported = self._write(to, scope, seals)
        for difference in exported.differences:
            self.stderr.write(f"The books and the seals differ: {shown(difference)}")
        entries = count(exported.entries, "entry", "entries")
        say(f"{entries} of {count(exported.wallets, 'wallet')} in {database_read()}. Root: {exported.root}")
        if not exported.entries:
            say("The file has no entry, so it proves none.")
        if exported.unsealed:
            unsealed = count(exported.unsealed, "entry", "entries")
            where = "in that seal file" if seals else "yet"
            say(f"Not in the file: {unsealed} of the period that no seal covers {where}.")
        if exported.differences:
            self.stderr.write("`check_ledger --seals` says what was changed.")
            self.found()

    def _write(self, path: str, scope: Scope, seal_file: str | None) -> Exported:
        try:
            with self.progress("Exporting entries") as advance:
                return export.write(
                    path, stdout=self.stdout, scope=scope, seal_file=seal_file, on_entries=advance
                )
        except FileRefused as refusal:  # Its sentence says all.
            raise CommandError(str(refusal), returncode=COULD_NOT_LOOK) from refusal


def _require_sense(scope: Scope) -> None:
    """Raise CommandError for a period without a day, and for a wallet that never was.

    A wallet that was deleted still has its seals.
    """
    if scope.since is not None and scope.until is not None and scope.since >= scope.until:
        raise CommandError("--since must be before --until.", returncode=COULD_NOT_LOOK)
    user = scope.user
    if user is None or Wallet.objects.filter(pk=user).exists() or Seal.objects.filter(wallet=user).exists():
        return
    raise CommandError(f"There is no wallet of {user!r}.", returncode=COULD_NOT_LOOK)
