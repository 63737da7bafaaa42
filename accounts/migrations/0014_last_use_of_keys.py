"""Move the last use of keys to a table of its own.

The release before still reads and writes the columns `last_used_at` of both tables of keys. So they stay in
the database for this release, and a later release drops them. Only Django's state loses them here. A use
that the release before writes after this copy is not shown until the key is used again.
"""

from django.db import migrations, models

# Only the new table is written, so no request waits for this.
COPY = """
INSERT INTO accounts_keyuse (digest, used_at)
SELECT digest, max(last_used_at)
  FROM (SELECT digest, last_used_at FROM accounts_servicekey
         UNION ALL SELECT digest, last_used_at FROM accounts_apikey) AS keys
 WHERE last_used_at IS NOT NULL
 GROUP BY digest
"""
COPY_BACK = """
UPDATE accounts_servicekey SET last_used_at = greatest(last_used_at, used_at)
  FROM accounts_keyuse WHERE accounts_keyuse.digest = accounts_servicekey.digest;
UPDATE accounts_apikey SET last_used_at = greatest(last_used_at, used_at)
  FROM accounts_keyuse WHERE accounts_keyuse.digest = accounts_apikey.digest;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0013_rights_of_service_keys")]

    operations = [
        migrations.CreateModel(
            name="KeyUse",
            fields=[
                (
                    "digest",
                    models.CharField(
                        help_text="The digest of the key's secret.",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("used_at", models.DateTimeField()),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunSQL(sql=COPY, reverse_sql=COPY_BACK),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField(model_name="apikey", name="last_used_at"),
                migrations.RemoveField(model_name="servicekey", name="last_used_at"),
            ]
        ),
    ]
