"""Add the permission to remove a user's budget, and indexes for the list of grants.

No release has written grants yet, so the indexes are made on an empty table.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0023_guard_grants_and_budgets")]

    operations = [
        migrations.AlterModelOptions(
            name="budget",
            options={
                "default_permissions": ("view",),
                "permissions": (("remove_budget", "Can remove a budget"),),
            },
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(fields=["product", "-created_at"], name="wallet_lot_product"),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                fields=["-created_at"],
                condition=models.Q(("voided_at__isnull", False)),
                name="wallet_lot_taken_back",
            ),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                fields=["-created_at"],
                condition=models.Q(("expired__gt", 0)),
                name="wallet_lot_expired",
            ),
        ),
    ]
