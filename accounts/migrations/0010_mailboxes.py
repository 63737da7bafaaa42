from django.db import migrations, models

# The release before changes an address and knows no mailbox. Its `erase_reader` replaces the address of a row:
# without this trigger, the row would keep the erased address as its mailbox. (The function is monetization's
# too.)
FORWARD = """
CREATE FUNCTION accounts_mailbox_is_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.mailbox := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_user_empties_its_mailbox BEFORE UPDATE ON accounts_user FOR EACH ROW
    WHEN (NEW.email IS DISTINCT FROM OLD.email AND NEW.mailbox IS NOT DISTINCT FROM OLD.mailbox)
    EXECUTE FUNCTION accounts_mailbox_is_emptied();
"""
REVERSE = """
DROP TRIGGER accounts_user_empties_its_mailbox ON accounts_user;
DROP FUNCTION accounts_mailbox_is_emptied();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_finding_by_the_beginning")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="mailbox",
            field=models.TextField(blank=True, editable=False, null=True),
        ),
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
    ]
