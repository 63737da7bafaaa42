"""The command that checks the books: `manage.py check_ledger [--json] [--seals [--file F] [--user U]]`."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from foundation.operators import COULD_NOT_LOOK, LookingCommand, database_read, snapshot
from foundation.words import count
from misar_billing import guards
from monetization import laws as records
from wallet.books import audits, laws
from wallet.models import Audit, Wallet
from wallet.seals import checking
from wallet.seals.checking import Unsealed

NAMED_MAX = 1000


class Command(LookingCommand):
    help = (
        "Check every law of the books, and of creators' records, in one snapshot while the service runs. "
        "With --seals, compare the history with its seals instead (seal_ledger makes them). "
        "Exit code 0: clean. 1: violations. 2: could not look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

        parser.add_argument("--seals", action="store_true", help="check the seals instead of the laws")
        parser.add_argument("--file", help="with --seals: compare the seals with this seal file too")
        parser.add_argument("--user", help="with --seals: only the wallet of this Misar ID")

    def handle(self, *, json: bool, seals: bool, file: str | None, user: str | None, **options: Any) -> None:
        if not seals and (file is not None or user is not None):
            raise CommandError("--file and --user go with --seals.", returncode=COULD_NOT_LOOK)
        kind, unsealed = Audit.Kind.SEALS if seals else Audit.Kind.LAWS, Unsealed()
        with audits.examination(kind, on_trouble=self.stderr.write) as audit, snapshot():
            wallets = Wallet.objects.count() if user is None else 1
            with self.progress("Checking wallets", wallets) as advance:
                found = self._of_seals(unsealed, file, user, advance) if seals else self._of_laws(advance)
                for violation in found:
                    audit.found_count += 1
                    if audit.found_count <= NAMED_MAX:
                        audit.findings.append(asdict(violation))
                    if not json:  # Print now: a check of millions of wallets takes long.
                        self.stdout.write(f"{violation.law}: {violation.subject}: {violation.detail}")
            audit.seen_count = wallets
        self._report(audit, unsealed if seals else None, as_json=json)
        if audit.found_count:
            self.found()

    def _of_laws(self, advance: Callable[[int], None]) -> Iterator[laws.Violation]:
        yield from laws.find_violations(on_wallets=advance)
        yield from records.find_violations()
        for law, query in guards.LAWS.items():
            yield from laws.broken(law, query, {})

    def _of_seals(
        self, unsealed: Unsealed, file: str | None, user: str | None, advance: Callable[[int], None]
    ) -> Iterator[laws.Violation]:
        yield from checking.find_differences(unsealed=unsealed, user_id=user, on_wallets=advance)
        if file is not None:
            yield from checking.compare_file(file, user_id=user)

    def _report(self, audit: Audit, unsealed: Unsealed | None, *, as_json: bool) -> None:
        if as_json:
            report = {
                "database": database_read(),
                "wallets": audit.seen_count,
                "violations": audit.findings,
                "violations_count": audit.found_count,
                "clean": not audit.found_count,
            }
            if unsealed is not None:
                report["unsealed"] = asdict(unsealed)
            self.stdout.write(json.dumps(report))
            return
        outcome = f"{audit.found_count} violations." if audit.found_count else "Every law holds."
        if unsealed is not None:
            outcome = f"{count(audit.found_count, 'difference')} from the seals."
            entries, rows = count(unsealed.entries, "entry", "entries"), count(unsealed.rows, "other row")
            outcome += f" Younger than the last seals: {entries} and {rows}."
        self.stdout.write(f"{audit.seen_count} wallets in {database_read()}. {outcome}")
