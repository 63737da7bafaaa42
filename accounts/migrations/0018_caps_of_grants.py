"""Give service keys the caps of what their products may grant."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0017_old_mails_are_checked"),
    ]

    operations = [
        migrations.AddField(
            model_name="servicekey",
            name="grant_max",
            field=models.BigIntegerField(blank=True, help_text="Credits of one grant, at most.", null=True),
        ),
        migrations.AddField(
            model_name="servicekey",
            name="grant_month_max",
            field=models.BigIntegerField(
                blank=True, help_text="Credits that the product may grant in a UTC month, at most.", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="servicekey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("grant_max__gte", 1),
                        ("grant_max__isnull", False),
                        ("grant_month_max__gte", 1),
                        ("grant_month_max__isnull", False),
                        ("rights__contains", ["grant"]),
                    ),
                    models.Q(("rights__contains", ["grant"]), _negated=True),
                    _connector="OR",
                ),
                name="accounts_servicekey_grants_within_caps",
            ),
        ),
    ]
