"""Add the laws of grants that need more than one row, and keep the release before away from grants and budgets.

Each operation is a transaction of its own and locks only one table that products write. With two of them, it would
deadlock with verbs that write both. If this migration is interrupted, it can run again.
"""

from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent
LAWS, REVERSE_LAWS = (HERE / "grants.sql").read_text().split("--- reverse:")
GUARD, REVERSE_GUARD = (HERE / "grants_guard.sql").read_text().split("--- reverse:")
TO_GRANTS, REVERSE_TO_GRANTS = (HERE / "to_grants.sql").read_text().split("--- reverse:")
# The function and the trigger that the guard replaces.
BEFORE = (HERE / "guard.sql").read_text().split("--- reverse:")[0]
BEFORE = BEFORE[BEFORE.index("CREATE OR REPLACE FUNCTION wallet_keeps_what_is_its_own") :]


def refers(name: str, of: str, to: str) -> migrations.RunSQL:
    """Let rows of one table refer to rows of another table and of the same wallet."""
    table = name.partition("_is_of")[0]
    drop = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
    add = f"ADD CONSTRAINT {name} FOREIGN KEY (wallet_id, {of}) REFERENCES {to}"
    return migrations.RunSQL(sql=f"{drop}, {add}", reverse_sql=drop)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0024_refunds_tell_what_grants_got")]

    operations = [
        migrations.RunSQL(sql=LAWS, reverse_sql=REVERSE_LAWS),
        refers(
            "wallet_lotmove_is_of_an_entry_of_its_wallet",
            of="sequence",
            to="wallet_entry (wallet_id, sequence)",
        ),
        refers("wallet_holdpart_is_of_a_hold_of_its_wallet", of="hold_id", to="wallet_hold (wallet_id, id)"),
        refers("wallet_holdpart_is_of_a_lot_of_its_wallet", of="lot_id", to="wallet_lot (wallet_id, id)"),
        migrations.RunSQL(sql=GUARD, reverse_sql=REVERSE_GUARD + BEFORE),
        migrations.RunSQL(sql=TO_GRANTS, reverse_sql=REVERSE_TO_GRANTS),
        # Django makes this index for searches by the beginning of an id, and no query uses it.
        migrations.RunSQL(
            sql="DROP INDEX IF EXISTS wallet_lot_id_a60c5bfc_like",
            reverse_sql="CREATE INDEX IF NOT EXISTS wallet_lot_id_a60c5bfc_like ON wallet_lot (id varchar_pattern_ops)",
        ),
    ]
