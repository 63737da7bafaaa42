"""The examinations of the books, written down: what was looked at, when, and what was found.

The commands that look say it to whoever runs them, and keep it here for whoever was not there.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import Error, transaction

from wallet.books.models import Audit

FINDINGS_MAX = 100


def note(
    kind: Audit.Kind,
    *,
    started_at: datetime,
    seen: int,
    findings: Sequence[dict[str, Any]],
    outcome: Audit.Outcome,
    remark: str = "",
    found: int | None = None,
    on_trouble: Callable[[str], object],
) -> Audit | None:
    """Write an examination down; its first 100 findings, of `found` or else of those given.

    `seen` is how many wallets, or sessions of Stripe, were looked at. Where nothing can be written, as on a
    standby or by a role that may only read, `on_trouble` gets a sentence that says why, and None comes back:
    what was found stands all the same.
    """
    try:
        with transaction.atomic():
            return Audit.objects.create(
                kind=kind,
                started_at=started_at,
                seen_count=seen,
                found_count=len(findings) if found is None else found,
                findings=list(findings[:FINDINGS_MAX]),
                outcome=outcome,
                remark=remark,
            )
    except Error as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        on_trouble(f"This examination could not be written down: {why}")
        return None


def last(kind: Audit.Kind) -> Audit | None:
    """The newest examination of a kind, also one that could not look."""
    return Audit.objects.filter(kind=kind).order_by("-ended_at").first()


def last_finished(kind: Audit.Kind) -> Audit | None:
    """The newest examination of a kind that did look: what it found stands until another one has looked."""
    finished = Audit.objects.filter(kind=kind).exclude(outcome=Audit.Outcome.UNFINISHED)
    return finished.order_by("-ended_at").first()
