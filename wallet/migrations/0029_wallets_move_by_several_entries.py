"""Let a wallet move by several charges in one update, and look at the entry before once instead of twice.

The functions are replaced while the release before goes on writing: it moves a wallet by one entry at a time, which
both versions of each function accept. Only the last operation locks a table, that of entries, and not for long. If
this migration is interrupted, it can run again.
"""

from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent
FOLLOWS, MOVES, TIME = (HERE / "several_entries.sql").read_text().split("--- next:")


def before(name: str, start: str, end: str) -> str:
    """Return a part of an older file, for the way back. It can run again where it has run."""
    text = (HERE / name).read_text()
    part = text[text.index(start) : text.index(end)]
    for made in ("FUNCTION", "TRIGGER"):
        part = part.replace(f"CREATE {made}", f"CREATE OR REPLACE {made}")
    return part


FOLLOWED = before(
    "guard.sql",
    "CREATE OR REPLACE FUNCTION wallet_entry_follows_its_wallet",
    "-- What a wallet says is held",
)
MOVED = before(
    "laws.sql",
    "CREATE FUNCTION wallet_moves_with_an_entry",
    "CREATE CONSTRAINT TRIGGER wallet_wallet_moves_with_an_entry",
)
NEVER_FELL = before("time_never_falls.sql", "CREATE FUNCTION wallet_entry_time_never_falls", "--- reverse:")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallet", "0028_entries_with_fewer_indexes")]

    operations = [
        migrations.RunSQL(sql=FOLLOWS, reverse_sql=FOLLOWED),
        migrations.RunSQL(sql=MOVES, reverse_sql=MOVED),
        migrations.RunSQL(sql=TIME, reverse_sql=NEVER_FELL),
    ]
