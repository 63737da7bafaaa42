"""Make the tables of holds and of what refunds answered."""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

import wallet.identifiers

FORWARD, REVERSE = (Path(__file__).parent / "holds.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [("wallet", "0014_no_law_over_all_wallets")]

    operations = [
        migrations.CreateModel(
            name="Hold",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=wallet.identifiers.hold_id,
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="holds",
                        to="wallet.wallet",
                    ),
                ),
                ("product", models.CharField(max_length=100)),
                ("feature", models.CharField(max_length=100)),
                ("count", models.IntegerField(help_text="Units of the feature.")),
                (
                    "credits",
                    models.BigIntegerField(help_text="The price of all units, when the hold was made."),
                ),
                ("idempotency_key", models.CharField(max_length=255)),
                ("actor", models.CharField(max_length=300)),
                (
                    "available_before",
                    models.BigIntegerField(help_text="The credits that could be spent before this hold."),
                ),
                ("ttl_seconds", models.IntegerField(help_text="How long it was to last when it was made.")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("captured", "Captured"),
                            ("voided", "Voided"),
                            ("expired", "Expired"),
                        ],
                        default="open",
                        max_length=20,
                    ),
                ),
                ("captured_count", models.IntegerField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "permissions": (("void_hold", "Can void a hold"),),
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["wallet", "-created_at", "-id"], name="wallet_hold_newest"),
                    models.Index(
                        condition=models.Q(("state", "open")),
                        fields=["wallet", "expires_at"],
                        name="wallet_hold_open",
                    ),
                    models.Index(
                        condition=models.Q(("state", "open")),
                        fields=["expires_at"],
                        name="wallet_hold_overdue",
                    ),
                    models.Index(fields=["-created_at"], name="wallet_hold_list"),
                    models.Index(fields=["product", "-created_at"], name="wallet_hold_product"),
                    models.Index(fields=["idempotency_key"], name="wallet_hold_key"),
                    models.Index(
                        condition=models.Q(("state__in", ["voided", "expired"])),
                        fields=["state", "-created_at"],
                        name="wallet_hold_ended",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("wallet", "product", "idempotency_key"), name="wallet_hold_key_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("count__gte", 1),
                            ("credits__gte", 1),
                            ("ttl_seconds__gte", 1),
                            models.Q(("idempotency_key", ""), _negated=True),
                        ),
                        name="wallet_hold_sets_something_aside",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("available_before__gte", models.F("credits"))),
                        name="wallet_hold_was_covered",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("captured_count__isnull", True),
                                ("ended_at__isnull", True),
                                ("state", "open"),
                            ),
                            models.Q(
                                ("captured_count__isnull", True),
                                ("ended_at", models.F("expires_at")),
                                ("ended_at__isnull", False),
                                ("state", "expired"),
                            ),
                            models.Q(
                                ("captured_count__isnull", True),
                                ("ended_at__isnull", False),
                                ("ended_at__lt", models.F("expires_at")),
                                ("state", "voided"),
                            ),
                            models.Q(
                                ("captured_count__gte", 1),
                                ("captured_count__isnull", False),
                                ("captured_count__lte", models.F("count")),
                                ("ended_at__isnull", False),
                                ("ended_at__lt", models.F("expires_at")),
                                ("state", "captured"),
                            ),
                            _connector="OR",
                        ),
                        name="wallet_hold_ends_once",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="GiveBack",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "wallet", "entry", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="wallet.wallet",
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="wallet.entry",
                    ),
                ),
                (
                    "requested",
                    models.BigIntegerField(
                        help_text="In credits; empty if all that was left was.", null=True
                    ),
                ),
                (
                    "refundable",
                    models.BigIntegerField(
                        help_text="Credits of the charge that were left after this refund."
                    ),
                ),
                (
                    "lapsed",
                    models.BigIntegerField(help_text="Credits that went back to a grant past its end."),
                ),
                (
                    "available",
                    models.BigIntegerField(help_text="The credits that could be spent after this refund."),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
    ]
