"""Add the laws of grants that need more than one row, and keep the release before away from grants and budgets.

Each operation is a transaction of its own, so no two tables that products write are locked at once.
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


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0022_grants_and_budgets")]

    operations = [
        migrations.RunSQL(sql=LAWS, reverse_sql=REVERSE_LAWS),
        migrations.RunSQL(sql=GUARD, reverse_sql=REVERSE_GUARD + BEFORE),
        migrations.RunSQL(sql=TO_GRANTS, reverse_sql=REVERSE_TO_GRANTS),
        # Django makes this index for searches by the beginning of an id, and no query uses it.
        migrations.RunSQL(
            sql="DROP INDEX IF EXISTS wallet_lot_id_a60c5bfc_like",
            reverse_sql="CREATE INDEX IF NOT EXISTS wallet_lot_id_a60c5bfc_like ON wallet_lot (id varchar_pattern_ops)",
        ),
    ]
