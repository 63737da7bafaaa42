"""Indexes for the figures of a creator, what adds up a day, and a law: no row is dated into a closed day.

Records are written meanwhile. Each operation is a transaction of its own. If this migration is interrupted, it
can run again.
"""

from pathlib import Path

from django.db import migrations, models
from django.db.models.functions import Coalesce

TOTALS, REVERSE_TOTALS = (Path(__file__).parent / "totals.sql").read_text().split("--- reverse:")
PAYER = models.Index("creator", Coalesce("mailbox", "reader"), name="monetization_sub_payer")
PAST_DUE = models.Index(
    fields=["creator", "currency", "yearly_cents"],
    condition=models.Q(status="past_due"),
    name="monetization_sub_past_due",
)
UNKNOWN = models.Index(
    fields=["creator", "currency", "status"],
    condition=models.Q(interval="unknown"),
    name="monetization_sub_unknown",
)
CANCELLED = models.Index(
    fields=["creator", "created_at"],
    condition=models.Q(status="cancelled"),
    name="monetization_event_cancelled",
)


def built(model_name: str, index: models.Index, of: str) -> migrations.SeparateDatabaseAndState:
    """Build the index without a long lock. An interrupted build leaves an index that is not valid."""
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}"
    build = f"CREATE INDEX CONCURRENTLY {index.name} ON {of}"
    return migrations.SeparateDatabaseAndState(
        database_operations=[migrations.RunSQL(sql=[drop, build], reverse_sql=[drop])],
        state_operations=[migrations.AddIndex(model_name=model_name, index=index)],
    )


def dated_now(name: str, table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        sql=f"CREATE OR REPLACE TRIGGER {name} BEFORE INSERT ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION accounts_is_dated_now()",
        reverse_sql=f"DROP TRIGGER IF EXISTS {name} ON {table}",
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("monetization", "0013_totals_of_finished_days")]

    operations = [
        built(
            "subscription",
            PAYER,
            "monetization_subscription (creator_id, coalesce(mailbox, reader))",
        ),
        built(
            "subscription",
            PAST_DUE,
            "monetization_subscription (creator_id, currency, yearly_cents) WHERE status = 'past_due'",
        ),
        built(
            "subscription",
            UNKNOWN,
            "monetization_subscription (creator_id, currency, status) WHERE \"interval\" = 'unknown'",
        ),
        built(
            "subscriptionevent",
            CANCELLED,
            "monetization_subscriptionevent (creator_id, created_at) WHERE status = 'cancelled'",
        ),
        migrations.RunSQL(sql=TOTALS, reverse_sql=REVERSE_TOTALS),
        # As for refunds and events (roles.sql).
        dated_now("monetization_tip_is_dated_now", "monetization_tip"),
        dated_now("monetization_subscription_is_dated_now", "monetization_subscription"),
    ]
