from django.db import migrations, models


class Migration(migrations.Migration):
    # With its default in the database, the release before this one can go on adding rows.
    dependencies = [("monetization", "0018_lists_in_other_orders")]

    operations = [
        migrations.AddField(
            model_name="earner",
            name="dismissed",
            field=models.JSONField(db_default={}, default=dict, editable=False),
        ),
    ]
