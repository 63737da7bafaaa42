import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_mailboxes_are_filled"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="user",
            options={
                "default_permissions": ("view",),
                "permissions": (
                    ("assign_plan", "Can put a user on another plan"),
                    ("grant_access", "Can give other users access to the back-office, and take it away"),
                    ("export_lists", "Can download the lists of the back-office as files"),
                ),
            },
        ),
        migrations.AlterField(
            model_name="act",
            name="about",
            field=models.CharField(
                blank=True,
                help_text="The user whom the action concerns; empty if there is none.",
                max_length=255,
                verbose_name="Misar ID",
            ),
        ),
        migrations.AlterField(
            model_name="act",
            name="content",
            field=models.CharField(
                help_text="A digest of the form's URL and of the data that was sent with it.", max_length=64
            ),
        ),
        migrations.AlterField(
            model_name="act",
            name="form_key",
            field=models.CharField(
                help_text="The key of the form that asked for the action. If the form is sent twice, the "
                "action is done once.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="act",
            name="label",
            field=models.CharField(help_text="The text of the action's button.", max_length=80),
        ),
        migrations.AlterField(
            model_name="act",
            name="model",
            field=models.CharField(help_text="The model of the row, as wallet.wallet.", max_length=100),
        ),
        migrations.AlterField(
            model_name="act",
            name="verb",
            field=models.CharField(help_text="The action's name in the URL of its page.", max_length=40),
        ),
        migrations.AlterField(
            model_name="outgoingmail",
            name="fact",
            field=models.CharField(
                help_text="What the mail is about, as receipt:top_... Each fact has only one mail.",
                max_length=200,
                unique=True,
            ),
        ),
        migrations.AlterField(
            model_name="outgoingmail",
            name="given_up_at",
            field=models.DateTimeField(
                blank=True, help_text="When the mail was given up or dropped.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="outgoingmail",
            name="last_error",
            field=models.CharField(
                blank=True,
                help_text="The error's class and status codes. The server's message is never stored, because "
                "it may contain the e-mail address.",
                max_length=100,
            ),
        ),
        migrations.AlterField(
            model_name="plan",
            name="key_limit",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="How many active keys a creator may have at the same time. Leave empty for no limit.",
                null=True,
                verbose_name="API keys",
            ),
        ),
        migrations.AlterField(
            model_name="servicekey",
            name="feature_prefixes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=100),
                blank=True,
                default=list,
                help_text="The key may charge only features whose names begin with one of these prefixes. "
                'Include the final dot: "blog.". Leave empty to allow every feature.',
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="mails_off",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40),
                blank=True,
                db_default=[],
                default=list,
                editable=False,
                help_text="The kinds of mail that this user switched off.",
                size=None,
            ),
        ),
    ]
