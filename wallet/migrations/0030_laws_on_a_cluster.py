"""Let the functions of triggers work on a cluster, too (accounts 0023). Nothing changes on a single server.

Each operation is a transaction of its own, and locks one table briefly. If this migration is interrupted, it can
run again.
"""

from pathlib import Path

from django.db import migrations

from foundation.database.sql_texts import changed, function_in, numbered_here

ROLES = (Path(__file__).parent / "roles.sql").read_text()
ACT = function_in(ROLES, "wallet_entry_has_its_act")
# PostgreSQL plans a condition as a whole, so what a shard cannot read is a statement of its own.
ACT_ON_A_CLUSTER = changed(
    ACT,
    (
        "IF TG_TABLE_NAME <> 'wallet_entry' OR accounts_is_owner(TG_RELID)\n",
        "IF TG_TABLE_NAME <> 'wallet_entry' THEN\n        RETURN NULL;\n    END IF;\n"
        "    IF accounts_is_owner(TG_RELID)\n",
    ),
)
NOW = function_in(ROLES, "wallet_entry_is_of_now")
# It reads its own wallet alone, so it can act on a shard. There it acts for each charge, since the node that was entered
# has set the time a little before. So what costs more than to compare two times comes last, or for the few that need it.
NOW_ON_A_CLUSTER = changed(
    NOW,
    (
        "'reinstatement');\n",
        "'reinstatement');\n    first_at timestamptz;\n",
    ),
    (
        """\
    IF TG_TABLE_NAME <> 'wallet_entry' OR accounts_is_owner(TG_RELID) THEN
        RETURN NEW;
    END IF;
    IF NEW.created_at""",
        """\
    IF NEW.kind = 'expiry' THEN
        SELECT created_at INTO first_at FROM wallet_entry WHERE wallet_id = NEW.wallet_id AND sequence = 1;
    END IF;
    IF (NEW.created_at""",
    ),
    (
        """\
       OR (NEW.kind = 'expiry' AND NEW.effective_at <
           (SELECT created_at FROM wallet_entry WHERE wallet_id = NEW.wallet_id AND sequence = 1))
""",
        "       OR NEW.effective_at < first_at\n",
    ),
    (
        "AND NEW.effective_at < transaction_timestamp() - interval '1 minute') THEN",
        "AND NEW.effective_at < transaction_timestamp() - interval '1 minute'))\n"
        "       AND NOT accounts_is_owner(TG_RELID) THEN",
    ),
)
RATE = function_in(ROLES, "wallet_rate_is_its_last_change")
# The rates are on every node, and their changes only on one. There the trigger of a change looks at both.
RATE_ON_A_CLUSTER = changed(
    RATE,
    ("TG_TABLE_NAME NOT IN ('wallet_rate', 'wallet_ratechange')", "TG_TABLE_NAME ~ '^wallet_rate_\\d+$'"),
)
NUMBERED = ("wallet_audit", "wallet_daytotal", "wallet_ratechange", "wallet_reconciliationrun")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("wallet", "0029_wallets_move_by_several_entries"),
        ("accounts", "0023_laws_on_a_cluster"),
    ]

    operations = [
        migrations.RunSQL(sql=ACT_ON_A_CLUSTER, reverse_sql=ACT),
        migrations.RunSQL(sql=NOW_ON_A_CLUSTER, reverse_sql=NOW),
        migrations.RunSQL(sql=RATE_ON_A_CLUSTER, reverse_sql=RATE),
        *(migrations.RunSQL(sql=sql, reverse_sql=reverse) for sql, reverse in map(numbered_here, NUMBERED)),
    ]
