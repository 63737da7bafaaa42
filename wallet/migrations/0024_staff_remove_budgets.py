"""Add the permission to remove a user's budget."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("wallet", "0023_guard_grants_and_budgets")]

    operations = [
        migrations.AlterModelOptions(
            name="budget",
            options={
                "default_permissions": ("view",),
                "permissions": (("remove_budget", "Can remove a budget"),),
            },
        )
    ]
