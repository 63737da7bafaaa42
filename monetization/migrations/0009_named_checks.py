"""Give the checks of numbers names, and make the fields plain integers.

The columns stay integers, so no row is written. AlterField drops the check without a name of ours that Django
made for a positive field. A cluster refuses to add a column with such a check. The tables can be large, so
the next migration checks the old rows. They are locked in the order in which requests use them.
"""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monetization", "0008_mailboxes_are_filled")]

    operations = [
        AddConstraintNotValid(
            model_name="tip",
            constraint=models.CheckConstraint(
                condition=models.Q(("fee_bps__gte", 0)), name="monetization_tip_rate_is_not_negative"
            ),
        ),
        migrations.AlterField(model_name="tip", name="fee_bps", field=models.IntegerField()),
        AddConstraintNotValid(
            model_name="erasure",
            constraint=models.CheckConstraint(
                condition=models.Q(("subscriptions__gte", 0), ("tips__gte", 0)),
                name="monetization_erasure_counts_from_zero",
            ),
        ),
        migrations.AlterField(model_name="erasure", name="tips", field=models.IntegerField()),
        migrations.AlterField(model_name="erasure", name="subscriptions", field=models.IntegerField()),
    ]
