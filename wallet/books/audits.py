"""The examinations of the books, written down: what was looked at, when, and what was found.

The commands that examine also print it; here it is kept for the back-office.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy

from django.db import Error, transaction
from django.utils import timezone

from foundation.errors import first_line
from wallet.books.models import Audit

FINDINGS_MAX = 100


@contextmanager
def examination(kind: Audit.Kind, *, on_trouble: Callable[[str], object]) -> Iterator[Audit]:
    """Write down the examination that the block makes, also if the block fails: then the remark says why.

    The block fills in the audit: `seen_count` (wallets, or sessions of Stripe), `found_count` and `findings`.
    """
    audit = Audit(kind=kind, seen_count=0, found_count=0, started_at=timezone.now())
    audit.outcome = Audit.Outcome.UNFINISHED
    try:
        yield audit
        audit.outcome = Audit.Outcome.FOUND if audit.found_count else Audit.Outcome.CLEAN
    except Exception as error:
        audit.remark = audit.remark or first_line(error)
        raise
    finally:
        write_down(audit, on_trouble=on_trouble)


def write_down(audit: Audit, *, on_trouble: Callable[[str], object]) -> None:
    """Write an examination down, with its first 100 findings.

    If nothing can be written, as on a standby or by a role that may only read, `on_trouble` gets a sentence
    that says why.
    """
    kept = copy(audit)
    kept.findings, kept.ended_at = audit.findings[:FINDINGS_MAX], timezone.now()
    try:
        with transaction.atomic():
            kept.save(force_insert=True)
    except Error as error:
        on_trouble(f"This examination could not be written down: {first_line(error)}")


def last(kind: Audit.Kind) -> Audit | None:
    """The newest examination of a kind, also one that could not look."""
    return Audit.objects.filter(kind=kind).order_by("-ended_at").first()


def last_finished(kind: Audit.Kind) -> Audit | None:
    """The newest finished examination of a kind: what it found stands until the next one has finished."""
    finished = Audit.objects.filter(kind=kind).exclude(outcome=Audit.Outcome.UNFINISHED)
    return finished.order_by("-ended_at").first()
