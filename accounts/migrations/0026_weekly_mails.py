"""Let users get the news of a week in one mail, and let the fact of a mail contain a Misar ID."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0025_requests_of_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="mails_weekly",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40),
                blank=True,
                db_default=[],
                default=list,
                editable=False,
                help_text="The kinds of mail that this user gets once a week, all news in one mail.",
                size=None,
            ),
        ),
        # A longer text needs no new table, but a shorter one would: going back leaves the column as it is.
        migrations.RunSQL(
            sql="ALTER TABLE accounts_outgoingmail ALTER COLUMN fact TYPE varchar(300)",
            reverse_sql=migrations.RunSQL.noop,
            state_operations=[
                migrations.AlterField(
                    model_name="outgoingmail",
                    name="fact",
                    field=models.CharField(
                        help_text="What the mail is about, as receipt:top_... Each fact has only one mail.",
                        max_length=300,
                        unique=True,
                    ),
                ),
            ],
        ),
    ]
