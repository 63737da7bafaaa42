"""The command that checks the laws of the books: `manage.py check_ledger [--json]`."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from itertools import chain
from typing import Any

from foundation.operators import LookingCommand, database_read, snapshot
from monetization import laws as records
from wallet.books import audits, laws
from wallet.models import Audit, Wallet

NAMED_MAX = 1000


class Command(LookingCommand):
    help = (
        "Check every law of the books, and of creators' records, in one snapshot while the service runs. "
        "Exit code 0: clean. 1: violations. 2: could not look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *, json: bool, **options: Any) -> None:
        with audits.examination(Audit.Kind.LAWS, on_trouble=self.stderr.write) as audit, snapshot():
            wallets = Wallet.objects.count()
            with self.progress("Checking wallets", wallets) as advance:
                books = laws.find_violations(on_wallets=advance)
                for violation in chain(books, records.find_violations()):
                    audit.found_count += 1
                    if audit.found_count <= NAMED_MAX:
                        audit.findings.append(asdict(violation))
                    if not json:  # Print now: a check of millions of wallets takes long.
                        self.stdout.write(f"{violation.law}: {violation.subject}: {violation.detail}")
            audit.seen_count = wallets
        self._report(audit, as_json=json)
        if audit.found_count:
            self.found()

    def _report(self, audit: Audit, *, as_json: bool) -> None:
        if as_json:
            report = {
                "database": database_read(),
                "wallets": audit.seen_count,
                "violations": audit.findings,
                "violations_count": audit.found_count,
                "clean": not audit.found_count,
            }
            self.stdout.write(json.dumps(report))
            return
        outcome = f"{audit.found_count} violations." if audit.found_count else "Every law holds."
        self.stdout.write(f"{audit.seen_count} wallets in {database_read()}. {outcome}")
