"""Make the tables of closed months, and of closed days by feature. No table that products write is locked."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from foundation.database.sql_texts import numbered_here

# A cluster takes one statement at a time.
NEXT = "--- next:"
FORWARD, REVERSE = (Path(__file__).parent / "months.sql").read_text().split("--- reverse:")
NUMBERED = ("wallet_featuretotal", "wallet_closedmonth", "wallet_monthtotal")


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0031_laws_look_plainly"),
    ]

    operations = [
        migrations.CreateModel(
            name="ClosedMonth",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField(help_text="Its first day.", unique=True)),
                ("opening", models.BigIntegerField()),
                ("opening_granted", models.BigIntegerField()),
                ("entries", models.BigIntegerField(help_text="How many were written in that month.")),
                ("closed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("entries__gte", 0), ("month__day", 1)),
                        name="wallet_closedmonth_is_a_month",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="MonthTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField(help_text="Its first day.")),
                ("product", models.CharField(blank=True, max_length=100)),
                ("feature", models.CharField(blank=True, max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("topup", "Top-up"),
                            ("deduct", "Charge"),
                            ("refund", "Given back"),
                            ("adjustment", "Adjustment by staff"),
                            ("clawback", "Clawback"),
                            ("reinstatement", "Reinstatement"),
                            ("grant", "Grant"),
                            ("expiry", "Expiry"),
                            ("capture", "Charge of a hold"),
                        ],
                        max_length=20,
                    ),
                ),
                ("credits", models.BigIntegerField()),
                ("granted", models.BigIntegerField()),
                ("entries", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("month", "product", "kind", "feature"), name="wallet_monthtotal_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("entries__gte", 1)), name="wallet_monthtotal_adds_something_up"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FeatureTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("product", models.CharField(blank=True, max_length=100)),
                ("feature", models.CharField(blank=True, max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("topup", "Top-up"),
                            ("deduct", "Charge"),
                            ("refund", "Given back"),
                            ("adjustment", "Adjustment by staff"),
                            ("clawback", "Clawback"),
                            ("reinstatement", "Reinstatement"),
                            ("grant", "Grant"),
                            ("expiry", "Expiry"),
                            ("capture", "Charge of a hold"),
                        ],
                        max_length=20,
                    ),
                ),
                ("credits", models.BigIntegerField()),
                ("granted", models.BigIntegerField()),
                ("entries", models.BigIntegerField()),
                (
                    "day",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="features",
                        to="wallet.closedday",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("day", "product", "kind", "feature"), name="wallet_featuretotal_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("entries__gte", 1)), name="wallet_featuretotal_adds_something_up"
                    ),
                ],
            },
        ),
        migrations.RunSQL(sql=FORWARD.split(NEXT), reverse_sql=REVERSE.split(NEXT)),
        *(migrations.RunSQL(sql=sql, reverse_sql=reverse) for sql, reverse in map(numbered_here, NUMBERED)),
    ]
