"""Build indexes while products charge, and check the old rows against the new laws.

If this migration is interrupted, it can run again.
"""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models

# Django makes these indexes for searches by the beginning of a text. No query uses them, and every charge pays.
UNUSED = {
    "wallet_entry_id_7cfb70c0_like": "wallet_entry (id varchar_pattern_ops)",
    "wallet_wallet_user_id_8c75caaa_like": "wallet_wallet (user_id varchar_pattern_ops)",
    "wallet_hold_id_97fef8bb_like": "wallet_hold (id varchar_pattern_ops)",
}


def build(name: str, of: str) -> migrations.RunSQL:
    """Build an index without a lock that would stop charges."""
    # An interrupted build leaves an index that is not valid.
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    return migrations.RunSQL(
        sql=[drop, f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {of}"], reverse_sql=[drop]
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0017_entries_tell_what_is_held")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                build(
                    "wallet_entry_one_per_hold",
                    of="wallet_entry (wallet_id, hold_id) WHERE hold_id IS NOT NULL",
                )
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="entry",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("hold_id__isnull", False)),
                        fields=("wallet", "hold_id"),
                        name="wallet_entry_one_per_hold",
                    ),
                ),
            ],
        ),
        # The next migration makes it the primary key.
        build("wallet_entry_id_wallet", of="wallet_entry (id, wallet_id)"),
        *(
            migrations.RunSQL(
                sql=[f"DROP INDEX CONCURRENTLY IF EXISTS {name}"],
                reverse_sql=[f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {of}"],
            )
            for name, of in UNUSED.items()
        ),
        ValidateConstraint("wallet", "wallet_wallet_sets_aside_no_less_than_nothing"),
        ValidateConstraint("entry", "wallet_entry_leaves_what_is_held"),
        ValidateConstraint("entry", "wallet_entry_capture_names_its_hold"),
        ValidateConstraint("entry", "wallet_entry_counts_units"),
    ]
