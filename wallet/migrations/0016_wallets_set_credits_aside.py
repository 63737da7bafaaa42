"""Add the columns of a wallet that a charge looks at. The release before writes none of them."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0015_holds")]

    operations = [
        migrations.AlterModelOptions(
            name="wallet",
            options={
                "default_permissions": ("view",),
                "permissions": (
                    ("adjust_wallet", "Can adjust a balance"),
                    ("freeze_wallet", "Can freeze a wallet"),
                ),
            },
        ),
        migrations.AddField(
            model_name="wallet",
            name="held",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="Credits that open holds have set aside, overdue holds included.",
            ),
        ),
        migrations.AddField(
            model_name="wallet",
            name="open_holds",
            field=models.SmallIntegerField(
                db_default=0,
                default=0,
                help_text="How many, overdue ones included.",
            ),
        ),
        migrations.AddField(
            model_name="wallet",
            name="granted",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="Credits left of grants.",
            ),
        ),
        migrations.AddField(
            model_name="wallet",
            name="watch",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="The credits that must stay available for no threshold to be crossed.",
            ),
        ),
        migrations.AddField(
            model_name="wallet",
            name="budgets",
            field=models.SmallIntegerField(
                db_default=0,
                default=0,
                help_text="How many budgets the user has.",
            ),
        ),
        migrations.AddField(
            model_name="wallet",
            name="frozen",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Staff stopped all charges.",
            ),
        ),
        AddConstraintNotValid(
            model_name="wallet",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("budgets__gte", 0),
                    ("granted__gte", 0),
                    ("held__gte", 0),
                    ("open_holds__gte", 0),
                    ("watch__gte", 0),
                ),
                name="wallet_wallet_sets_aside_no_less_than_nothing",
            ),
        ),
    ]
