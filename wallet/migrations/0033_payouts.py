"""Make the tables of what moved at Stripe, of its payouts, and of closed months of both. They are empty at first."""

import django.db.models.functions.datetime
from django.db import migrations, models

from foundation.database.sql_texts import numbered_here

APPENDED = (
    *("wallet_stripemovement", "wallet_payoutitem", "wallet_payoutreading"),
    *("wallet_closedmoney", "wallet_monthmoney"),
)
NUMBERED = ("wallet_payoutreading", "wallet_closedmoney", "wallet_monthmoney")


def kept(table: str, *, changes: bool = False) -> migrations.RunSQL:
    """Let no row of a table be removed, or with `changes` False be changed."""
    name, verbs = ("is_not_deleted", "DELETE") if changes else ("is_history", "UPDATE OR DELETE")
    return migrations.RunSQL(
        sql=[
            f"CREATE OR REPLACE TRIGGER {table}_{name} BEFORE {verbs} ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION wallet_is_history()",
            f"CREATE OR REPLACE TRIGGER {table}_is_not_truncated BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION wallet_is_history()",
        ],
        reverse_sql=[
            f"DROP TRIGGER IF EXISTS {table}_is_not_truncated ON {table}",
            f"DROP TRIGGER IF EXISTS {table}_{name} ON {table}",
        ],
    )


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0032_months"),
    ]

    operations = [
        migrations.CreateModel(
            name="ClosedMoney",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField(help_text="Its first day.", unique=True)),
                ("closed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="MonthMoney",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField(help_text="Its first day.")),
                ("currency", models.CharField(max_length=3)),
                ("category", models.CharField(max_length=100)),
                ("of_topups", models.BooleanField()),
                ("movements", models.BigIntegerField()),
                ("amount", models.BigIntegerField()),
                ("fee", models.BigIntegerField()),
                ("paid_out", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("month", "currency", "category", "of_topups"), name="wallet_monthmoney_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("movements__gte", 1)), name="wallet_monthmoney_adds_something_up"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PayoutItem",
            fields=[
                ("movement_id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("payout_id", models.CharField(max_length=255)),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["payout_id"], name="wallet_payoutitem_payout")],
            },
        ),
        migrations.CreateModel(
            name="PayoutReading",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("until__gt", models.F("since"))),
                        name="wallet_payoutreading_goes_on",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StripeMovement",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(help_text="When the money moved.")),
                ("category", models.CharField(help_text="Stripe's reporting category.", max_length=100)),
                ("currency", models.CharField(help_text="Of the balance, in lower case.", max_length=3)),
                ("amount", models.BigIntegerField()),
                ("fee", models.BigIntegerField()),
                ("source_id", models.CharField(blank=True, max_length=255)),
                ("payment_intent_id", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["created_at", "id"], name="wallet_movement_created")],
            },
        ),
        migrations.CreateModel(
            name="StripePayout",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField()),
                ("arrives_at", models.DateTimeField()),
                ("amount", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("status", models.CharField(max_length=100)),
                ("is_automatic", models.BooleanField()),
                (
                    "itemized_at",
                    models.DateTimeField(
                        help_text="When what is in it was read. Empty while Stripe has not said it.",
                        null=True,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["created_at"], name="wallet_payout_created")],
            },
        ),
        *map(kept, APPENDED),
        kept("wallet_stripepayout", changes=True),
        *(migrations.RunSQL(sql=sql, reverse_sql=reverse) for sql, reverse in map(numbered_here, NUMBERED)),
    ]
