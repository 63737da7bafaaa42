"""Let owners read the last requests of their API keys."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0024_buyer_details"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeyRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("arrived_at", models.DateTimeField()),
                ("method", models.CharField(max_length=20)),
                ("path", models.CharField(help_text="Without the query.", max_length=200)),
                ("status", models.SmallIntegerField(help_text="The status of the answer.")),
                ("request_id", models.CharField(help_text="The X-Request-ID of the answer.", max_length=128)),
                (
                    "key",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="requests",
                        to="accounts.apikey",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["key", "-arrived_at"], name="accounts_keyrequest_newest"),
                    models.Index(fields=["arrived_at"], name="accounts_keyrequest_oldest"),
                ],
            },
        ),
    ]
