"""The table of Django's database cache. UNLOGGED like the rate counters: a crash forgets it, nothing is lost."""

from django.db import migrations

MAKE = """
CREATE UNLOGGED TABLE accounts_cache (
    cache_key varchar(255) NOT NULL PRIMARY KEY,
    value text NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE INDEX accounts_cache_expires ON accounts_cache (expires);
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_outgoing_mail")]

    operations = [migrations.RunSQL(MAKE, "DROP TABLE accounts_cache")]
