from pathlib import Path

from django.db import migrations

FORWARD, REVERSE = (Path(__file__).parent / "payments.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [("wallet", "0011_refunds_and_disputes")]

    operations = [migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE)]
