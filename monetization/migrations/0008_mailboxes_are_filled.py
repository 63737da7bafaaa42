from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from foundation import mailboxes


def fill(apps: Any, schema_editor: Any) -> None:
    for name, address_field in (("Tip", "email"), ("Subscription", "subscriber_email")):
        model = apps.get_model("monetization", name)
        mailboxes.fill(model, address_field=address_field, compared_field="reader")


class Migration(migrations.Migration):
    # Concurrently, and in short transactions: tips arrive meanwhile. Interrupted, it goes on where it was.
    atomic = False
    dependencies = [("monetization", "0007_mailboxes")]

    operations = [
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
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("mailbox", None), _negated=True),
                fields=["mailbox"],
                name="monetization_sub_mailbox",
            ),
        ),
        AddIndexConcurrently(
            model_name="tip",
            index=models.Index(
                condition=models.Q(("mailbox", None), _negated=True),
                fields=["mailbox"],
                name="monetization_tip_mailbox",
            ),
        ),
    ]
