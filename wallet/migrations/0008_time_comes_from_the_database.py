from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

FORWARD, REVERSE = (Path(__file__).parent / "time_never_falls.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [("wallet", "0007_a_payment_is_credited_once")]

    operations = [
        migrations.CreateModel(
            name="OutOfOrderEntry",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "wallet", "sequence", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("sequence", models.BigIntegerField()),
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
            },
        ),
        migrations.AlterField(
            model_name="entry",
            name="created_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(), help_text="When it was written."
            ),
        ),
        migrations.AlterField(
            model_name="entry",
            name="effective_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                help_text="When it happened in the world.",
            ),
        ),
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
    ]
