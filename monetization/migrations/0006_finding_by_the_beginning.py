from django.contrib.postgres.indexes import OpClass
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    # Concurrently: charges go on while the indexes are built.
    # The new indexes also serve equality, so the release before needs no old one.
    atomic = False
    dependencies = [("monetization", "0005_lists_of_the_back_office")]

    operations = [
        AddIndexConcurrently(
            model_name="tip",
            index=models.Index(
                fields=["reader"], opclasses=["text_pattern_ops"], name="monetization_tip_reader_begins"
            ),
        ),
        AddIndexConcurrently(
            model_name="tip",
            index=models.Index(
                OpClass(Upper("name"), "text_pattern_ops"), name="monetization_tip_name_begins"
            ),
        ),
        AddIndexConcurrently(
            model_name="subscription",
            index=models.Index(
                fields=["reader"], opclasses=["text_pattern_ops"], name="monetization_sub_reader_begins"
            ),
        ),
        AddIndexConcurrently(
            model_name="sponsor",
            index=models.Index(
                OpClass(Upper("sponsor_name"), "text_pattern_ops"), name="monetization_sponsor_begins"
            ),
        ),
        RemoveIndexConcurrently(model_name="tip", name="monetization_tip_reader"),
        RemoveIndexConcurrently(model_name="subscription", name="monetization_sub_reader"),
    ]
