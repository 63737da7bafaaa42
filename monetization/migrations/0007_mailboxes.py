from django.db import migrations, models

# As the trigger of users (accounts 0010).
FORWARD = """
CREATE TRIGGER monetization_tip_empties_its_mailbox BEFORE UPDATE ON monetization_tip FOR EACH ROW
    WHEN ((NEW.email, NEW.reader) IS DISTINCT FROM (OLD.email, OLD.reader)
          AND NEW.mailbox IS NOT DISTINCT FROM OLD.mailbox)
    EXECUTE FUNCTION accounts_mailbox_is_emptied();
CREATE TRIGGER monetization_sub_empties_its_mailbox BEFORE UPDATE ON monetization_subscription FOR EACH ROW
    WHEN ((NEW.subscriber_email, NEW.reader) IS DISTINCT FROM (OLD.subscriber_email, OLD.reader)
          AND NEW.mailbox IS NOT DISTINCT FROM OLD.mailbox)
    EXECUTE FUNCTION accounts_mailbox_is_emptied();
"""
REVERSE = """
DROP TRIGGER monetization_sub_empties_its_mailbox ON monetization_subscription;
DROP TRIGGER monetization_tip_empties_its_mailbox ON monetization_tip;
"""


class Migration(migrations.Migration):
    dependencies = [("monetization", "0006_finding_by_the_beginning"), ("accounts", "0010_mailboxes")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="mailbox",
            field=models.TextField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="tip",
            name="mailbox",
            field=models.TextField(blank=True, editable=False, null=True),
        ),
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
    ]
