"""Check the old rows. This reads the whole table; mails are written and sent meanwhile."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0016_a_named_check_of_mails")]

    operations = [ValidateConstraint("outgoingmail", "accounts_outgoingmail_counts_tries")]
