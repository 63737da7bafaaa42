"""Check the old rows. This reads the whole tables; tips are recorded meanwhile."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("monetization", "0009_named_checks")]

    operations = [
        ValidateConstraint("tip", "monetization_tip_rate_is_not_negative"),
        ValidateConstraint("erasure", "monetization_erasure_counts_from_zero"),
    ]
