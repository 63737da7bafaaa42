"""Add the column that tells how much of a refund went back to grants. The release before leaves it empty."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0023_wallets_count_revisions")]

    operations = [
        migrations.AddField(
            model_name="giveback",
            name="to_grants",
            field=models.BigIntegerField(
                help_text="Credits that went back to grants. Empty from releases that knew none.", null=True
            ),
        ),
    ]
