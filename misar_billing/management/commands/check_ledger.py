"""The command that checks the books against their laws, or against their seals."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from foundation.database import cluster
from foundation.operators import COULD_NOT_LOOK, LookingCommand, database_read, moment, snapshot
from foundation.words import count
from misar_billing import guards
from monetization import laws as records
from wallet.books import audits, laws
from wallet.books.laws import Violation
from wallet.models import Audit, Entry, Seal, Wallet
from wallet.seals import checking
from wallet.seals.checking import Unsealed
from wallet.seals.formats import fixed_path

NAMED_MAX = 1000
# On a cluster, a law that compares nodes may see them at two moments. So what it finds is looked at again, so
# often, and up to so many findings.
LOOKS_MORE = 2
DOUBTED_MAX = 10_000
NOT_CLEARED = (
    "This examination is not recorded: the last one with a seal file found something, and only one with"
    " --file can show that it is gone."
)

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Chosen:
    """The wallets to check: one, those with entries since a time, or (with neither) all."""

    user: str | None = None
    since: datetime | None = None

    def wallets(self) -> Iterable[str] | None:
        """Return their Misar IDs, or None for all wallets."""
        if self.user is not None:
            return [self.user]
        return None if self.since is None else Entry.objects.all().wallets_moved_since(self.since)

    def count(self) -> int | None:
        """Return how many they are, or None if they would have to be read twice."""
        if self.user is not None:
            return 1
        return Wallet.objects.count() if self.since is None else None


class Command(LookingCommand):
    help = (
        "Check every law of the books, and of creators' records, in one snapshot while the service runs. "
        "With --seals, compare the history with its seals instead (seal_ledger makes them), and check what "
        "could blind that: triggers, operators, views. "
        "Exit code 0: clean. 1: violations. 2: could not look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
        parser.add_argument("--seals", action="store_true", help="check the seals instead of the laws")
        parser.add_argument(
            "--file", metavar="FILE", help="with --seals: compare the seals with this seal file too"
        )
        chosen = parser.add_mutually_exclusive_group()
        chosen.add_argument("--user", metavar="MISAR_ID", help="only this wallet; the run is not recorded")
        chosen.add_argument(
            "--since",
            type=moment,
            metavar="AGE",
            help="only wallets with entries since then: 36h, 2d or a date; the run is not recorded",
        )

    def handle(
        self,
        *,
        json: bool,
        seals: bool,
        file: str | None,
        user: str | None,
        since: datetime | None,
        **options: Any,
    ) -> None:
        if file is not None and not seals:
            raise CommandError("--file goes with --seals.", returncode=COULD_NOT_LOOK)
        chosen, unsealed = Chosen(user, since), Unsealed()
        kind = Audit.Kind.SEALS if seals else Audit.Kind.LAWS
        is_cleared_by_file = seals and file is None and chosen == Chosen() and _file_found_something()
        doubtful = laws.LAWS_OF_SEVERAL_NODES if cluster.is_distributed() else {}
        doubted: list[Violation] = []
        with self._examination(kind, chosen, is_stored=not is_cleared_by_file) as audit:
            with snapshot():
                _require_there(user)
                with self.progress("Checking wallets", chosen.count()) as advance:

                    def seen(wallets: int) -> None:
                        audit.seen_count += wallets
                        advance(wallets)

                    def compared(remark: str) -> None:
                        audit.remark = remark

                    found = _of_laws(chosen, seen)
                    if seals:
                        found = _of_seals(chosen, file, unsealed, seen, compared)
                    for violation in found:
                        if violation.law in doubtful and len(doubted) < DOUBTED_MAX:
                            doubted.append(violation)
                        else:
                            self._note(audit, violation, as_json=json)
            for violation in _still_there(doubted):
                self._note(audit, violation, as_json=json)
        if is_cleared_by_file:
            self._store_what_it_found(audit)
        self._report(audit, unsealed if seals else None, as_json=json)
        if audit.found_count:
            self.found()

    def _note(self, audit: Audit, violation: Violation, *, as_json: bool) -> None:
        audit.found_count += 1
        if audit.found_count <= NAMED_MAX:
            audit.findings.append(asdict(violation))
        if not as_json:  # Print now: a check of millions of wallets takes long.
            self.stdout.write(f"{violation.law}: {violation.subject}: {violation.detail}")

    def _examination(
        self, kind: Audit.Kind, chosen: Chosen, *, is_stored: bool
    ) -> AbstractContextManager[Audit]:
        """Return the audit of this run. One of some wallets is not stored: it says nothing about the rest."""
        if chosen == Chosen() and is_stored:
            return audits.examination(kind, on_trouble=self.stderr.write)
        return nullcontext(Audit(kind=kind, seen_count=0, found_count=0, started_at=timezone.now()))

    def _store_what_it_found(self, audit: Audit) -> None:
        """Store the audit of a run without a seal file, after one with a file that found something.

        Seals that were made anew fit the history that was written anew. So a run without a file that finds
        nothing is not stored, and the overview goes on showing what the file found.
        """
        if audit.found_count:
            audit.outcome = Audit.Outcome.FOUND
            audits.write_down(audit, on_trouble=self.stderr.write)
        else:
            self.stderr.write(NOT_CLEARED)

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


def _require_there(user: str | None) -> None:
    """Raise CommandError for a wallet that never was. One that was deleted still has its seals."""
    if user is None or Wallet.objects.filter(pk=user).exists() or Seal.objects.filter(wallet=user).exists():
        return
    raise CommandError(f"There is no wallet of {user!r}.", returncode=COULD_NOT_LOOK)


def _file_found_something() -> bool:
    """Whether the last examination that compared a seal file found something."""
    with_file = Audit.objects.filter(kind=Audit.Kind.SEALS, remark__startswith=checking.COMPARED)
    finished = with_file.exclude(outcome=Audit.Outcome.UNFINISHED).order_by("-ended_at", "-id")
    return finished.values_list("outcome", flat=True).first() == Audit.Outcome.FOUND


def _still_there(doubted: list[Violation]) -> list[Violation]:
    """Return those of these violations that later looks find, too, each look in a snapshot of its own."""
    for _ in range(LOOKS_MORE):
        if doubted:
            with snapshot():
                doubted = list(laws.found_again(doubted))
    return doubted


def _of_guards(queries: Mapping[str, str]) -> Iterator[Violation]:
    """Yield what breaks the laws of guards. An operator that they look for cannot change these queries."""
    for law, query in queries.items():
        with fixed_path():
            violations = list(laws.broken(law, query, {}))
        yield from violations
    yield from guards.misplaced()


def _of_laws(chosen: Chosen, seen: Advance) -> Iterator[Violation]:
    if (wallets := chosen.wallets()) is not None:
        yield from laws.find_violations_of(wallets, on_wallets=seen)
        return
    yield from laws.find_violations(on_wallets=seen)
    yield from records.find_violations()
    yield from _of_guards(guards.LAWS)


def _of_seals(
    chosen: Chosen, file: str | None, unsealed: Unsealed, seen: Advance, compared: Callable[[str], None]
) -> Iterator[Violation]:
    if (wallets := chosen.wallets()) is not None:
        yield from checking.find_differences_of(wallets, unsealed=unsealed, on_wallets=seen)
    else:
        yield from _of_guards(guards.ALL)
        yield from checking.find_differences(unsealed=unsealed, on_wallets=seen)
    if file is not None:
        yield from checking.compare_file(file, user_id=chosen.user, on_compared=compared)
