"""Whom the events name, and which payment, that were stored before these columns were there."""

import json
from typing import Any

from django.db import migrations, transaction

from accounts.misar_ids import is_misar_id

AT_A_TIME = 100


def name_them(apps: Any, schema_editor: Any) -> None:
    events = apps.get_model("wallet", "StripeEvent").objects
    unnamed = events.exclude(payload="").filter(user_id="").order_by("pk")
    after = ""
    while batch := list(unnamed.filter(pk__gt=after).values_list("pk", "payload")[:AT_A_TIME]):
        with transaction.atomic():
            for event_id, payload in batch:
                user_id, payment_intent_id = _named_in(payload)
                if user_id or payment_intent_id:
                    events.filter(pk=event_id).update(user_id=user_id, payment_intent_id=payment_intent_id)
        after = batch[-1][0]


def _named_in(payload: str) -> tuple[str, str]:
    """The Misar ID and the payment of the object that an event is about, each "" where it is none."""
    try:
        about = json.loads(payload)["data"]["object"]
        metadata, payment = about.get("metadata"), about.get("payment_intent")
        user = metadata.get("user_id") if isinstance(metadata, dict) else ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""
    # An id of Stripe's is as long as a Misar ID may be, and as printable.
    return user if is_misar_id(user) else "", payment if is_misar_id(payment) else ""


class Migration(migrations.Migration):
    # A short transaction for each batch: events that are delivered again meanwhile wait for no lock for long.
    # Cut off, it goes on where it was.
    atomic = False
    dependencies = [("wallet", "0005_lists_of_the_back_office")]

    operations = [migrations.RunPython(name_them, migrations.RunPython.noop)]
