"""Let the functions of triggers work on a cluster, too. Nothing changes on a single server.

On a cluster, triggers act on the parts of a table (shards), whose names end with a number: accounts_user_102010.
Each operation is a transaction of its own, and locks one table briefly. If this migration is interrupted, it can
run again.
"""

from pathlib import Path

from django.db import migrations

from foundation.database.sql_texts import changed, function_in, numbered_here

HERE = Path(__file__).parent
ROLES = (HERE / "roles.sql").read_text()
ACCESS = function_in(ROLES, "accounts_access_has_its_act")
PLAN = function_in(ROLES, "accounts_plan_is_its_last_change")
OWNER = """
CREATE OR REPLACE FUNCTION accounts_is_owner(relation oid) RETURNS boolean LANGUAGE sql STABLE
    SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class WHERE oid = relation
$$;
"""
REDACTS = function_in((HERE / "redactions.sql").read_text(), "accounts_redacts")

# Citus hides shards from queries of pg_class. The tables and this function have the same owner.
OWNER_ON_A_CLUSTER = changed(
    OWNER,
    (
        "SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class WHERE oid = relation",
        """SELECT pg_has_role(current_user, coalesce(
               (SELECT relowner FROM pg_class WHERE oid = relation),
               (SELECT proowner FROM pg_proc WHERE oid = to_regprocedure('public.accounts_is_owner(oid)'))), 'MEMBER')""",
    ),
)
ACCESS_ON_A_CLUSTER = changed(
    ACCESS, ("TG_TABLE_NAME = 'accounts_user'", "TG_TABLE_NAME ~ '^accounts_user(_\\d+)?$'")
)
# A part of the plans is on every node, and their changes only on one. There the trigger of a change looks at both.
PLAN_ON_A_CLUSTER = changed(
    PLAN,
    (
        "IF accounts_is_owner(TG_RELID) THEN",
        "IF accounts_is_owner(TG_RELID) OR TG_TABLE_NAME ~ '^accounts_plan_\\d+$' THEN",
    ),
)
REDACTS_ON_A_CLUSTER = changed(
    REDACTS, ("VALUES (TG_TABLE_NAME,", "VALUES (regexp_replace(TG_TABLE_NAME, '_\\d+$', ''),")
)
NUMBERING = """
-- It acts as its owner: a role that may write a table whose key is an identity needs no privilege for its sequence.
-- On a shard, Citus names the number of each row that it passes on, so the roles may name one there. Only the owner may
-- choose it.
CREATE OR REPLACE FUNCTION accounts_is_numbered_here() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME ~ '_\\d+$'
       AND (NEW.id >= 281474976710656 OR NOT pg_has_role(session_user, current_user, 'MEMBER')) THEN
        NEW.id := nextval(TG_ARGV[0]::regclass);
    END IF;
    RETURN NEW;
END $$;
"""
NUMBERED = ("accounts_act", "accounts_planchange", "accounts_redaction")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0022_maintenance")]

    operations = [
        migrations.RunSQL(sql=OWNER_ON_A_CLUSTER, reverse_sql=OWNER),
        migrations.RunSQL(sql=ACCESS_ON_A_CLUSTER, reverse_sql=ACCESS),
        migrations.RunSQL(sql=PLAN_ON_A_CLUSTER, reverse_sql=PLAN),
        migrations.RunSQL(sql=REDACTS_ON_A_CLUSTER, reverse_sql=REDACTS),
        migrations.RunSQL(sql=NUMBERING, reverse_sql="DROP FUNCTION IF EXISTS accounts_is_numbered_here();"),
        *(migrations.RunSQL(sql=sql, reverse_sql=reverse) for sql, reverse in map(numbered_here, NUMBERED)),
    ]
