"""Let the words of an act change only by a redaction, which is written down."""

from pathlib import Path

from django.db import migrations, models

FORWARD, REVERSE = (Path(__file__).parent / "redactions.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0019_laws_for_the_runtime_role"),
    ]

    operations = [
        migrations.CreateModel(
            name="Redaction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("table_name", models.CharField(max_length=63)),
                ("key", models.BigIntegerField(help_text="The key of the row in its table.")),
                ("before", models.BinaryField(max_length=32)),
                ("after", models.BinaryField(max_length=32)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["table_name", "key", "id"], name="accounts_redaction_of_row")
                ],
            },
        ),
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
    ]
