from django.db import migrations

FORWARD = """
CREATE FUNCTION accounts_is_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is history: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER accounts_planchange_is_history BEFORE UPDATE OR DELETE ON accounts_planchange
    FOR EACH ROW EXECUTE FUNCTION accounts_is_history();
CREATE TRIGGER accounts_planchange_is_not_truncated BEFORE TRUNCATE ON accounts_planchange
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_is_history();
"""
REVERSE = """
DROP TRIGGER accounts_planchange_is_not_truncated ON accounts_planchange;
DROP TRIGGER accounts_planchange_is_history ON accounts_planchange;
DROP FUNCTION accounts_is_history();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_api_keys_and_plan_changes")]

    operations = [migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE)]
