"""Make the tables of seals. No table that products write is locked."""

from pathlib import Path
from typing import Any

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.migrations.exceptions import IrreversibleError

FORWARD, REVERSE = (Path(__file__).parent / "seals.sql").read_text().split("--- reverse:")


KEPT = """\
This migration would drop the seals, and nothing else proves later that the history before them was not changed. If they
must go: write a seal file with `manage.py seal_ledger --to FILE`, and keep it and a backup on another machine. Then
remove the seals by hand, as the owner of the tables:
    ALTER TABLE wallet_seal DISABLE TRIGGER USER; DELETE FROM wallet_seal;
    ALTER TABLE wallet_tableseal DISABLE TRIGGER USER; DELETE FROM wallet_tableseal;
and migrate again."""


def refuse_to_drop_seals(apps: Any, schema_editor: Any) -> None:
    """Raise IrreversibleError while there are seals."""
    seals = (apps.get_model("wallet", name) for name in ("Seal", "TableSeal"))
    if any(model.objects.using(schema_editor.connection.alias).exists() for model in seals):
        raise IrreversibleError(KEPT)


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
                "indexes": [
                    models.Index(
                        condition=models.Q(("after", 0)), fields=["wallet"], name="wallet_seal_first"
                    )
                ],
            },
        ),
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
        migrations.RunPython(migrations.RunPython.noop, refuse_to_drop_seals),
    ]
