import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

NUMBERS = (
    *("tips", "gross_cents", "fee_cents", "refunds", "refunded_cents", "fee_returned_cents"),
    *("subscriptions", "events", "yearly_cents_delta", "payers_delta"),
)


class Migration(migrations.Migration):
    # Both tables are empty at first. Until days are closed, figures are added up from the records.
    dependencies = [
        ("monetization", "0012_refund_numbers"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ClosedDay",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("closed_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={"default_permissions": ("view",)},
        ),
        migrations.CreateModel(
            name="DayTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("day", models.DateField()),
                *((name, models.BigIntegerField()) for name in NUMBERS),
                (
                    "creator",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["day"], name="monetization_daytotal_day")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("creator", "currency", "day"), name="monetization_daytotal_once"
                    )
                ],
            },
        ),
    ]
