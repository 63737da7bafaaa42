from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Concurrently: payments go on while the indexes are built.
    atomic = False

    dependencies = [("wallet", "0014_no_law_over_all_wallets")]

    operations = [
        AddIndexConcurrently(
            model_name="refundrequest",
            index=models.Index(fields=["-created_at"], name="wallet_refundrequest_newest"),
        ),
        AddIndexConcurrently(
            model_name="stripedispute",
            index=models.Index(fields=["status", "-created_at"], name="wallet_dispute_status"),
        ),
        AddIndexConcurrently(
            model_name="stripedispute",
            index=models.Index(
                condition=models.Q(("charge_id", ""), _negated=True),
                fields=["charge_id"],
                name="wallet_dispute_charge",
            ),
        ),
        AddIndexConcurrently(
            model_name="striperefund",
            index=models.Index(fields=["status", "-created_at"], name="wallet_refund_status"),
        ),
        AddIndexConcurrently(
            model_name="striperefund",
            index=models.Index(
                condition=models.Q(("charge_id", ""), _negated=True),
                fields=["charge_id"],
                name="wallet_refund_charge",
            ),
        ),
    ]
