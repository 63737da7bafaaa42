"""Make rows final, and add laws for each database role but the owner. Each operation is its own transaction.

It locks one table, and not for long. If this migration is interrupted, it can run again.
"""

from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent
PARTS = (HERE / "roles.sql").read_text().split("--- next:")
# The two triggers that this migration drops.
OLD_GUARD = (HERE / "grants_guard.sql").read_text().split("--- reverse:")[0]
OLD_GUARD = OLD_GUARD[OLD_GUARD.index("CREATE OR REPLACE FUNCTION wallet_is_moved_by_this_release") :]
OLD_TO_GRANTS = (HERE / "to_grants.sql").read_text().split("--- reverse:")[0]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("wallet", "0025_guard_grants_and_budgets"),
        ("accounts", "0019_laws_for_the_runtime_role"),
    ]

    operations = [
        # The first operation runs last when the migration is undone.
        migrations.RunSQL(sql=migrations.RunSQL.noop, reverse_sql=OLD_TO_GRANTS),
        migrations.RunSQL(sql=migrations.RunSQL.noop, reverse_sql=OLD_GUARD),
        *(
            migrations.RunSQL(sql=sql, reverse_sql=reverse.strip() or migrations.RunSQL.noop)
            for sql, reverse in (part.split("--- reverse:") for part in PARTS)
        ),
    ]
