"""Drop the indexes that Django makes for searches by the beginning of a text. No query uses them.

The one on the counters of requests is paid by charges. If this migration is interrupted, it can run again.
"""

from django.db import migrations

UNUSED = {
    "accounts_apikey_digest_b02b5264_like": "accounts_apikey (digest varchar_pattern_ops)",
    "accounts_apikey_owner_id_2be2fe13_like": "accounts_apikey (owner_id varchar_pattern_ops)",
    "accounts_apikey_prefix_2468c39f_like": "accounts_apikey (prefix varchar_pattern_ops)",
    "accounts_keyuse_digest_b9c94aac_like": "accounts_keyuse (digest varchar_pattern_ops)",
    "accounts_outgoingmail_fact_a0bb92ec_like": "accounts_outgoingmail (fact varchar_pattern_ops)",
    "accounts_outgoingmail_user_id_acd040ec_like": "accounts_outgoingmail (user_id varchar_pattern_ops)",
    "accounts_plan_slug_5d5555f9_like": "accounts_plan (slug varchar_pattern_ops)",
    "accounts_ratecounter_bucket_c8845578_like": "accounts_ratecounter (bucket varchar_pattern_ops)",
    "accounts_servicekey_prefix_60937ac1_like": "accounts_servicekey (prefix varchar_pattern_ops)",
    "accounts_servicekey_product_902a4a79_like": "accounts_servicekey (product varchar_pattern_ops)",
    "accounts_stoppedproduct_product_f6abe807_like": "accounts_stoppedproduct (product varchar_pattern_ops)",
    "accounts_user_misar_id_5cff2fc4_like": "accounts_user (misar_id varchar_pattern_ops)",
    "accounts_user_plan_id_954973d5_like": "accounts_user (plan_id varchar_pattern_ops)",
    "accounts_user_groups_user_id_52b62117_like": "accounts_user_groups (user_id varchar_pattern_ops)",
    "accounts_user_user_permissions_user_id_e4f0a161_like": (
        "accounts_user_user_permissions (user_id varchar_pattern_ops)"
    ),
}


def drop(name: str, of: str) -> migrations.RunSQL:
    """Drop an index without a lock that would stop requests; to undo this, build it again."""
    dropped = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    return migrations.RunSQL(
        sql=[dropped], reverse_sql=[dropped, f"CREATE INDEX CONCURRENTLY {name} ON {of}"]
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0020_redactions")]

    operations = [drop(name, of) for name, of in UNUSED.items()]
