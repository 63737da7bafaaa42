"""Make the tables of grants and budgets. Of the tables that products write, this locks only the one of wallets."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

import wallet.identifiers


class Migration(migrations.Migration):
    dependencies = [
        ("wallet", "0021_guard_what_is_set_aside"),
    ]

    operations = [
        migrations.CreateModel(
            name="GrantedMonth",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "product", "month", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("product", models.CharField(max_length=100)),
                ("month", models.DateField(help_text="Its first day.")),
                ("credits", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("credits__gte", 0)), name="wallet_grantedmonth_counts_from_zero"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Lot",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=wallet.identifiers.grant_id,
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "product",
                    models.CharField(
                        blank=True, help_text="Which product granted it; empty for staff.", max_length=100
                    ),
                ),
                ("reason", models.CharField(help_text="The user sees it.", max_length=200)),
                ("credits", models.BigIntegerField(help_text="What was granted.")),
                ("remaining", models.BigIntegerField(help_text="What was not spent and not written off.")),
                (
                    "held",
                    models.BigIntegerField(
                        default=0, help_text="The part of what is left that open holds set aside."
                    ),
                ),
                (
                    "expired",
                    models.BigIntegerField(
                        default=0, help_text="What was written off when the lot had ended."
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "voided_at",
                    models.DateTimeField(blank=True, help_text="When the grant was taken back.", null=True),
                ),
                (
                    "removed",
                    models.BigIntegerField(blank=True, help_text="What taking it back wrote off.", null=True),
                ),
                (
                    "held_when_voided",
                    models.BigIntegerField(
                        blank=True,
                        help_text="What open holds had set aside when it was taken back.",
                        null=True,
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
                    "wallet",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lots",
                        to="wallet.wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "grant",
                "permissions": (("grant_lot", "Can grant credits"), ("void_lot", "Can take a grant back")),
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="HoldPart",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "wallet", "hold", "lot", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("credits", models.BigIntegerField()),
                (
                    "hold",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="parts",
                        to="wallet.hold",
                    ),
                ),
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
                (
                    "lot",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="wallet.lot",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="LotMove",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "wallet",
                        "sequence",
                        "lot",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("sequence", models.BigIntegerField(help_text="The entry's number in its wallet.")),
                ("credits", models.BigIntegerField()),
                ("remaining_after", models.BigIntegerField()),
                (
                    "lot",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="moves",
                        to="wallet.lot",
                    ),
                ),
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
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Budget",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "wallet",
                        "set_by",
                        "product",
                        "period",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "set_by",
                    models.CharField(choices=[("user", "User"), ("product", "Product")], max_length=20),
                ),
                ("product", models.CharField(blank=True, help_text="Empty: all products.", max_length=100)),
                ("period", models.CharField(choices=[("day", "Day"), ("month", "Month")], max_length=20)),
                ("credits", models.BigIntegerField(help_text="The most that may be spent in a period.")),
                (
                    "alert_percent",
                    models.SmallIntegerField(default=100, help_text="At which part of it to send an alert."),
                ),
                ("starts", models.DateField(help_text="The first day of the period that `spent` counts.")),
                (
                    "spent",
                    models.BigIntegerField(
                        help_text="Charges and open holds of the period, by when they were asked for, less what came back."
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
            ],
            options={
                "default_permissions": ("view",),
                "permissions": (("remove_budget", "Can remove a budget"),),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("alert_percent__gte", 1),
                            ("alert_percent__lte", 100),
                            ("credits__gte", 0),
                            ("spent__gte", 0),
                        ),
                        name="wallet_budget_counts_from_zero",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("set_by", "user"),
                            models.Q(("set_by", "product"), models.Q(("product", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="wallet_budget_is_of_who_set_it",
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(fields=["wallet", "-created_at", "-id"], name="wallet_lot_newest"),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                condition=models.Q(("remaining__gt", 0)),
                fields=["wallet", "expires_at", "id"],
                name="wallet_lot_left",
            ),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                condition=models.Q(("remaining__gt", 0)), fields=["expires_at"], name="wallet_lot_ending"
            ),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                condition=models.Q(("remaining__gt", 0), ("voided_at__isnull", False)),
                fields=["voided_at"],
                name="wallet_lot_voided",
            ),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(fields=["-created_at"], name="wallet_lot_list"),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(fields=["product", "-created_at"], name="wallet_lot_product"),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                fields=["-created_at"],
                condition=models.Q(("voided_at__isnull", False)),
                name="wallet_lot_taken_back",
            ),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                fields=["-created_at"],
                condition=models.Q(("expired__gt", 0)),
                name="wallet_lot_expired",
            ),
        ),
        migrations.AddConstraint(
            model_name="lot",
            constraint=models.UniqueConstraint(fields=("wallet", "entry"), name="wallet_lot_one_per_entry"),
        ),
        migrations.AddConstraint(
            model_name="lot",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "credits__gte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("remaining"), "+", models.F("expired")
                        ),
                    ),
                    ("expired__gte", 0),
                    ("held__gte", 0),
                    ("held__lte", models.F("remaining")),
                ),
                name="wallet_lot_adds_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="lot",
            constraint=models.CheckConstraint(
                condition=models.Q(("credits__gte", 1), ("expires_at__gt", models.F("created_at"))),
                name="wallet_lot_grants_something",
            ),
        ),
        migrations.AddConstraint(
            model_name="lot",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("held_when_voided__isnull", True),
                        ("removed__isnull", True),
                        ("voided_at__isnull", True),
                    ),
                    models.Q(
                        ("held_when_voided__gte", 0),
                        ("held_when_voided__isnull", False),
                        ("removed__gte", 0),
                        ("removed__isnull", False),
                        ("voided_at__isnull", False),
                        ("voided_at__lt", models.F("expires_at")),
                    ),
                    _connector="OR",
                ),
                name="wallet_lot_is_voided_before_its_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="holdpart",
            constraint=models.CheckConstraint(
                condition=models.Q(("credits__gte", 1)), name="wallet_holdpart_sets_something_aside"
            ),
        ),
        migrations.AddIndex(
            model_name="lotmove",
            index=models.Index(fields=["wallet", "lot", "sequence"], name="wallet_lotmove_lot"),
        ),
        migrations.AddConstraint(
            model_name="lotmove",
            constraint=models.CheckConstraint(
                condition=models.Q(("credits", 0), _negated=True), name="wallet_lotmove_moves_something"
            ),
        ),
    ]
