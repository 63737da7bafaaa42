from django.contrib.postgres.indexes import OpClass
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    # Concurrently: charges go on while the indexes are built.
    # The new indexes also serve equality, so the release before needs no old one.
    atomic = False
    dependencies = [("accounts", "0008_lists_of_the_back_office")]

    operations = [
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(
                OpClass(Upper("misar_id"), "text_pattern_ops"), name="accounts_user_misar_id_begins"
            ),
        ),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(
                OpClass(Upper("email"), "text_pattern_ops"), name="accounts_user_email_begins"
            ),
        ),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(OpClass(Upper("name"), "text_pattern_ops"), name="accounts_user_name_begins"),
        ),
        RemoveIndexConcurrently(model_name="user", name="accounts_user_email"),
    ]
