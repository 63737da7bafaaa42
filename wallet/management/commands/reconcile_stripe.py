"""`manage.py reconcile_stripe [--since 14d] [--apply] [--json]`: Stripe against the books."""

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from foundation import money
from foundation.operators import COULD_NOT_LOOK, LookingCommand, database_read
from wallet.books import audits
from wallet.books.models import Audit
from wallet.errors import StripeOutOfReach
from wallet.payments import reconciliation
from wallet.payments.reconciliation import Finding

AGE = re.compile(r"([1-9][0-9]{0,3})([dhw])", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # Stripe's API counts from here, and takes no negative time.
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

MEANINGS = {
    "uncredited": "paid at Stripe, not credited",
    "credited": "paid at Stripe, credited now",
    "unpaid": "credited, but not paid at Stripe",
    "parked": "paid at Stripe, a person must decide",
}


def moment(text: str) -> datetime:
    """`14d`, `36h`, `2w` back from now, or a date such as 2026-11-01 in UTC."""
    if age := AGE.fullmatch(text):
        return max(timezone.now() - int(age[1]) * UNITS[age[2]], EPOCH)
    try:
        return max(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC), EPOCH)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r} is neither an age such as 14d nor a date such as 2026-11-01"
        ) from error


@dataclass
class Look:
    """How far one run has come: sessions seen, and on which Stripe and the books disagree."""

    seen: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def still_open(self) -> list[Finding]:
        """Those that were not repaired just now."""
        return [finding for finding in self.findings if finding.is_open]


class Command(LookingCommand):
    help = (
        "Compare Stripe's Checkout Sessions with the books: what was paid and not credited, and what was "
        "credited and not paid. Changes nothing without --apply, which credits the first kind. Safe to run "
        "again. Exit code 0: they agree (after --apply: now). 1: they don't. 2: could not look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since", type=moment, default="14d", help="how far back: 14d, 36h, 2w or a date"
        )
        parser.add_argument("--apply", action="store_true", help="credit what was paid and not credited")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *, since: datetime, apply: bool, json: bool, **options: Any) -> None:
        look, started_at = Look(), timezone.now()
        outcome, remark = Audit.Outcome.UNFINISHED, ""
        try:
            self._look(
                look, since=since, apply=apply, told=(lambda line: None) if json else self.stdout.write
            )
            outcome = Audit.Outcome.FOUND if look.still_open else Audit.Outcome.CLEAN
        except StripeOutOfReach as error:
            remark = "Stripe cannot be reached, or refuses our key; the log says which."
            raise CommandError(f"Could not look: {remark}", returncode=COULD_NOT_LOOK) from error
        except Exception as error:
            remark = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise
        finally:
            self._note(look, started_at, outcome, remark)
        self._report(as_json=json, since=since, seen=look.seen, findings=look.findings)
        if look.still_open:
            self.found()

    def _look(self, look: Look, *, since: datetime, apply: bool, told: Callable[[str], object]) -> None:
        with self.progress("Reading Stripe's sessions") as advance:

            def count_one() -> None:
                look.seen += 1
                advance()

            for finding in reconciliation.reconcile(since=since, apply=apply, on_session=count_one):
                look.findings.append(finding)
                told(_line(finding))

    def _note(self, look: Look, started_at: datetime, outcome: Audit.Outcome, remark: str) -> None:
        credited = len(look.findings) - len(look.still_open)
        audits.note(
            Audit.Kind.STRIPE,
            started_at=started_at,
            seen=look.seen,
            # What still stands comes first, and alone is counted.
            findings=[asdict(each) for each in sorted(look.findings, key=lambda each: not each.is_open)],
            found=len(look.still_open),
            outcome=outcome,
            remark=remark or (f"{credited} {MEANINGS['credited']}." if credited else ""),
            on_trouble=self.stderr.write,
        )

    def _report(self, *, as_json: bool, since: datetime, seen: int, findings: list[Finding]) -> None:
        counts = {kind: sum(finding.kind == kind for finding in findings) for kind in MEANINGS}
        if as_json:
            report = {
                "database": database_read(),
                "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "sessions": seen,
                "findings": [asdict(finding) for finding in findings],
                **counts,
            }
            self.stdout.write(json.dumps(report))
            return
        told = ", ".join(f"{count} {MEANINGS[kind]}" for kind, count in counts.items() if count)
        self.stdout.write(
            f"{seen} sessions against {database_read()}: {told or 'Stripe and the books agree'}."
        )


def _line(finding: Finding) -> str:
    amount = money.dollars(finding.cents) if isinstance(finding.cents, int) else "no amount"
    remark = f" {finding.remark}" if finding.remark else ""
    return f"{finding.session_id}: {MEANINGS[finding.kind]}: {amount} for {finding.user_id!r}.{remark}"
