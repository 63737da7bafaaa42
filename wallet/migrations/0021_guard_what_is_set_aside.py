"""Check the old rows, remove what only the release before the last one needed, and switch the guard on.

From here on, the release before this one cannot move a wallet that has holds or is frozen. It answers 503.
"""

from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent
GUARD, REVERSE_GUARD = (HERE / "guard.sql").read_text().split("--- reverse:")
# The function that the guard replaces.
LAWS = (HERE / "laws.sql").read_text()
START, END = (
    "CREATE FUNCTION wallet_entry_follows_its_wallet",
    "CREATE TRIGGER wallet_entry_follows_its_wallet",
)
FUNCTION_BEFORE = LAWS[LAWS.index(START) : LAWS.index(END)].replace(
    "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"
)
# Two triggers of payments.sql served a release that did not claim a payment itself.
PAYMENTS = (HERE / "payments.sql").read_text().split("--- reverse:")[0]
ENTRY_CLAIMS, TOPUP_CLAIMS = "wallet_entry_claims_its_payment", "wallet_topup_claims_its_payment"
ENTRY_START, TOPUP_START = (
    PAYMENTS.index(f"CREATE FUNCTION {ENTRY_CLAIMS}"),
    PAYMENTS.index(f"CREATE FUNCTION {TOPUP_CLAIMS}"),
)


class Migration(migrations.Migration):
    dependencies = [("wallet", "0020_keys_that_include_the_wallet")]

    # Top-ups, wallets and entries are locked in the order in which a payment locks them.
    operations = [
        migrations.RunSQL(
            sql="ALTER TABLE wallet_entry VALIDATE CONSTRAINT wallet_entry_reverses_an_entry_of_its_wallet",
            reverse_sql=migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            sql=f"DROP TRIGGER {TOPUP_CLAIMS} ON wallet_topup; DROP FUNCTION {TOPUP_CLAIMS}()",
            reverse_sql=PAYMENTS[TOPUP_START:],
        ),
        migrations.RunSQL(sql=GUARD, reverse_sql=REVERSE_GUARD + FUNCTION_BEFORE),
        migrations.RunSQL(
            sql=f"DROP TRIGGER {ENTRY_CLAIMS} ON wallet_entry; DROP FUNCTION {ENTRY_CLAIMS}()",
            reverse_sql=PAYMENTS[ENTRY_START:TOPUP_START],
        ),
    ]
