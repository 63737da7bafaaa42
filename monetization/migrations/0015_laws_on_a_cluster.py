"""Let the functions of triggers work on a cluster, too (accounts 0023). Nothing changes on a single server.

Each operation is a transaction of its own, and locks one table briefly. If this migration is interrupted, it can
run again.
"""

from pathlib import Path

from django.db import migrations

from foundation.database.sql_texts import changed, function_in, numbered_here

ROLES = (Path(__file__).parent / "roles.sql").read_text()
TIP = function_in(ROLES, "monetization_tip_is_its_refunds")
SUBSCRIPTION = function_in(ROLES, "monetization_subscription_is_its_events")
TIP_ON_A_CLUSTER = changed(
    TIP, ("TG_TABLE_NAME = 'monetization_tip'", "TG_TABLE_NAME ~ '^monetization_tip(_\\d+)?$'")
)
SUBSCRIPTION_ON_A_CLUSTER = changed(
    SUBSCRIPTION,
    (
        "TG_TABLE_NAME = 'monetization_subscription'",
        "TG_TABLE_NAME ~ '^monetization_subscription(_\\d+)?$'",
    ),
)
NUMBERED = (
    "monetization_daytotal",
    "monetization_erasure",
    "monetization_firstanswer",
    "monetization_subscriptionevent",
)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("monetization", "0014_figures_read_few_rows"),
        ("accounts", "0023_laws_on_a_cluster"),
    ]

    operations = [
        migrations.RunSQL(sql=TIP_ON_A_CLUSTER, reverse_sql=TIP),
        migrations.RunSQL(sql=SUBSCRIPTION_ON_A_CLUSTER, reverse_sql=SUBSCRIPTION),
        *(migrations.RunSQL(sql=sql, reverse_sql=reverse) for sql, reverse in map(numbered_here, NUMBERED)),
    ]
