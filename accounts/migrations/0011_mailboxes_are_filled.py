from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from foundation import mailboxes


def fill(apps: Any, schema_editor: Any) -> None:
    mailboxes.fill(apps.get_model("accounts", "User"), address_field="email", compared_field="email")


class Migration(migrations.Migration):
    # Concurrently, and in short transactions: users sign in meanwhile.
    atomic = False
    dependencies = [("accounts", "0010_mailboxes")]

    operations = [
        # First, because the indexes are not needed for it: it walks along the primary key. If it is
        # interrupted, `migrate` runs it again, and it goes on where it was.
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(
                condition=models.Q(("email__regex", "[^!-@\\[-~]"), ("mailbox", None)),
                fields=["misar_id"],
                name="accounts_user_not_filled",
            ),
        ),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(
                condition=models.Q(("mailbox", None), _negated=True),
                fields=["mailbox"],
                opclasses=["text_pattern_ops"],
                name="accounts_user_mailbox",
            ),
        ),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(
                fields=["email"], opclasses=["text_pattern_ops"], name="accounts_user_compared"
            ),
        ),
    ]
