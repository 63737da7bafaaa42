from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from foundation import mailboxes


def fill(apps: Any, schema_editor: Any) -> None:
    for name, address_field in (("Tip", "email"), ("Subscription", "subscriber_email")):
        model = apps.get_model("monetization", name)
        mailboxes.fill(model, address_field=address_field, compared_field="reader")


class Migration(migrations.Migration):
    # Concurrently, and in short transactions: tips arrive meanwhile.
    atomic = False
    dependencies = [("monetization", "0007_mailboxes")]

    operations = [
        # First, because the indexes are not needed for it: it walks along the primary key. If it is
        # interrupted, `migrate` runs it again, and it goes on where it was.
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("mailbox", None), ("reader__regex", "[^!-@\\[-~]")),
                fields=["id"],
                name="monetization_sub_not_filled",
            ),
        ),
        AddIndexConcurrently(
            model_name="tip",
            index=models.Index(
                condition=models.Q(("mailbox", None), ("reader__regex", "[^!-@\\[-~]")),
                fields=["id"],
                name="monetization_tip_not_filled",
            ),
        ),
        AddIndexConcurrently(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("mailbox", None), _negated=True),
                fields=["mailbox"],
                opclasses=["text_pattern_ops"],
                name="monetization_sub_mailbox",
            ),
        ),
        AddIndexConcurrently(
            model_name="tip",
            index=models.Index(
                condition=models.Q(("mailbox", None), _negated=True),
                fields=["mailbox"],
                opclasses=["text_pattern_ops"],
                name="monetization_tip_mailbox",
            ),
        ),
    ]
