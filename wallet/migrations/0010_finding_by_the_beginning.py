from django.contrib.postgres.indexes import OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    # Concurrently: charges go on while the indexes are built.
    atomic = False
    dependencies = [("wallet", "0009_list_entries_out_of_order")]

    operations = [
        AddIndexConcurrently(
            model_name="wallet",
            index=models.Index(
                OpClass(Upper("user_id"), "text_pattern_ops"), name="wallet_wallet_user_begins"
            ),
        ),
    ]
