import json
import re
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from accounts.misar_ids import is_misar_id

# An act stays as it was written; only its words can be redacted, for a reader who is erased.
FORWARD = """
CREATE FUNCTION accounts_act_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (to_jsonb(NEW) - 'told' - 'reason') = (to_jsonb(OLD) - 'told' - 'reason') THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is history: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER accounts_act_is_history BEFORE UPDATE OR DELETE ON accounts_act
    FOR EACH ROW EXECUTE FUNCTION accounts_act_stays();
CREATE TRIGGER accounts_act_is_not_truncated BEFORE TRUNCATE ON accounts_act
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_act_stays();
"""
REVERSE = """
DROP TRIGGER accounts_act_is_not_truncated ON accounts_act;
DROP TRIGGER accounts_act_is_history ON accounts_act;
DROP FUNCTION accounts_act_stays();
"""
# As the admin's log had it before: "what was done Reason: why (form key)".
LOGGED = re.compile(r"(?P<told>.*?)(?: Reason: (?P<reason>.*?))?(?: \(form \w+\))?", re.DOTALL)
# Rows whose key is the Misar ID itself.
KEYED_BY_USER = {"wallet.wallet", "accounts.user", "monetization.earner"}
# How other rows say whose they are. By SQL, since this may come before the tables of the other apps: where the log
# names such a row its table is there, with columns that were there from the beginning. Of an event only what Stripe
# sent tells it.
OWNERS = {
    "accounts.apikey": "SELECT owner_id FROM accounts_apikey WHERE id::text = %s",
    "wallet.entry": "SELECT wallet_id FROM wallet_entry WHERE id = %s",
    "wallet.topup": "SELECT user_id FROM wallet_topup WHERE id = %s",
    "wallet.stripeevent": "SELECT payload FROM wallet_stripeevent WHERE id = %s",
    "monetization.tip": "SELECT creator_id FROM monetization_tip WHERE id = %s",
    "monetization.subscription": "SELECT creator_id FROM monetization_subscription WHERE id = %s",
    "monetization.sponsor": "SELECT creator_id FROM monetization_sponsor WHERE id = %s",
}


def keep_the_log(apps: Any, schema_editor: Any) -> None:
    """What staff did before is not forgotten."""
    acts = apps.get_model("accounts", "Act").objects
    connection = schema_editor.connection
    there = set(connection.introspection.table_names())
    told_by = {model: query for model, query in OWNERS.items() if model.replace(".", "_") in there}
    log = apps.get_model("admin", "LogEntry").objects.select_related("content_type").order_by("pk")
    for line in log.iterator(500):
        about = line.content_type
        model = f"{about.app_label}.{about.model}" if about else ""
        row_id = line.object_id or ""
        words = LOGGED.fullmatch(line.change_message)
        assert words
        acts.create(
            staff_id=line.user_id,
            verb="logged",
            label="Change",
            model=model,
            row_id=row_id[:255],
            about=row_id if model in KEYED_BY_USER else _owner(told_by.get(model), row_id, connection),
            told=words["told"],
            reason=words["reason"] or "",
            created_at=line.action_time,
        )


def _owner(query: str | None, row_id: str, connection: Any) -> str:
    """The user whose affairs a row is; "" where nothing says so, or the row is gone."""
    if query is None:
        return ""
    with connection.cursor() as cursor:
        cursor.execute(query, [row_id])
        row = cursor.fetchone()
    found = row[0] if row else ""
    return _named_in(found) if "payload" in query else found


def _named_in(payload: str) -> str:
    try:
        named = json.loads(payload)["data"]["object"]["metadata"]["user_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return named if isinstance(named, str) and is_misar_id(named) else ""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_shared_cache"), ("admin", "0003_logentry_add_action_flag_choices")]

    operations = [
        migrations.CreateModel(
            name="Act",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "verb",
                    models.CharField(
                        help_text="As in the address of its page: adjust, plan, revoke.", max_length=40
                    ),
                ),
                ("label", models.CharField(help_text="As its button says.", max_length=80)),
                (
                    "model",
                    models.CharField(
                        help_text="What kind of row it was done to: wallet.wallet.", max_length=100
                    ),
                ),
                ("row_id", models.CharField(max_length=255)),
                (
                    "about",
                    models.CharField(
                        blank=True,
                        help_text="The user whose affairs it touched.",
                        max_length=255,
                        verbose_name="Misar ID",
                    ),
                ),
                ("told", models.TextField(verbose_name="what was done")),
                ("reason", models.TextField(blank=True)),
                (
                    "form_key",
                    models.CharField(
                        help_text="Of the form it was asked with: sent twice, done once.", max_length=64
                    ),
                ),
                (
                    "content",
                    models.CharField(help_text="A digest of what that form asked for.", max_length=64),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.AlterModelOptions(
            name="user",
            options={
                "default_permissions": ("view",),
                "permissions": (
                    ("assign_plan", "Can put a user on another plan"),
                    ("grant_access", "Can open and shut the back-office for others"),
                    ("export_lists", "Can take lists out of the back-office as files"),
                ),
            },
        ),
        migrations.AddField(
            model_name="act",
            name="staff",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="acts",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="act",
            index=models.Index(fields=["-created_at"], name="accounts_act_newest"),
        ),
        migrations.AddIndex(
            model_name="act",
            index=models.Index(fields=["model", "row_id", "-created_at"], name="accounts_act_of_row"),
        ),
        migrations.AddIndex(
            model_name="act",
            index=models.Index(
                condition=models.Q(("about", ""), _negated=True),
                fields=["about", "-created_at"],
                name="accounts_act_about",
            ),
        ),
        migrations.AddIndex(
            model_name="act",
            index=models.Index(fields=["staff", "-created_at"], name="accounts_act_of_staff"),
        ),
        migrations.AddConstraint(
            model_name="act",
            constraint=models.UniqueConstraint(
                condition=models.Q(("form_key", ""), _negated=True),
                fields=("staff", "form_key"),
                name="accounts_act_form_once",
            ),
        ),
        migrations.RunSQL(sql=FORWARD, reverse_sql=REVERSE),
        migrations.RunPython(keep_the_log, migrations.RunPython.noop),
    ]
