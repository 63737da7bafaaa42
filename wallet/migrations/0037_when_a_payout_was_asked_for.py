"""Keep when Stripe was last asked for a payout. Payouts are read meanwhile."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0036_late_totals")]

    operations = [
        migrations.AddField(
            model_name="stripepayout",
            name="asked_at",
            field=models.DateTimeField(help_text="When Stripe was last asked for it.", null=True),
        )
    ]
