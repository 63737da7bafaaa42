"""Give the checks of numbers names, and make the fields plain integers.

The columns stay integers, so no row is written. AlterField drops the check without a name of ours that Django
made for a positive field. A cluster refuses to add a column with such a check. Plans have few rows, so the new
checks are valid at once. Each migration locks the tables in the order in which requests use them.
"""

from django.db import migrations, models


def not_negative(name: str) -> models.CheckConstraint:
    """The check of both tables' key limits."""
    return models.CheckConstraint(
        condition=models.Q(("key_limit", None), ("key_limit__gte", 0), _connector="OR"), name=name
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0014_last_use_of_keys")]

    operations = [
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(("fee_bps__gte", 0)), name="accounts_plan_fee_is_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="plan", constraint=not_negative("accounts_plan_key_limit_is_not_negative")
        ),
        migrations.AlterField(
            model_name="plan",
            name="fee_bps",
            field=models.IntegerField(
                help_text="In basis points of the gross amount: 500 is 5 %.", verbose_name="platform fee"
            ),
        ),
        migrations.AlterField(
            model_name="plan",
            name="key_limit",
            field=models.IntegerField(
                blank=True,
                help_text="How many active keys a creator may have at the same time. Leave empty for no limit.",
                null=True,
                verbose_name="API keys",
            ),
        ),
        migrations.AddConstraint(
            model_name="planchange",
            constraint=models.CheckConstraint(
                condition=models.Q(("fee_bps__gte", 0)), name="accounts_planchange_fee_is_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="planchange",
            constraint=not_negative("accounts_planchange_key_limit_is_not_negative"),
        ),
        migrations.AlterField(model_name="planchange", name="fee_bps", field=models.IntegerField()),
        migrations.AlterField(
            model_name="planchange", name="key_limit", field=models.IntegerField(null=True)
        ),
    ]
