"""The command that seals the history: `manage.py seal_ledger [--watch] [--every 300] [--to FILE]`."""

import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from foundation.database.patience import patient
from foundation.operators import COULD_NOT_LOOK, Round, WatchingCommand, file_name
from foundation.words import count
from wallet.seals import files, heads, sealing
from wallet.seals.files import STDOUT, FileRefused

# With --watch, the rounds between look only at the wallets that moved since the round before.
ALL_WALLETS_EVERY_SECONDS = 3600.0


class Command(WatchingCommand):
    help = (
        "Seal what was written since the last seals: entries of wallets, acts of staff and other history. "
        "check_ledger --seals shows later whether any of it was changed. It is safe to run this again, to "
        "stop it, and to run several at the same time. Exit code 0: nothing failed. 1: something could not "
        "be sealed. 2: an error stopped the command. With --watch it goes on until SIGTERM."
    )
    every_seconds = 300
    since: datetime | None = None
    looks_at_all_at = 0.0  # On the monotonic clock.
    purpose = "seal"

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--to",
            type=file_name,
            metavar="FILE",
            help="then write the last seals and their Merkle root to a new file, for another machine; - is "
            "stdout. Not with --watch",
        )

    def handle(self, *, watch: bool, every: int, to: str | None = None, **options: Any) -> None:
        if to is not None and watch:
            raise CommandError("Use either --to or --watch: each file needs a name of its own.", returncode=2)
        self.to, self.file = to, self.stdout
        if to == STDOUT:
            self.stdout = self.stderr  # Sentences must not get into the file.
        super().handle(watch=watch, every=every)

    def work(self) -> Round:
        """Seal all that is not sealed yet, or stop after a batch when SIGTERM came."""
        with patient(), self.progress("Sealing") as advance:
            since = self.since if (now := time.monotonic()) < self.looks_at_all_at else None
            sealed = sealing.seal(since=since, go_on=self.goes_on, on_sealed=advance)
            written = "" if self.to is None else self._write(self.to)
        self.since = sealed.began_at
        if since is None:
            self.looks_at_all_at = now + ALL_WALLETS_EVERY_SECONDS
        if sealed.failed:  # The next round tries again, even if the wallet does not move.
            self.looks_at_all_at = 0.0
        for name, trouble in sealed.failed.items():
            self.stderr.write(f"Not sealed: {name}: {trouble}")
        entries = f"{count(sealed.entries, 'entry', 'entries')} of {count(sealed.wallets, 'wallet')}"
        sentence = f"{entries} and {count(sealed.rows, 'row')} of other history sealed.{written}"
        return Round(sentence, did_something=bool(sealed.entries or sealed.rows), failed=bool(sealed.failed))

    def _write(self, path: str) -> str:
        try:
            summary = heads.write(path, stdout=self.file)
        except FileRefused as refusal:
            raise CommandError(str(refusal), returncode=COULD_NOT_LOOK) from refusal
        heads_of = f"{count(summary['wallets'], 'wallet')} and {count(summary['tables'], 'table')}"
        return f" {files.written_as(path)} has the last seals of {heads_of}; their root is {summary['root']}."
