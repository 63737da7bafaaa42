"""Name the kinds of audits as pages name them, and drop indexes of the new tables that no query uses.

The words are in no row. Django makes the indexes for searches by the beginning of an id.
"""

from django.db import migrations, models

UNUSED = {
    "wallet_payoutitem_movement_id_9f18ea03_like": "wallet_payoutitem (movement_id varchar_pattern_ops)",
    "wallet_stripemovement_id_1376f850_like": "wallet_stripemovement (id varchar_pattern_ops)",
    "wallet_stripepayout_id_aa604442_like": "wallet_stripepayout (id varchar_pattern_ops)",
}


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
        *(
            migrations.RunSQL(
                sql=f"DROP INDEX IF EXISTS {name}", reverse_sql=f"CREATE INDEX IF NOT EXISTS {name} ON {of}"
            )
            for name, of in UNUSED.items()
        ),
    ]
