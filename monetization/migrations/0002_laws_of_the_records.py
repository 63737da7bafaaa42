from pathlib import Path

from django.db import migrations

FORWARD, REVERSE = (Path(__file__).parent / "laws.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [("monetization", "0001_creators_records"), ("wallet", "0002_laws_of_the_books")]

    operations = [migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE)]
