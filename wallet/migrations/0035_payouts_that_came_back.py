"""Mark payouts that Stripe does not know, and find what came back of a payout."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Concurrently: payouts are read while the index is built.
    atomic = False
    dependencies = [("wallet", "0034_words_and_unused_indexes")]

    operations = [
        migrations.AddField(
            model_name="stripepayout",
            name="unknown_since",
            field=models.DateTimeField(
                help_text="Since when Stripe does not know it, or answers wrongly. Empty while it knows it.",
                null=True,
            ),
        ),
        AddIndexConcurrently(
            model_name="stripemovement",
            index=models.Index(
                condition=models.Q(("category", "payout_reversal")),
                fields=["source_id"],
                name="wallet_movement_came_back",
            ),
        ),
    ]
