from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from foundation import mailboxes


def fill(apps: Any, schema_editor: Any) -> None:
    mailboxes.fill(apps.get_model("accounts", "User"), address_field="email", compared_field="email")


class Migration(migrations.Migration):
    # Concurrently, and in short transactions: users sign in meanwhile. Interrupted, it goes on where it was.
    atomic = False
    dependencies = [("accounts", "0010_mailboxes")]

    operations = [
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(
                condition=models.Q(("email__regex", "[^!-@\\[-~]"), ("mailbox", None)),
                fields=["misar_id"],
                name="accounts_user_not_filled",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(
                condition=models.Q(("mailbox", None), _negated=True),
                fields=["mailbox"],
                name="accounts_user_mailbox",
            ),
        ),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(fields=["email"], name="accounts_user_compared"),
        ),
    ]
