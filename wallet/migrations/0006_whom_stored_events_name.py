"""Whom the events name that were stored before the column was there."""

import json
from typing import Any

from django.db import migrations

from accounts.misar_ids import is_misar_id

AT_A_TIME = 500


def name_them(apps: Any, schema_editor: Any) -> None:
    events = apps.get_model("wallet", "StripeEvent").objects
    for event in events.exclude(payload="").only("id", "payload", "user_id").iterator(AT_A_TIME):
        user_id = _named_in(event.payload)
        if user_id:
            events.filter(pk=event.pk).update(user_id=user_id)


def _named_in(payload: str) -> str:
    try:
        named = json.loads(payload)["data"]["object"]["metadata"]["user_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return named if isinstance(named, str) and is_misar_id(named) else ""


class Migration(migrations.Migration):
    dependencies = [("wallet", "0005_lists_of_the_back_office")]

    operations = [migrations.RunPython(name_them, migrations.RunPython.noop)]
