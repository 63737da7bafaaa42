import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Concurrently: charges go on while the indexes are built.
    atomic = False
    dependencies = [("wallet", "0004_audits_days_and_whom_events_name")]

    operations = [
        AddIndexConcurrently(
            model_name="entry",
            index=models.Index(fields=["product", "-created_at"], name="wallet_entry_product"),
        ),
        AddIndexConcurrently(
            model_name="entry",
            index=models.Index(
                condition=models.Q(("kind", "deduct"), _negated=True),
                fields=["kind", "-created_at"],
                name="wallet_entry_kind",
            ),
        ),
        AddIndexConcurrently(
            model_name="entry",
            index=models.Index(
                condition=models.Q(("reverses__isnull", False)),
                fields=["reverses"],
                name="wallet_entry_reverses",
            ),
        ),
        AddIndexConcurrently(
            model_name="stripeevent",
            index=models.Index(
                condition=models.Q(("user_id", ""), _negated=True),
                fields=["user_id", "-received_at"],
                name="wallet_event_user",
            ),
        ),
        AddIndexConcurrently(
            model_name="stripeevent",
            index=models.Index(
                condition=models.Q(("payment_intent_id", ""), _negated=True),
                fields=["payment_intent_id"],
                name="wallet_event_intent",
            ),
        ),
        AddIndexConcurrently(
            model_name="topup",
            index=models.Index(fields=["state", "-created_at"], name="wallet_topup_state"),
        ),
        migrations.AlterField(
            model_name="entry",
            name="reverses",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reversals",
                to="wallet.entry",
            ),
        ),
        migrations.AlterField(
            model_name="entry",
            name="wallet",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="wallet.wallet",
            ),
        ),
    ]
