"""Remove the trigger that looked over all wallets: the rows of payments (0012) have taken its place."""

from pathlib import Path

from django.db import migrations

FORWARD, REVERSE = (Path(__file__).parent / "paid_once.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [("wallet", "0013_bring_in_old_payments")]

    operations = [migrations.RunSQL(sql=REVERSE, reverse_sql=FORWARD)]
