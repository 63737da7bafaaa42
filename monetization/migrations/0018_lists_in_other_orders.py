"""Indexes for the other orders of a creator's lists, and for the search for a plan.

Records are written meanwhile. Each operation is a transaction of its own. If this migration is interrupted, it
can run again. The index of statuses goes last: the index of states begins with its fields.
"""

from django.contrib.postgres.indexes import OpClass
from django.db import migrations, models
from django.db.models.functions import Upper

BY_AMOUNT = models.Index(
    fields=["creator", "currency", "gross_cents", "id"], name="monetization_tip_by_amount"
)
BY_MRR = models.Index(fields=["creator", "currency", "yearly_cents", "id"], name="monetization_sub_by_mrr")
BY_STATE = models.Index(fields=["creator", "status", "created_at", "id"], name="monetization_sub_by_state")
PLAN = models.Index(
    "creator", OpClass(Upper("plan"), "text_pattern_ops"), name="monetization_sub_plan_begins"
)


def built(model_name: str, index: models.Index, of: str) -> migrations.SeparateDatabaseAndState:
    """Build the index without a long lock. An interrupted build leaves an index that is not valid."""
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}"
    build = f"CREATE INDEX CONCURRENTLY {index.name} ON {of}"
    return migrations.SeparateDatabaseAndState(
        database_operations=[migrations.RunSQL(sql=[drop, build], reverse_sql=[drop])],
        state_operations=[migrations.AddIndex(model_name=model_name, index=index)],
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("monetization", "0017_digests")]

    operations = [
        built("tip", BY_AMOUNT, "monetization_tip (creator_id, currency, gross_cents, id)"),
        built("subscription", BY_MRR, "monetization_subscription (creator_id, currency, yearly_cents, id)"),
        built("subscription", BY_STATE, "monetization_subscription (creator_id, status, created_at, id)"),
        built("subscription", PLAN, "monetization_subscription (creator_id, upper(plan) text_pattern_ops)"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    sql=["DROP INDEX CONCURRENTLY IF EXISTS monetization_sub_status"],
                    reverse_sql=[
                        "CREATE INDEX CONCURRENTLY IF NOT EXISTS monetization_sub_status"
                        " ON monetization_subscription (creator_id, status)"
                    ],
                )
            ],
            state_operations=[
                migrations.RemoveIndex(model_name="subscription", name="monetization_sub_status")
            ],
        ),
    ]
