"""List the entries whose time is before the time of the entry before them.

Such entries were written before migration 0008. The law about times leaves them out.
"""

from typing import Any

from django.db import migrations

WALLETS_AT_A_TIME = 1000

LAST_OF_A_BATCH = """
SELECT max(user_id)
  FROM (SELECT user_id FROM wallet_wallet WHERE user_id > %s ORDER BY user_id LIMIT %s) AS batch
"""
LIST = """
INSERT INTO wallet_outoforderentry (wallet_id, sequence)
SELECT wallet_id, sequence
  FROM (SELECT wallet_id, sequence, created_at,
               lag(created_at) OVER (PARTITION BY wallet_id ORDER BY sequence) AS before
          FROM wallet_entry WHERE wallet_id > %(after)s AND wallet_id <= %(last)s) AS chain
 WHERE created_at < before
    ON CONFLICT DO NOTHING
"""


def list_them(apps: Any, schema_editor: Any) -> None:
    after = ""
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(LAST_OF_A_BATCH, [after, WALLETS_AT_A_TIME])
            (last,) = cursor.fetchone()
            if last is None:
                return
            cursor.execute(LIST, {"after": after, "last": last})
            after = last


class Migration(migrations.Migration):
    # Each batch is a transaction of its own. If the migration is interrupted, it can run again.
    atomic = False
    dependencies = [("wallet", "0008_time_comes_from_the_database")]

    operations = [migrations.RunPython(list_them, migrations.RunPython.noop)]
