"""All laws of the books in one statement, which is checked after every test that used the database.

PostgreSQL plans the statement once for each connection. To plan the laws takes ten times as long as to look.
"""

import weakref

from django.db import connection
from psycopg import sql

from wallet.books import laws

LAWS = laws.LAWS_OF_THE_WHOLE | laws.LAWS_OF_DAYS | laws.LAWS_OF_WALLETS
EVERY_WALLET = {"after": "''", "last": "(SELECT max(user_id) FROM wallet_wallet)"}
PREPARE = sql.SQL("PREPARE all_laws AS {}").format(
    sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, subject::text, detail::text FROM ({}) AS broken (subject, detail)").format(
            law,
            sql.SQL(query % EVERY_WALLET),
        )
        for law, query in LAWS.items()
    )
)
_prepared_on: list[weakref.ref[object]] = []


def broken() -> list[laws.Violation]:
    """Every violation, as `laws.violations` finds it."""
    connection.ensure_connection()
    opened = connection.connection
    with connection.cursor() as cursor:
        if not _prepared_on or _prepared_on[-1]() is not opened:
            cursor.execute(PREPARE)
            _prepared_on[:] = [weakref.ref(opened)]
        cursor.execute("EXECUTE all_laws")
        return [laws.Violation(*row) for row in cursor.fetchall()]
