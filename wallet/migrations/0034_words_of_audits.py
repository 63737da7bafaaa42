"""Name the kinds of audits as pages name them. Only the words change; the database stays as it is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0033_payouts")]

    operations = [
        migrations.AlterField(
            model_name="audit",
            name="kind",
            field=models.CharField(
                choices=[
                    ("laws", "Ledger check"),
                    ("stripe", "Stripe reconciliation"),
                    ("seals", "Seal check"),
                ],
                max_length=10,
            ),
        ),
    ]
