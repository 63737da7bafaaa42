from pathlib import Path

from django.db import migrations

FORWARD, REVERSE = (Path(__file__).parent / "laws.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [("wallet", "0001_initial")]

    operations = [migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE)]
