"""Send prepared statements to PostgreSQL together, with the BEGIN and the COMMIT of their transaction.

psycopg has a pipeline mode of its own (`Connection.pipeline`), but it costs a charge as much processor time
as it saves: it works with cursors, which look each statement up and convert it anew. This module uses the
same calls of libpq with less around them. docs/performance.md has the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.abc import PQGen
from psycopg.abc import Transformer as AnyTransformer
from psycopg.adapt import PyFormat, Transformer
from psycopg.generators import fetch, fetch_many
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.waiting import WAIT_RW

if TYPE_CHECKING:
    from foundation.database.engine.base import ImpatientConnection

# The function of PostgreSQL that refuses a prepared statement after a migration has changed the type of a
# column that it returns. The code of this error, 0A000, is also that of all that a server does not support.
OF_ANOTHER_TYPE = "RevalidateCachedQuery"


@dataclass(frozen=True)
class Prepared:
    """A statement with $1, $2, and so on, under the name by which a connection knows it."""

    name: bytes
    text: bytes

    @classmethod
    def of(cls, sql: str) -> "Prepared":
        """Return a statement that is named after its text, so that no two have the same name."""
        text = sql.encode()
        return cls(sha256(text).hexdigest()[:32].encode(), text)


def run(
    connection: "ImpatientConnection", calls: Sequence[tuple[Prepared, Sequence[Any]]], *, commit: bool
) -> list[list[tuple[Any, ...]]]:
    """Run prepared statements with their values. Return the rows of each that has columns, in their order.

    If no transaction is open, one begins. `commit` ends it after the last statement. The first error is
    raised as psycopg's exception; PostgreSQL has then skipped all that came after it.
    """
    converter = Transformer(connection)
    try:
        results = connection.wait(_conversation(connection, calls, converter, commit=commit))
        connection.pgconn.exit_pipeline_mode()
    except BaseException:
        connection.pgconn.finish()  # Answers may still come in, so no statement may use this connection.
        raise
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            error = psycopg.errors.error_from_result(result, connection.info.encoding)
            if _is_forgotten(error):
                connection.pgconn.finish()  # A new connection prepares its statements again.
                raise psycopg.OperationalError(
                    f"a prepared statement can no longer be used: {error}"
                ) from error
            raise error
    rows = []
    for result in results:
        # BEGIN, PREPARE and COMMIT have no columns.
        if result.nfields:
            converter.set_pgresult(result)
            rows.append(converter.load_rows(0, result.ntuples, tuple))
    return rows


def _is_forgotten(error: psycopg.Error) -> bool:
    """Return whether the session no longer knows a statement, or can no longer use it."""
    if isinstance(error, psycopg.errors.FeatureNotSupported):
        return error.diag.source_function == OF_ANOTHER_TYPE
    return isinstance(error, psycopg.errors.InvalidSqlStatementName)


def _conversation(
    connection: "ImpatientConnection",
    calls: Sequence[tuple[Prepared, Sequence[Any]]],
    converter: AnyTransformer,
    *,
    commit: bool,
) -> PQGen[list[Any]]:
    """Send everything, then read one result for each message. psycopg waits where this yields."""
    pgconn = connection.pgconn
    begins = pgconn.transaction_status == TransactionStatus.IDLE
    pgconn.enter_pipeline_mode()
    messages = 0
    # Statements that this connection does not know: the numbers of their messages.
    new: dict[bytes, int] = {}
    if begins:
        pgconn.send_query_params(b"BEGIN", None)
        messages += 1
    for statement, values in calls:
        formats = [PyFormat.TEXT] * len(values)
        if not connection.keeps_statements:
            pgconn.send_query_params(statement.text, converter.dump_sequence(values, formats))
            messages += 1
            continue
        if statement.name not in connection.prepared and statement.name not in new:
            pgconn.send_prepare(statement.name, statement.text)
            new[statement.name] = messages
            messages += 1
        pgconn.send_query_prepared(statement.name, converter.dump_sequence(values, formats))
        messages += 1
    if commit:
        pgconn.send_query_params(b"COMMIT", None)
        messages += 1
    pgconn.pipeline_sync()
    while pgconn.flush():
        yield WAIT_RW
    results: list[Any] = []
    for _ in range(messages):
        results += yield from fetch_many(pgconn)
    yield from fetch(pgconn)  # The answer to the sync.
    # A statement stays prepared even if a later message fails and the transaction is rolled back. A pooler
    # knows its name from then on, even if PostgreSQL skipped it, and prepares it when it is used.
    connection.prepared.update(
        name
        for name, number in new.items()
        if connection.is_pooled or results[number].status == ExecStatus.COMMAND_OK
    )
    return results
