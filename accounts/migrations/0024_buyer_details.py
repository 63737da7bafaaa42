"""Store who buys: the name, address and VAT number that a user enters for receipts."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def leave_out_searches(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Don't build the index that Django adds for searches by the beginning of the key: no query uses it."""
    editor.deferred_sql = [each for each in editor.deferred_sql if "varchar_pattern_ops" not in str(each)]


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0023_laws_on_a_cluster"),
    ]

    operations = [
        migrations.CreateModel(
            name="BuyerDetails",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="buyer_details",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=200)),
                ("address", models.TextField(blank=True, max_length=500)),
                ("country", models.CharField(blank=True, max_length=80)),
                ("vat_number", models.CharField(blank=True, max_length=40, verbose_name="VAT number")),
            ],
            options={
                "verbose_name": "buyer's details",
                "verbose_name_plural": "buyers' details",
                "default_permissions": (),
            },
        ),
        migrations.RunPython(leave_out_searches, migrations.RunPython.noop),
    ]
