"""Make the tables of seals. No table that products write is locked."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

FORWARD, REVERSE = (Path(__file__).parent / "seals.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0026_laws_for_the_runtime_role"),
    ]

    operations = [
        migrations.AlterField(
            model_name="audit",
            name="kind",
            field=models.CharField(
                choices=[
                    ("laws", "Laws of the books"),
                    ("stripe", "Stripe against the books"),
                    ("seals", "Seals of the history"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="TableSeal",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "table_name", "after", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("table_name", models.CharField(max_length=63)),
                ("after", models.BigIntegerField()),
                ("key", models.BigIntegerField(help_text="Of the last row of the stretch.")),
                (
                    "rows",
                    models.BigIntegerField(help_text="How many rows the stretch has; keys may be left out."),
                ),
                ("format", models.SmallIntegerField(help_text="Of the canonical text (tables.py).")),
                ("rows_digest", models.BinaryField(max_length=32)),
                ("hash", models.BinaryField(max_length=32)),
                ("sealed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("after__gte", 0), ("key__gt", models.F("after")), ("rows__gte", 1)
                        ),
                        name="wallet_tableseal_covers_something",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Seal",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "wallet", "after", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("after", models.BigIntegerField()),
                ("sequence", models.BigIntegerField(help_text="The last entry of the stretch.")),
                ("format", models.SmallIntegerField(help_text="Of the canonical text (formats.py).")),
                ("entries_digest", models.BinaryField(max_length=32)),
                ("hash", models.BinaryField(max_length=32)),
                ("sealed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "wallet",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="wallet.wallet",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("after__gte", 0), ("sequence__gt", models.F("after"))),
                        name="wallet_seal_covers_something",
                    )
                ],
            },
        ),
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
    ]
