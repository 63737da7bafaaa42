"""Staff may write notes on users. A note is an act, so there is no table: only the permission is new."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0026_weekly_mails")]

    operations = [
        migrations.AlterModelOptions(
            name="user",
            options={
                "default_permissions": ("view",),
                "permissions": (
                    ("assign_plan", "Can put a user on another plan"),
                    ("grant_access", "Can give other users access to the back-office, and take it away"),
                    ("export_lists", "Can download the lists of the back-office as files"),
                    ("note_user", "Can write notes on users"),
                ),
            },
        ),
    ]
