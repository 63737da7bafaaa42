"""Store the result of each examination of the books: what was checked, when, and what was found.

The commands that examine the books also print the result. The back-office shows the stored result.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy

from django.db import Error, transaction
from django.utils import timezone

from foundation.operators import explained, interruption
from wallet.books.models import Audit

FINDINGS_MAX = 100


@contextmanager
def examination(kind: Audit.Kind, *, on_trouble: Callable[[str], object]) -> Iterator[Audit]:
    """Run an examination in a `with` block and store its audit at the end.

    The block sets `seen_count` (wallets, or sessions of Stripe), `found_count` and `findings` of the audit.
    If the block raises an error, the audit is stored as unfinished, and its remark has the reason.
    """
    audit = Audit(kind=kind, seen_count=0, found_count=0, started_at=timezone.now())
    audit.outcome = Audit.Outcome.UNFINISHED
    try:
        yield audit
        audit.outcome = Audit.Outcome.FOUND if audit.found_count else Audit.Outcome.CLEAN
    except KeyboardInterrupt as error:
        audit.remark = audit.remark or interruption(error)
        raise
    except Exception as error:
        audit.remark = audit.remark or explained(error)
        raise
    finally:
        write_down(audit, on_trouble=on_trouble)


def write_down(audit: Audit, *, on_trouble: Callable[[str], object]) -> None:
    """Store an examination with its first 100 findings.

    A standby, or a database role that may only read, cannot store it. Then `on_trouble` is called with a
    sentence that gives the reason.
    """
    kept = copy(audit)
    kept.findings, kept.ended_at = audit.findings[:FINDINGS_MAX], timezone.now()
    try:
        with transaction.atomic():
            kept.save(force_insert=True)
    except Error as error:
        on_trouble(f"This examination could not be written down: {explained(error)}")


def last(kind: Audit.Kind) -> Audit | None:
    """Return the newest examination of a kind. It may be unfinished."""
    return Audit.objects.filter(kind=kind).order_by("-ended_at", "-id").first()


def last_finished(kind: Audit.Kind) -> Audit | None:
    """Return the last finished examination of a kind. Its findings are valid until the next one finishes."""
    finished = Audit.objects.filter(kind=kind).exclude(outcome=Audit.Outcome.UNFINISHED)
    return finished.order_by("-ended_at", "-id").first()
