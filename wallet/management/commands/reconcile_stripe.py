"""`manage.py reconcile_stripe [--since 14d] [--apply] [--json]`: compare Stripe with the books."""

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
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
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # Stripe's API accepts no earlier time.
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

MEANINGS = {
    "uncredited": "paid at Stripe, not credited",
    "credited": "paid at Stripe, credited now",
    "unpaid": "credited, but not paid at Stripe",
    "parked": "paid at Stripe, a person must decide",
}


def moment(text: str) -> datetime:
    """Return the time that a text names: an age such as `14d`, `36h` or `2w`, or a date such as 2026-11-01.

    A date means midnight UTC. Raises ArgumentTypeError.
    """
    if age := AGE.fullmatch(text):
        return max(timezone.now() - int(age[1]) * UNITS[age[2]], EPOCH)
    try:
        return max(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC), EPOCH)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r} is neither an age such as 14d nor a date such as 2026-11-01"
        ) from error


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
        findings: list[Finding] = []
        with audits.examination(Audit.Kind.STRIPE, on_trouble=self.stderr.write) as audit:
            try:
                self._compare(audit, findings, since=since, apply=apply, quiet=json)
            except StripeOutOfReach as error:
                audit.remark = (
                    "Stripe cannot be reached, refuses our key, or answers wrongly; the log says which."
                )
                raise CommandError(f"Could not look: {audit.remark}", returncode=COULD_NOT_LOOK) from error
            finally:
                # Open findings come first. Only open findings are counted.
                open_first = sorted(findings, key=lambda finding: not finding.is_open)
                audit.findings = [asdict(finding) for finding in open_first]
                audit.found_count = sum(each.is_open for each in findings)
            if credited := len(findings) - audit.found_count:
                audit.remark = f"{credited} {MEANINGS['credited']}."
        self._report(as_json=json, since=since, seen=audit.seen_count, findings=findings)
        if audit.found_count:
            self.found()

    def _compare(
        self, audit: Audit, findings: list[Finding], *, since: datetime, apply: bool, quiet: bool
    ) -> None:
        with self.progress("Reading Stripe's sessions") as advance:

            def count_one() -> None:
                audit.seen_count += 1
                advance()

            for finding in reconciliation.reconcile(since=since, apply=apply, on_session=count_one):
                findings.append(finding)
                if not quiet:
                    self.stdout.write(_line(finding))

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
        summary = ", ".join(f"{count} {MEANINGS[kind]}" for kind, count in counts.items() if count)
        self.stdout.write(
            f"{seen} sessions against {database_read()}: {summary or 'Stripe and the books agree'}."
        )


def _line(finding: Finding) -> str:
    amount = money.dollars(finding.cents) if isinstance(finding.cents, int) else "no amount"
    remark = f" {finding.remark}" if finding.remark else ""
    return f"{finding.session_id}: {MEANINGS[finding.kind]}: {amount} for {finding.user_id!r}.{remark}"
