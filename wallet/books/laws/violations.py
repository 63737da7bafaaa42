"""A broken law, and how a law's query is run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db import connection

from foundation.database import nodes


@dataclass(frozen=True)
class Violation:
    """A law that is broken, the row that breaks it, and the details."""

    law: str
    subject: str
    detail: str


def broken(law: str, query: str, values: Mapping[str, str]) -> Iterator[Violation]:
    """Yield the violations of one law, in constant memory. The query returns rows of (subject, detail).

    On a cluster, a law about the catalogue is checked on each node.
    """
    if isinstance(query, nodes.OfEachNode) and nodes.are_many():
        yield from (Violation(law, subject, detail) for subject, detail in nodes.findings(query))
        return
    # A cursor of the server: badly broken books can have a violation for each of millions of entries.
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, values)
        for subject, detail in cursor:
            yield Violation(law, str(subject), str(detail))
