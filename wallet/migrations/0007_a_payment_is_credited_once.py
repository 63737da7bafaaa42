from pathlib import Path

from django.db import migrations

FORWARD, REVERSE = (Path(__file__).parent / "paid_once.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [("wallet", "0006_whom_stored_events_name")]

    operations = [migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE)]
