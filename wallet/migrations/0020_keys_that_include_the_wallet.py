"""Make (id, wallet) the primary key of entries, and let a reversal refer to an entry of the same wallet."""

from pathlib import Path

from django.db import migrations

FORWARD, REVERSE = (Path(__file__).parent / "entries_of_one_wallet.sql").read_text().split("--- reverse:")


class Migration(migrations.Migration):
    dependencies = [("wallet", "0019_no_foreign_key_between_nodes")]

    operations = [
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
        # `wallet_entry_leaves_what_is_held` has taken its place.
        migrations.RemoveConstraint(model_name="entry", name="wallet_entry_never_overdraws"),
    ]
