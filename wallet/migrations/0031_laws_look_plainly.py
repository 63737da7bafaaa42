"""Let the laws of an entry read less, and one table in each statement. The laws stay the same.

Each operation is a transaction of its own and locks no table.
"""

from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent
OLD_FOLLOWS, OLD_MOVES, _ = (HERE / "several_entries.sql").read_text().split("--- next:")
FOLLOWS, MOVES = (HERE / "plain_looks.sql").read_text().split("--- next:")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0030_laws_on_a_cluster")]

    operations = [
        migrations.RunSQL(sql=FOLLOWS, reverse_sql=OLD_FOLLOWS),
        migrations.RunSQL(sql=MOVES, reverse_sql=OLD_MOVES),
    ]
