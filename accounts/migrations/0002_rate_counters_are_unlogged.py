from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql="ALTER TABLE accounts_ratecounter SET UNLOGGED",
            reverse_sql="ALTER TABLE accounts_ratecounter SET LOGGED",
        )
    ]
