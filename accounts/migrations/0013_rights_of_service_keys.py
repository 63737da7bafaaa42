import django.contrib.postgres.fields
import django.utils.timezone
from django.db import migrations, models

import accounts.models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0012_texts_of_fields"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoppedProduct",
            fields=[
                ("product", models.SlugField(max_length=40, primary_key=True, serialize=False)),
                ("stopped_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AlterModelOptions(
            name="servicekey",
            options={
                "default_permissions": ("add", "view"),
                "ordering": ("-created_at", "-pk"),
                "permissions": (
                    ("revoke_servicekey", "Can revoke a service key"),
                    ("set_servicekey_rights", "Can change the rights of a service key"),
                    ("stop_product", "Can stop a product, and let it go on"),
                ),
            },
        ),
        migrations.AddField(
            model_name="servicekey",
            name="rights",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=20),
                db_default=["read", "charge", "refund", "topup"],
                default=accounts.models.default_rights,
                help_text="What the key may do.",
                size=None,
            ),
        ),
    ]
