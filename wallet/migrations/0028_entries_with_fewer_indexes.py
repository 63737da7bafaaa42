"""Take from entries the indexes that only lists of staff need, and the foreign key that every charge checks.

Indexes are built and dropped while products charge. If this migration is interrupted, it can run again.
"""

import django.db.models.deletion
from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models

FOREIGN_KEY = "wallet_entry_wallet_id_008ca9ae_fk_wallet_wallet_user_id"
# A transaction that needs both tables locks the wallet first, so this one does too. Requests queue behind it, and
# wait no longer than LOCK_TIMEOUT_MS. So it gives up before them, and the migration runs again.
LOCK = "SET LOCAL lock_timeout = 1000; LOCK TABLE wallet_wallet, wallet_entry IN ACCESS EXCLUSIVE MODE"

# Django makes these indexes for searches by the beginning of a text. No query uses them.
UNUSED = {
    "wallet_payment_stripe_id_51467205_like": "wallet_payment (stripe_id varchar_pattern_ops)",
    "wallet_rate_feature_8cb80fba_like": "wallet_rate (feature varchar_pattern_ops)",
    "wallet_refundrequest_id_9654adac_like": "wallet_refundrequest (id varchar_pattern_ops)",
    "wallet_refundrequest_topup_id_15e96a2b_like": "wallet_refundrequest (topup_id varchar_pattern_ops)",
    "wallet_stripedispute_id_183218f6_like": "wallet_stripedispute (id varchar_pattern_ops)",
    "wallet_stripeevent_id_99f1b2ac_like": "wallet_stripeevent (id varchar_pattern_ops)",
    "wallet_striperefund_id_8999329e_like": "wallet_striperefund (id varchar_pattern_ops)",
    "wallet_topup_entry_id_e99a6d4e_like": "wallet_topup (entry_id varchar_pattern_ops)",
    "wallet_topup_id_2fca0f42_like": "wallet_topup (id varchar_pattern_ops)",
    "wallet_topup_stripe_session_id_19ae2a68_like": "wallet_topup (stripe_session_id varchar_pattern_ops)",
}


def dropped(name: str) -> str:
    """The statement that drops an index. An interrupted build leaves an index that is not valid."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {name}"


def build(index: BrinIndex, columns: str) -> migrations.SeparateDatabaseAndState:
    """Build a BRIN index of entries without a lock that would stop charges."""
    create = (
        f"CREATE INDEX CONCURRENTLY {index.name} ON wallet_entry USING brin ({columns})"
        " WITH (autosummarize = on, pages_per_range = 32)"
    )
    drop = dropped(index.name)
    return migrations.SeparateDatabaseAndState(
        database_operations=[migrations.RunSQL(sql=[drop, create], reverse_sql=[drop])],
        state_operations=[migrations.AddIndex(model_name="entry", index=index)],
    )


def drop(name: str, of: str) -> migrations.RunSQL:
    """Drop an index; to undo this, build it again."""
    again = [dropped(name), f"CREATE INDEX CONCURRENTLY {name} ON {of}"]
    return migrations.RunSQL(sql=[dropped(name)], reverse_sql=again)


def remove(name: str, of: str) -> migrations.SeparateDatabaseAndState:
    """Drop an index of entries that the model declares."""
    return migrations.SeparateDatabaseAndState(
        database_operations=[drop(name, f"wallet_entry {of}")],
        state_operations=[migrations.RemoveIndex(model_name="entry", name=name)],
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0027_seals")]

    operations = [
        build(
            BrinIndex(
                autosummarize=True,
                fields=["created_at", "product"],
                name="wallet_entry_written",
                opclasses=["timestamptz_minmax_ops", "text_bloom_ops (n_distinct_per_range = 32)"],
                pages_per_range=32,
            ),
            "created_at timestamptz_minmax_ops, product text_bloom_ops (n_distinct_per_range = 32)",
        ),
        build(
            BrinIndex(
                autosummarize=True,
                fields=["created_at", "idempotency_key"],
                name="wallet_entry_keys",
                opclasses=[
                    "timestamptz_minmax_ops",
                    "text_bloom_ops (n_distinct_per_range = 1500, false_positive_rate = 0.001)",
                ],
                pages_per_range=32,
            ),
            "created_at timestamptz_minmax_ops,"
            " idempotency_key text_bloom_ops (n_distinct_per_range = 1500, false_positive_rate = 0.001)",
        ),
        remove("wallet_entry_newest", of="(created_at DESC)"),
        remove("wallet_entry_product", of="(product, created_at DESC)"),
        remove("wallet_entry_key", of="(idempotency_key) WHERE idempotency_key <> ''"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                # One block is one transaction.
                migrations.RunSQL(
                    sql=[
                        f"DO $$ BEGIN {LOCK};"
                        f" ALTER TABLE wallet_entry DROP CONSTRAINT IF EXISTS {FOREIGN_KEY}; END $$"
                    ],
                    reverse_sql=[
                        f"DO $$ BEGIN {LOCK};"
                        f" ALTER TABLE wallet_entry DROP CONSTRAINT IF EXISTS {FOREIGN_KEY};"
                        f" ALTER TABLE wallet_entry ADD CONSTRAINT {FOREIGN_KEY} FOREIGN KEY (wallet_id)"
                        " REFERENCES wallet_wallet (user_id) DEFERRABLE INITIALLY DEFERRED NOT VALID; END $$",
                        f"ALTER TABLE wallet_entry VALIDATE CONSTRAINT {FOREIGN_KEY}",
                    ],
                )
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="entry",
                    name="wallet",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="wallet.wallet",
                    ),
                )
            ],
        ),
        *(drop(name, of) for name, of in UNUSED.items()),
    ]
