from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Concurrently: charges go on while the indexes are built.
    atomic = False
    dependencies = [("monetization", "0004_keys_of_the_dashboard")]

    operations = [
        AddIndexConcurrently(
            model_name="refund",
            index=models.Index(fields=["-created_at"], name="monetization_refund_all"),
        ),
        AddIndexConcurrently(
            model_name="sponsor",
            index=models.Index(fields=["-created_at"], name="monetization_sponsor_all"),
        ),
        AddIndexConcurrently(
            model_name="subscription",
            index=models.Index(fields=["-created_at"], name="monetization_sub_all"),
        ),
        AddIndexConcurrently(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("stripe_subscription_id__isnull", False)),
                fields=["stripe_subscription_id"],
                name="monetization_sub_stripe_id",
            ),
        ),
        AddIndexConcurrently(
            model_name="subscriptionevent",
            index=models.Index(fields=["-created_at"], name="monetization_event_all"),
        ),
        AddIndexConcurrently(
            model_name="tip",
            index=models.Index(fields=["-created_at"], name="monetization_tip_all"),
        ),
        AddIndexConcurrently(
            model_name="tip",
            index=models.Index(
                condition=models.Q(("stripe_payment_id__isnull", False)),
                fields=["stripe_payment_id"],
                name="monetization_tip_stripe_id",
            ),
        ),
    ]
