import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import wallet.identifiers


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0010_finding_by_the_beginning"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="topup",
            options={
                "default_permissions": ("view",),
                "permissions": (
                    ("settle_topup", "Can have Stripe asked about a top-up"),
                    ("refund_topup", "Can refund a top-up through Stripe"),
                ),
                "verbose_name": "top-up",
            },
        ),
        migrations.AddField(
            model_name="topup",
            name="origin",
            field=models.CharField(
                choices=[("checkout", "A checkout")], db_default="checkout", default="checkout", max_length=20
            ),
        ),
        migrations.CreateModel(
            name="Payment",
            fields=[
                ("stripe_id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("known", "Not credited"),
                            ("credited", "Credited"),
                            ("by_hand", "Credited by hand"),
                            ("closed", "Closed by hand without credits"),
                        ],
                        default="known",
                        max_length=20,
                    ),
                ),
                ("session_id", models.CharField(blank=True, max_length=255)),
                ("user_id", models.CharField(blank=True, max_length=255, verbose_name="Misar ID")),
                ("entry_id", models.CharField(blank=True, max_length=40, verbose_name="entry")),
                (
                    "refunded_cents",
                    models.BigIntegerField(
                        default=0,
                        help_text="The most that its charge has said it refunded, failed refunds included.",
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("entry_id", ""), _negated=True),
                        fields=["entry_id"],
                        name="wallet_payment_entry",
                    ),
                    models.Index(
                        condition=models.Q(("session_id", ""), _negated=True),
                        fields=["session_id"],
                        name="wallet_payment_session",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("state__in", ["credited", "by_hand"]),
                                models.Q(("entry_id", ""), _negated=True),
                                models.Q(("user_id", ""), _negated=True),
                            ),
                            models.Q(("entry_id", ""), ("state__in", ["known", "closed"])),
                            _connector="OR",
                        ),
                        name="wallet_payment_is_credited_with_an_entry",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("refunded_cents__gte", 0)), name="wallet_payment_refunds_add_up"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReconciliationRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("interrupted", "Interrupted"),
                            ("finished", "Finished"),
                        ],
                        default="running",
                        max_length=20,
                    ),
                ),
                ("since", models.DateTimeField(help_text="It compares what happened from this time on.")),
                ("applies", models.BooleanField(default=False, help_text="Whether it also repairs.")),
                (
                    "next_day",
                    models.DateField(help_text="The first UTC day that is not compared yet.", null=True),
                ),
                ("seen_count", models.BigIntegerField(default=0)),
                ("unknown_count", models.BigIntegerField(default=0)),
                ("found_count", models.BigIntegerField(default=0)),
                ("findings", models.JSONField(default=list, help_text="The first hundred.")),
                (
                    "counts",
                    models.JSONField(
                        default=dict, help_text="How many findings of each kind, repaired ones too."
                    ),
                ),
                (
                    "seen",
                    models.JSONField(
                        default=dict, help_text="How many objects of Stripe of each name were compared."
                    ),
                ),
                (
                    "unknown",
                    models.JSONField(
                        default=dict, help_text="How many of what it does not know, by a description."
                    ),
                ),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "heartbeat_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When the process last wrote progress.",
                    ),
                ),
            ],
            options={
                "verbose_name": "reconciliation run",
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["-started_at"], name="wallet_reconciliation_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "running")),
                        fields=("state",),
                        name="wallet_reconciliationrun_one_at_a_time",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StripeDispute",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("payment_intent_id", models.CharField(max_length=255)),
                ("charge_id", models.CharField(blank=True, max_length=255)),
                ("amount_cents", models.BigIntegerField()),
                ("status", models.CharField(max_length=50)),
                ("reason", models.CharField(blank=True, max_length=100)),
                ("movements", models.JSONField(default=dict)),
                (
                    "due_at",
                    models.DateTimeField(blank=True, help_text="When our answer is due.", null=True),
                ),
                ("created_at", models.DateTimeField(help_text="When it was opened at Stripe.")),
                ("reported_at", models.DateTimeField(help_text="When Stripe reported this status.")),
            ],
            options={
                "verbose_name": "Stripe dispute",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["payment_intent_id"], name="wallet_dispute_intent"),
                    models.Index(fields=["-created_at"], name="wallet_dispute_newest"),
                    models.Index(fields=["status", "-created_at"], name="wallet_dispute_status"),
                    models.Index(
                        condition=models.Q(("charge_id", ""), _negated=True),
                        fields=["charge_id"],
                        name="wallet_dispute_charge",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="StripeRefund",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("payment_intent_id", models.CharField(max_length=255)),
                ("charge_id", models.CharField(blank=True, max_length=255)),
                ("amount_cents", models.BigIntegerField()),
                ("status", models.CharField(max_length=50)),
                (
                    "reason",
                    models.CharField(
                        blank=True, help_text="Why it failed, or why it was made.", max_length=100
                    ),
                ),
                ("created_at", models.DateTimeField(help_text="When it was made at Stripe.")),
                ("reported_at", models.DateTimeField(help_text="When Stripe reported this status.")),
            ],
            options={
                "verbose_name": "Stripe refund",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["payment_intent_id"], name="wallet_refund_intent"),
                    models.Index(fields=["-created_at"], name="wallet_refund_newest"),
                    models.Index(fields=["status", "-created_at"], name="wallet_refund_status"),
                    models.Index(
                        condition=models.Q(("charge_id", ""), _negated=True),
                        fields=["charge_id"],
                        name="wallet_refund_charge",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount_cents__gt", 0)), name="wallet_striperefund_is_money"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RefundRequest",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=wallet.identifiers.refund_request_id,
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("amount_cents", models.BigIntegerField()),
                ("reason", models.TextField()),
                (
                    "actor",
                    models.CharField(help_text="Who asked for it: user:<Misar ID of staff>.", max_length=300),
                ),
                ("form_key", models.CharField(max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("asking", "No answer from Stripe yet"),
                            ("made", "Made at Stripe"),
                            ("refused", "Refused by Stripe"),
                        ],
                        default="asking",
                        max_length=20,
                    ),
                ),
                ("stripe_refund_id", models.CharField(blank=True, max_length=255)),
                ("remark", models.TextField(blank=True, help_text="Why Stripe refused.")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "topup",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refund_requests",
                        to="wallet.topup",
                    ),
                ),
            ],
            options={
                "verbose_name": "refund request",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["actor", "-created_at"], name="wallet_refundrequest_actor"),
                    models.Index(fields=["-created_at"], name="wallet_refundrequest_newest"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount_cents__gt", 0)), name="wallet_refundrequest_is_money"
                    ),
                    models.UniqueConstraint(
                        fields=("actor", "form_key"), name="wallet_refundrequest_form_once"
                    ),
                ],
            },
        ),
    ]
