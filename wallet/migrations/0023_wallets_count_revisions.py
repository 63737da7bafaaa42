"""Add the column that tells the changes of this release from those of the release before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallet", "0022_grants_and_budgets")]

    operations = [
        migrations.AddField(
            model_name="wallet",
            name="revision",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="Counts the changes by releases that know grants and budgets.",
            ),
        ),
        migrations.AlterField(
            model_name="wallet",
            name="granted",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="Credits left of grants, held ones and ended ones included.",
            ),
        ),
        migrations.AlterField(
            model_name="entry",
            name="actor",
            field=models.CharField(
                help_text="Who caused it: service:<prefix of its key>, user:<Misar ID of staff>, stripe, or time.",
                max_length=300,
            ),
        ),
    ]
