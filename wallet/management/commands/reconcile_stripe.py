"""`manage.py reconcile_stripe [--since 14d] [--resume] [--apply] [--json]`: compare Stripe with the books."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import CommandError
from django.db import Error, InternalError, ProgrammingError
from django.utils import timezone

from foundation import money
from foundation.errors import first_line
from foundation.operators import COULD_NOT_LOOK, LookingCommand, database_read, moment
from wallet.books import audits
from wallet.books.models import Audit
from wallet.errors import StripeOutOfReach
from wallet.payments.models import ReconciliationRun
from wallet.payments.reconciliation import runs
from wallet.payments.reconciliation.findings import Finding, Kind
from wallet.payments.reconciliation.report import Report
from wallet.payments.reconciliation.runs import Run
from wallet.payments.reconciliation.walk import Walk

State = ReconciliationRun.State

OUT_OF_REACH = "Stripe cannot be reached, refuses our key, or answers wrongly; the log says which."
INTERRUPTED = "It was interrupted; --resume continues it."


class Command(LookingCommand):
    help = (
        "Compare Stripe's Checkout Sessions, refunds, disputes and balance transactions with the books, in "
        "both directions. Changes nothing without --apply, which credits what was paid, and lets the books "
        "follow refunds and disputes. One run at a time; safe to run again. Exit code 0: they agree (after "
        "--apply: now). 1: they don't. 2: could not look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since", type=moment, default="14d", help="how far back: 14d, 36h, 2w or a date"
        )
        parser.add_argument(
            "--resume", action="store_true", help="continue the last run, with its --since and --apply"
        )
        parser.add_argument("--apply", action="store_true", help="repair what the webhooks did not bring")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *, since: datetime, resume: bool, apply: bool, json: bool, **options: Any) -> None:
        if since > timezone.now():
            self.stderr.write("--since is in the future: only what is still open is compared.")
        run = self._begin(since=since, resume=resume, apply=apply)
        if run.row is not None:
            since, apply = run.row.since, run.row.applies
        report = Report.so_far(run.row)
        with audits.examination(Audit.Kind.STRIPE, on_trouble=self.stderr.write) as audit:
            try:
                with self._ended(run, report, audit):
                    self._compare(run, report, since=since, apply=apply, quiet=json)
            finally:
                audit.seen_count, audit.found_count = report.sessions, report.open_count
                audit.findings = report.first_findings()
            audit.remark = " ".join(filter(None, (report.repaired(), report.not_known())))
        self._show(report, as_json=json, since=since)
        if report.open_count:
            self.found()

    def _begin(self, *, since: datetime, resume: bool, apply: bool) -> Run:
        try:
            return runs.resume(applies=apply) if resume else runs.begin(since=since, applies=apply)
        except (InternalError, ProgrammingError) as error:
            if resume:
                raise
            self.stderr.write(runs.unrecorded(error))
            return Run(None)
        except (runs.OtherRun, runs.NothingToResume) as error:
            raise CommandError(f"Could not look: {error}.", returncode=COULD_NOT_LOOK) from error

    @contextmanager
    def _ended(self, run: Run, report: Report, audit: Audit) -> Iterator[None]:
        """Store how the run ended. A run that did not finish can be resumed."""
        try:
            yield
            run.ends(State.FINISHED, **report.columns())
        except BaseException as error:
            audit.remark = _reason(error)
            try:
                run.ends(State.INTERRUPTED)
            except (runs.OtherRun, Error):
                pass  # Another run has it, or will take it over.
            if isinstance(error, KeyboardInterrupt | StripeOutOfReach):
                text = f"Could not look: {audit.remark}"
                raise CommandError(text, returncode=COULD_NOT_LOOK) from error
            raise

    def _compare(self, run: Run, report: Report, *, since: datetime, apply: bool, quiet: bool) -> None:
        with self.progress("Comparing what Stripe has") as advance:

            def on_page(count: int) -> None:
                advance(count)
                run.is_alive()

            def on_day(day: date) -> None:
                run.is_at(day, **report.columns())

            walk = Walk(
                since=since,
                applies=apply,
                first_day=run.row.next_day if run.row else None,
                on_page=on_page,
                on_day=on_day,
                seen=report.seen,
                unknown=report.unknown,
                reported={(finding.kind, finding.subject) for finding in report.findings},
            )
            for finding in walk.findings():
                report.add(finding)
                if not quiet:
                    self.stdout.write(_line(finding))
            report.on_their_way = len(walk.task.on_their_way)

    def _show(self, report: Report, *, as_json: bool, since: datetime) -> None:
        if as_json:
            shown = {
                "database": database_read(),
                "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "sessions": report.sessions,
                "seen": dict(report.seen),
                "unknown": dict(report.unknown),
                "on_their_way": report.on_their_way,
                "findings": [asdict(finding) for finding in report.findings],
                **{kind.value: report.counts[kind] for kind in Kind},
            }
            self.stdout.write(json.dumps(shown))
            return
        summary = report.summary() or "Stripe and the books agree"
        self.stdout.write(f"{report.sessions} sessions against {database_read()}: {summary}.")
        for sentence in filter(None, (report.waited_for(), report.not_known())):
            self.stdout.write(sentence)


def _reason(error: BaseException) -> str:
    if isinstance(error, StripeOutOfReach):
        return OUT_OF_REACH
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else first_line(error)


def _line(finding: Finding) -> str:
    amount = money.dollars(finding.cents) if finding.cents is not None else "no amount"
    remark = f" {finding.remark}" if finding.remark else ""
    return f"{finding.subject}: {finding.kind.label}: {amount} for {finding.user_id!r}.{remark}"
