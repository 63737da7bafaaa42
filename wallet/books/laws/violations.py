"""A broken law, and how a law's query is run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True)
class Violation:
    """A law that is broken, the row that breaks it, and the details."""

    law: str
    subject: str
    detail: str


def broken(law: str, query: str, values: Mapping[str, str]) -> Iterator[Violation]:
    """Yield the violations of one law. The query returns rows of (subject, detail)."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        for subject, detail in cursor.fetchall():
            yield Violation(law, str(subject), str(detail))
