"""Mark payouts that Stripe does not know, and find what came back of a payout.

Payouts are read meanwhile. Each operation is a transaction of its own. If this migration is interrupted, it can
run again.
"""

from django.db import migrations, models

CAME_BACK = models.Index(
    condition=models.Q(("category", "payout_reversal")),
    fields=["source_id"],
    name="wallet_movement_came_back",
)
DROP = f"DROP INDEX CONCURRENTLY IF EXISTS {CAME_BACK.name}"
BUILD = (
    f"CREATE INDEX CONCURRENTLY {CAME_BACK.name} ON wallet_stripemovement (source_id)"
    " WHERE category = 'payout_reversal'"
)
COLUMN = "ALTER TABLE wallet_stripepayout"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0034_words_and_unused_indexes")]

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
                    model_name="stripepayout",
                    name="unknown_since",
                    field=models.DateTimeField(
                        help_text="Since when Stripe does not know it, or answers wrongly. Empty while it knows it.",
                        null=True,
                    ),
                )
            ],
        ),
        migrations.SeparateDatabaseAndState(
            # An interrupted build leaves an index that is not valid.
            database_operations=[migrations.RunSQL(sql=[DROP, BUILD], reverse_sql=[DROP])],
            state_operations=[migrations.AddIndex(model_name="stripemovement", index=CAME_BACK)],
        ),
    ]
