"""`manage.py check_ledger [--json]`: do the laws of the books hold?"""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any

from django.utils import timezone

from foundation.operators import LookingCommand, database_read, snapshot
from monetization import laws as records
from wallet.books import audits, laws
from wallet.models import Audit, Wallet

NAMED_MAX = 1000


@dataclass
class Look:
    """How far one run has come: wallets seen, violations counted, and the first of them."""

    wallets: int = 0
    count: int = 0
    found: list[laws.Violation] = field(default_factory=list)


class Command(LookingCommand):
    help = (
        "Check every law of the books, and of creators' records, in one snapshot while the service runs. "
        "Exit code 0: clean. 1: violations. 2: could not look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *, json: bool, **options: Any) -> None:
        look, started_at = Look(), timezone.now()
        outcome, remark = Audit.Outcome.UNFINISHED, ""
        try:
            with snapshot():
                # As they are found: a check of millions must not keep its first finding to itself.
                self._look(look, told=(lambda line: None) if json else self.stdout.write)
            outcome = Audit.Outcome.FOUND if look.count else Audit.Outcome.CLEAN
        except Exception as error:
            remark = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise
        finally:
            audits.note(
                Audit.Kind.LAWS,
                started_at=started_at,
                seen=look.wallets,
                findings=[asdict(violation) for violation in look.found[: audits.FINDINGS_MAX]],
                found=look.count,
                outcome=outcome,
                remark=remark,
                on_trouble=self.stderr.write,
            )
        self._report(as_json=json, wallets=look.wallets, count=look.count, found=look.found)
        if look.count:
            self.found()

    def _look(self, look: Look, told: Callable[[str], object]) -> None:
        wallets = Wallet.objects.count()
        with self.progress("Checking wallets", wallets) as advance:
            books = laws.find_violations(on_wallets=advance)
            for violation in chain(books, records.find_violations()):
                look.count += 1
                told(f"{violation.law}: {violation.subject}: {violation.detail}")
                if look.count <= NAMED_MAX:
                    look.found.append(violation)
        look.wallets = wallets

    def _report(self, *, as_json: bool, wallets: int, count: int, found: list[laws.Violation]) -> None:
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
