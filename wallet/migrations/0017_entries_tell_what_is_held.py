"""Add the columns and the laws of entries that holds need. Old rows are checked in the next migration."""

import django.db.models.functions.comparison
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0016_wallets_set_credits_aside")]

    operations = [
        migrations.AddField(
            model_name="entry",
            name="held",
            field=models.BigIntegerField(
                help_text="The credits that were held after this entry. Empty in entries of older releases, which "
                "knew no holds.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="entry",
            name="hold_id",
            field=models.CharField(
                blank=True,
                help_text="The hold that this entry captured.",
                max_length=40,
                null=True,
                verbose_name="hold",
            ),
        ),
        # The column stays an integer: another type would write the whole table anew.
        migrations.AlterField(
            model_name="entry", name="count", field=models.IntegerField(blank=True, null=True)
        ),
        AddConstraintNotValid(
            model_name="entry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("credits__gt", 0),
                    ("kind__in", ["clawback", "capture", "expiry"]),
                    ("balance_after__gte", django.db.models.functions.comparison.Coalesce("held", 0)),
                    _connector="OR",
                ),
                name="wallet_entry_leaves_what_is_held",
            ),
        ),
        AddConstraintNotValid(
            model_name="entry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("hold_id__isnull", False), ("kind", "capture")),
                    models.Q(models.Q(("kind", "capture"), _negated=True), ("hold_id__isnull", True)),
                    _connector="OR",
                ),
                name="wallet_entry_capture_names_its_hold",
            ),
        ),
        AddConstraintNotValid(
            model_name="entry",
            constraint=models.CheckConstraint(
                condition=models.Q(("count__isnull", True), ("count__gte", 1), _connector="OR"),
                name="wallet_entry_counts_units",
            ),
        ),
    ]
