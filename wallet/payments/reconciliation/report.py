"""What a run has compared and found, as it is stored and shown."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from foundation.words import listed
from wallet.books.audits import FINDINGS_MAX
from wallet.payments.models import ReconciliationRun
from wallet.payments.reconciliation.findings import REPAIRED, Finding, Kind
from wallet.payments.stripe_lists import SESSIONS

# More findings than a person can read are counted only.
KEPT_MAX = 100_000


@dataclass
class Report:
    """The findings of a run, how many there are of each kind, and what the run compared.

    `seen` and `unknown` count as Walk says it.
    """

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    on_their_way: int = 0

    @classmethod
    def so_far(cls, row: ReconciliationRun | None) -> "Report":
        """Return the report of a run that is continued; an empty report if there is no row."""
        if row is None:
            return cls()
        findings = [Finding(**(each | {"kind": Kind(each["kind"])})) for each in row.findings]
        return cls(findings, Counter(row.counts), Counter(row.seen), Counter(row.unknown))

    def add(self, finding: Finding) -> None:
        """Add a finding."""
        self.counts[finding.kind] += 1
        if len(self.findings) < KEPT_MAX:
            self.findings.append(finding)

    @property
    def sessions(self) -> int:
        """How many Checkout Sessions were compared."""
        return self.seen[SESSIONS.name]

    @property
    def open_count(self) -> int:
        """How many differences are left."""
        return sum(count for kind, count in self.counts.items() if kind not in REPAIRED)

    def first_findings(self) -> list[dict[str, Any]]:
        """Return the first hundred findings, open ones first."""
        open_first = sorted(self.findings, key=lambda finding: not finding.is_open)
        return [asdict(finding) for finding in open_first[:FINDINGS_MAX]]

    def columns(self) -> dict[str, Any]:
        """Return the report as columns of ReconciliationRun."""
        return {
            "findings": self.first_findings(),
            "found_count": self.open_count,
            "counts": dict(self.counts),
            "seen": dict(self.seen),
            "seen_count": self.sessions,
            "unknown": dict(self.unknown),
            "unknown_count": sum(self.unknown.values()),
        }

    def summary(self) -> str:
        """Return how many findings of each kind there are; "" without findings."""
        return "; ".join(f"{kind.label}: {self.counts[kind]}" for kind in Kind if self.counts[kind])

    def repaired(self) -> str:
        """Return a sentence about what was repaired; "" if nothing was."""
        parts = [f"{kind.label}: {self.counts[kind]}" for kind in REPAIRED if self.counts[kind]]
        return f"Repaired: {'; '.join(parts)}." if parts else ""

    def waited_for(self) -> str:
        """Return a sentence about what happened at Stripe too lately to be a difference; "" if nothing."""
        if not self.on_their_way:
            return ""
        return (
            f"{self.on_their_way} of the last 15 minutes may still be on the way to us; run it again later."
        )

    def not_known(self) -> str:
        """Return a sentence about what this code does not know; "" if there is nothing."""
        parts = [f"{count} {what}" for what, count in sorted(self.unknown.items())]
        return f"Not compared, because unknown here: {listed(parts)}." if parts else ""
