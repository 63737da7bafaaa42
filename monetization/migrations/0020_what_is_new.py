"""What tells that a record lacks something since the creator last looked.

Records are written meanwhile. The release before leaves the column NULL. Each operation is a transaction of its
own. If this migration is interrupted, it can run again.
"""

from django.db import migrations, models

NO_STRIPE_ID = models.Index(
    fields=["creator", "created_at"],
    condition=models.Q(stripe_payment_id=None),
    name="monetization_tip_no_stripe_id",
)
DROP = f"DROP INDEX CONCURRENTLY IF EXISTS {NO_STRIPE_ID.name}"
BUILD = (
    f"CREATE INDEX CONCURRENTLY {NO_STRIPE_ID.name} ON monetization_tip (creator_id, created_at)"
    " WHERE stripe_payment_id IS NULL"
)
COLUMN = "ALTER TABLE monetization_subscription"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("monetization", "0019_dismissed_parts_of_the_overview")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    sql=[f"{COLUMN} ADD COLUMN IF NOT EXISTS unknown_since timestamptz"],
                    reverse_sql=[f"{COLUMN} DROP COLUMN IF EXISTS unknown_since"],
                )
            ],
            state_operations=[
                migrations.AddField(
                    model_name="subscription",
                    name="unknown_since",
                    field=models.DateTimeField(blank=True, editable=False, null=True),
                )
            ],
        ),
        migrations.SeparateDatabaseAndState(
            # An interrupted build leaves an index that is not valid.
            database_operations=[migrations.RunSQL(sql=[DROP, BUILD], reverse_sql=[DROP])],
            state_operations=[migrations.AddIndex(model_name="tip", index=NO_STRIPE_ID)],
        ),
    ]
