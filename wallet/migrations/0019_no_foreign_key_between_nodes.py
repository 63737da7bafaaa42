"""Remove foreign keys from rows of one table to rows that may be on another node, and the last inline checks.

Each statement is a transaction of its own, so no two tables are locked at once. If this migration is
interrupted, it can run again.
"""

import django.db.models.deletion
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0018_indexes_that_include_the_wallet")]

    operations = [
        migrations.AlterField(
            model_name="daytotal",
            name="day",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="totals",
                to="wallet.closedday",
            ),
        ),
        migrations.AlterField(
            model_name="topup",
            name="entry",
            field=models.OneToOneField(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="topup",
                to="wallet.entry",
            ),
        ),
        migrations.AlterField(
            model_name="entry",
            name="reverses",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reversals",
                to="wallet.entry",
            ),
        ),
        migrations.AlterField(
            model_name="rate",
            name="credits",
            field=models.IntegerField(help_text="Whole credits for one unit."),
        ),
        migrations.AlterField(model_name="ratechange", name="credits", field=models.IntegerField()),
        migrations.AlterField(model_name="stripeevent", name="tries", field=models.IntegerField(default=0)),
        AddConstraintNotValid(
            model_name="ratechange",
            constraint=models.CheckConstraint(
                condition=models.Q(("credits__gte", 1)), name="wallet_ratechange_is_never_free"
            ),
        ),
        AddConstraintNotValid(
            model_name="stripeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("tries__gte", 0)), name="wallet_stripeevent_counts_tries"
            ),
        ),
        ValidateConstraint("ratechange", "wallet_ratechange_is_never_free"),
        ValidateConstraint("stripeevent", "wallet_stripeevent_counts_tries"),
    ]
