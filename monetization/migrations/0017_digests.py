"""Remember which creators get the tips of a week in one mail, and the first week without such a mail."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0026_weekly_mails"),
        ("monetization", "0016_free_slots_link"),
    ]

    operations = [
        migrations.CreateModel(
            name="Digest",
            fields=[
                (
                    "creator",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "next_week",
                    models.DateField(db_index=True, help_text="The Monday (UTC) with which the week begins."),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("next_week__iso_week_day", 1)),
                        name="monetization_digest_week_begins_on_monday",
                    )
                ],
            },
        ),
    ]
