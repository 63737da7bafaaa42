"""`manage.py check_ledger [--json]`: do the laws of the books hold?"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from itertools import chain
from typing import Any

from misar_billing.operators import LookingCommand, database_read, snapshot
from monetization import invariants as records
from wallet import invariants
from wallet.models import Wallet

NAMED_MAX = 1000


class Command(LookingCommand):
    help = (
        "Check every law of the books, and of creators' records, in one snapshot while the service runs. "
        "Exit code 0: clean. 1: violations. 2: could not look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *, json: bool, **options: Any) -> None:
        found: list[invariants.Violation] = []
        count = 0
        with snapshot():
            wallets = Wallet.objects.count()
            with self.progress("Checking wallets", wallets) as advance:
                books = invariants.find_violations(on_wallets=advance)
                for violation in chain(books, records.find_violations()):
                    count += 1
                    if not json:
                        # As they are found: a check of millions must not keep its first finding to itself.
                        self.stdout.write(f"{violation.law}: {violation.subject}: {violation.detail}")
                    elif count <= NAMED_MAX:
                        found.append(violation)
        self._report(as_json=json, wallets=wallets, count=count, found=found)
        if count:
            self.found()

    def _report(self, *, as_json: bool, wallets: int, count: int, found: list[invariants.Violation]) -> None:
        if as_json:
            report = {
                "database": database_read(),
                "wallets": wallets,
                "violations": [asdict(violation) for violation in found],
                "violations_count": count,
                "clean": not count,
            }
            self.stdout.write(json.dumps(report))
            return
        outcome = f"{count} violations." if count else "Every law holds."
        self.stdout.write(f"{wallets} wallets in {database_read()}. {outcome}")
