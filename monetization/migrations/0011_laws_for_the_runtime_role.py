"""Add laws for each database role but the owner. Each operation is a transaction of its own.

It locks one table, and not for long. If this migration is interrupted, it can run again.
"""

from pathlib import Path

from django.db import migrations

PARTS = (Path(__file__).parent / "roles.sql").read_text().split("--- next:")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("monetization", "0010_old_rows_are_checked"),
        ("accounts", "0019_laws_for_the_runtime_role"),
    ]

    operations = [
        migrations.RunSQL(sql=sql, reverse_sql=reverse)
        for sql, reverse in (part.split("--- reverse:") for part in PARTS)
    ]
