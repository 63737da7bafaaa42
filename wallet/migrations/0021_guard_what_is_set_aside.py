"""Check the old rows, remove what only the release before the last one needed, and switch the guard on.

From here on, the release before this one cannot move a wallet that has holds or is frozen. It answers 503.

Each operation is a transaction of its own, so no two tables are locked at once. If this migration is interrupted, it
can run again.
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
PAYMENTS = (
    (HERE / "payments.sql").read_text().split("--- reverse:")[0].replace("CREATE ", "CREATE OR REPLACE ")
)
ENTRY_CLAIMS, TOPUP_CLAIMS = "wallet_entry_claims_its_payment", "wallet_topup_claims_its_payment"
ENTRY_START, TOPUP_START = (
    PAYMENTS.index(f"CREATE OR REPLACE FUNCTION {ENTRY_CLAIMS}"),
    PAYMENTS.index(f"CREATE OR REPLACE FUNCTION {TOPUP_CLAIMS}"),
)


def drop(name: str, of: str, again: str) -> migrations.RunSQL:
    """Remove a trigger and its function; `again` makes them."""
    return migrations.RunSQL(
        sql=f"DROP TRIGGER IF EXISTS {name} ON {of}; DROP FUNCTION IF EXISTS {name}()", reverse_sql=again
    )


class Migration(migrations.Migration):
    # A verb may have read entries before it changes the wallet. It would deadlock with a transaction that has
    # locked the table of wallets and then needs that of entries.
    atomic = False
    dependencies = [("wallet", "0020_keys_that_include_the_wallet")]

    operations = [
        migrations.RunSQL(
            sql="ALTER TABLE wallet_entry VALIDATE CONSTRAINT wallet_entry_reverses_an_entry_of_its_wallet",
            reverse_sql=migrations.RunSQL.noop,
        ),
        drop(TOPUP_CLAIMS, of="wallet_topup", again=PAYMENTS[TOPUP_START:]),
        migrations.RunSQL(sql=GUARD, reverse_sql=REVERSE_GUARD + FUNCTION_BEFORE),
        drop(ENTRY_CLAIMS, of="wallet_entry", again=PAYMENTS[ENTRY_START:TOPUP_START]),
    ]
