"""As 0015, for mails. Their table can be large, so the next migration checks the old rows."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0015_named_checks_of_plans")]

    operations = [
        AddConstraintNotValid(
            model_name="outgoingmail",
            constraint=models.CheckConstraint(
                condition=models.Q(("tries__gte", 0)), name="accounts_outgoingmail_counts_tries"
            ),
        ),
        migrations.AlterField(model_name="outgoingmail", name="tries", field=models.IntegerField(default=0)),
    ]
