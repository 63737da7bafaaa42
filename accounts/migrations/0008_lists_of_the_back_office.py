import django.db.models.functions.text
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Concurrently: charges go on while the indexes are built.
    atomic = False
    dependencies = [("accounts", "0007_acts_of_staff")]

    operations = [
        AddIndexConcurrently(
            model_name="apikey",
            index=models.Index(fields=["-created_at"], name="accounts_apikey_newest"),
        ),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(django.db.models.functions.text.Upper("email"), name="accounts_user_email"),
        ),
    ]
