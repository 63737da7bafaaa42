"""The append-only tables that seals cover besides the entries. Each has a key that grows with each row.

The apps above the wallet register theirs when they are ready.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from wallet.seals.formats import BOOLEAN, BYTES, INTEGER, JSON, TIME, Kind, Rows, columns

REDACTIONS = "accounts_redaction"


@dataclass(frozen=True)
class Table:
    """A table whose rows are only added. The database gives each row its key, from a sequence."""

    name: str
    key: str
    formats: dict[int, Rows]

    @property
    def current(self) -> int:
        """The format of new seals."""
        return max(self.formats)

    @property
    def has_words(self) -> bool:
        """Whether an erasure may change words of its rows."""
        return bool(self.formats[self.current].words)

    def words_sql(self, alias: str) -> str | None:
        """Return the SQL expression (bytea) for the digest of words that a seal has; None without words.

        These are the words as they were first written: of redacted words, the first redaction has their
        digest. So it does not matter whether a row was redacted before it was sealed or after, and sealing
        keeps no redaction waiting.
        """
        if not self.has_words:
            return None
        present = self.formats[self.current].words_sql(alias)
        return f"""
            coalesce((SELECT redaction.before FROM public.{REDACTIONS} redaction
                       WHERE redaction.table_name = '{self.name}' AND redaction.key = {alias}.{self.key}
                       ORDER BY redaction.id LIMIT 1), {present})
        """  # noqa: S608


_tables: dict[str, Table] = {}


def register(*tables: Table) -> None:
    """Register tables to be sealed. To register a table again changes nothing."""
    _tables.update((table.name, table) for table in tables)


def registered() -> Iterable[Table]:
    """Return the tables, sorted by name."""
    return [_tables[name] for name in sorted(_tables)]


_ID: dict[str, Kind] = {"id": INTEGER, "created_at": TIME}

register(
    Table(
        "accounts_act",
        key="id",
        formats={
            1: Rows(
                columns("id staff_id verb label model row_id about form_key content created_at", _ID),
                words=columns("told reason", {}),
            )
        },
    ),
    Table(
        "accounts_planchange",
        key="id",
        formats={
            1: Rows(
                columns(
                    "id slug name fee_bps key_limit actor created_at",
                    _ID | {"fee_bps": INTEGER, "key_limit": INTEGER},
                )
            )
        },
    ),
    Table(
        REDACTIONS,
        key="id",
        formats={
            1: Rows(
                columns(
                    "id table_name key before after created_at",
                    _ID | {"key": INTEGER, "before": BYTES, "after": BYTES},
                )
            )
        },
    ),
    Table(
        "wallet_ratechange",
        key="id",
        formats={
            1: Rows(
                columns(
                    "id feature label credits unit active actor created_at",
                    _ID | {"credits": INTEGER, "active": BOOLEAN},
                )
            )
        },
    ),
    Table(
        "wallet_audit",
        key="id",
        formats={
            1: Rows(
                columns(
                    "id kind outcome seen_count found_count findings remark started_at ended_at",
                    {
                        "id": INTEGER,
                        "seen_count": INTEGER,
                        "found_count": INTEGER,
                        "findings": JSON,
                        "started_at": TIME,
                        "ended_at": TIME,
                    },
                )
            )
        },
    ),
)
