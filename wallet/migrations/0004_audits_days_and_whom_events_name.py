import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0003_a_form_comes_to_one_topup")]

    operations = [
        migrations.CreateModel(
            name="Audit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("laws", "Laws of the books"), ("stripe", "Stripe against the books")],
                        max_length=10,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("clean", "Clean"),
                            ("found", "Something found"),
                            ("unfinished", "Could not look"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "seen_count",
                    models.BigIntegerField(help_text="Wallets, or sessions of Stripe.", verbose_name="seen"),
                ),
                ("found_count", models.BigIntegerField(verbose_name="found")),
                (
                    "findings",
                    models.JSONField(
                        default=list, help_text="The first hundred, as the command prints them."
                    ),
                ),
                ("remark", models.TextField(blank=True, help_text="Why it could not look.")),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="ClosedDay",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("entries", models.BigIntegerField(help_text="How many were written on that day.")),
                ("closed_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="DayTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("product", models.CharField(blank=True, max_length=100)),
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
                ("entries", models.BigIntegerField()),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.AlterModelOptions(
            name="stripeevent",
            options={
                "default_permissions": ("view",),
                "permissions": (
                    ("replay_stripeevent", "Can handle an event again"),
                    ("resolve_stripeevent", "Can resolve a parked event by hand"),
                ),
                "verbose_name": "Stripe event",
            },
        ),
        migrations.AlterModelOptions(
            name="topup",
            options={
                "default_permissions": ("view",),
                "permissions": (("settle_topup", "Can have Stripe asked about a top-up"),),
                "verbose_name": "top-up",
            },
        ),
        migrations.AddField(
            model_name="stripeevent",
            name="user_id",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Whom it names, if that can be a Misar ID.",
                max_length=255,
                verbose_name="Misar ID",
            ),
        ),
        migrations.AddField(
            model_name="stripeevent",
            name="payment_intent_id",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The payment of its session.",
                max_length=255,
            ),
        ),
        migrations.AlterField(
            model_name="stripeevent",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting to be handled"),
                    ("handled", "Handled"),
                    ("parked", "Parked for staff"),
                    ("resolved", "Resolved by hand"),
                    ("kept", "Kept for later"),
                    ("ignored", "Not ours"),
                ],
                default="waiting",
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            model_name="audit",
            index=models.Index(fields=["kind", "-ended_at"], name="wallet_audit_last"),
        ),
        migrations.AddField(
            model_name="daytotal",
            name="day",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="totals",
                to="wallet.closedday",
            ),
        ),
        migrations.AddConstraint(
            model_name="daytotal",
            constraint=models.UniqueConstraint(
                fields=("day", "product", "kind"), name="wallet_daytotal_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="daytotal",
            constraint=models.CheckConstraint(
                condition=models.Q(("entries__gte", 1)), name="wallet_daytotal_adds_something_up"
            ),
        ),
    ]
