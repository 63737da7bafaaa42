"""Make the table of what came into a month after it was closed. It is empty at first."""

import django.db.models.functions.datetime
from django.db import migrations, models

from foundation.database.sql_texts import numbered_here

HISTORY = [
    "CREATE OR REPLACE TRIGGER wallet_latetotal_is_history BEFORE UPDATE OR DELETE ON wallet_latetotal"
    " FOR EACH ROW EXECUTE FUNCTION wallet_is_history()",
    "CREATE OR REPLACE TRIGGER wallet_latetotal_is_not_truncated BEFORE TRUNCATE ON wallet_latetotal"
    " FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history()",
]
NO_HISTORY = [
    "DROP TRIGGER IF EXISTS wallet_latetotal_is_not_truncated ON wallet_latetotal",
    "DROP TRIGGER IF EXISTS wallet_latetotal_is_history ON wallet_latetotal",
]
NUMBERED, NOT_NUMBERED = numbered_here("wallet_latetotal")


class Migration(migrations.Migration):
    dependencies = [("wallet", "0035_payouts_that_came_back")]

    operations = [
        migrations.CreateModel(
            name="LateTotal",
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
                    "month",
                    models.DateField(help_text="The first day of the closed month that has the entries."),
                ),
                (
                    "number",
                    models.BigIntegerField(help_text="1 for what was booked first of that month, and so on."),
                ),
                ("booked_by", models.CharField(max_length=100)),
                ("reason", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("month", "number", "product", "kind", "feature"), name="wallet_latetotal_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("credits", 0), ("entries", 0), ("granted", 0), _negated=True),
                        name="wallet_latetotal_changes_something",
                    ),
                ],
            },
        ),
        migrations.RunSQL(sql=HISTORY, reverse_sql=NO_HISTORY),
        migrations.RunSQL(sql=NUMBERED, reverse_sql=NOT_NUMBERED),
    ]
