"""Insert the rows of payments that were decided before migration 0012.

Credits that a release before this one adds from now on get their rows from the trigger of migration 0012.
"""

import json
from typing import Any

from django.db import migrations, transaction

WALLETS_AT_A_TIME = 1000
EVENTS_AT_A_TIME = 100

LAST_OF_A_BATCH = """
SELECT max(user_id)
  FROM (SELECT user_id FROM wallet_wallet WHERE user_id > %s ORDER BY user_id LIMIT %s) AS batch
"""
OF_SESSIONS = """
INSERT INTO wallet_payment (stripe_id, state, session_id, user_id, entry_id, refunded_cents, created_at)
SELECT stripe_session_id, CASE kind WHEN 'topup' THEN 'credited' ELSE 'by_hand' END,
       stripe_session_id, wallet_id, id, 0, created_at
  FROM wallet_entry
 WHERE wallet_id > %(after)s AND wallet_id <= %(last)s
   AND kind IN ('topup', 'adjustment') AND stripe_session_id <> ''
 ORDER BY wallet_id, sequence
    ON CONFLICT DO NOTHING
"""
OF_PAYMENT_INTENTS = """
INSERT INTO wallet_payment (stripe_id, state, session_id, user_id, entry_id, refunded_cents, created_at)
SELECT topup.payment_intent_id, 'credited', entry.stripe_session_id, entry.wallet_id, entry.id, 0,
       entry.created_at
  FROM wallet_entry entry JOIN wallet_topup topup ON topup.entry_id = entry.id
 WHERE entry.wallet_id > %(after)s AND entry.wallet_id <= %(last)s AND entry.kind = 'topup'
   AND topup.payment_intent_id NOT IN ('', topup.stripe_session_id)
 ORDER BY entry.wallet_id, entry.sequence
    ON CONFLICT DO NOTHING
"""


def bring_in_credited(apps: Any, schema_editor: Any) -> None:
    after = ""
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(LAST_OF_A_BATCH, [after, WALLETS_AT_A_TIME])
            (last,) = cursor.fetchone()
            if last is None:
                return
            with transaction.atomic():
                cursor.execute(OF_SESSIONS, {"after": after, "last": last})
                cursor.execute(OF_PAYMENT_INTENTS, {"after": after, "last": last})
            after = last


def bring_in_resolved(apps: Any, schema_editor: Any) -> None:
    """Insert the rows of payments that staff closed without credits, or whose credits they gave by hand.

    An adjustment names its session, so `bring_in_credited` has inserted that row. Only the event names the
    payment intent. Refunds and disputes name it too, and staff must see them.
    """
    events, payments = apps.get_model("wallet", "StripeEvent"), apps.get_model("wallet", "Payment")
    closed = events.objects.filter(state="resolved").exclude(stripe_session_id="").order_by("pk")
    after = ""
    while batch := list(closed.filter(pk__gt=after)[:EVENTS_AT_A_TIME]):
        decided = payments.objects.in_bulk([event.stripe_session_id for event in batch])
        rows = []
        for event in batch:
            session_id = event.stripe_session_id
            facts = {"state": "closed", "session_id": session_id}
            if payment := decided.get(session_id):
                if payment.state != "by_hand":
                    continue
                facts |= {"state": "by_hand", "user_id": payment.user_id, "entry_id": payment.entry_id}
            elif not _tells_of_payment(event.payload):
                continue
            rows += [
                payments(stripe_id=each, **facts) for each in (session_id, event.payment_intent_id) if each
            ]
        payments.objects.bulk_create(rows, ignore_conflicts=True)
        after = batch[-1].pk


def _tells_of_payment(payload: str) -> bool:
    """Whether an event says that its session was paid. An event that cannot be read may say so."""
    try:
        session = json.loads(payload or "{}").get("data", {}).get("object", {})
        return bool(session.get("payment_status") == "paid")
    except (ValueError, AttributeError, RecursionError):
        return True


class Migration(migrations.Migration):
    # Each batch is a transaction of its own. If the migration is interrupted, it can run again.
    atomic = False
    dependencies = [("wallet", "0012_a_payment_is_decided_once")]

    operations = [
        migrations.RunPython(bring_in_credited, migrations.RunPython.noop),
        migrations.RunPython(bring_in_resolved, migrations.RunPython.noop),
    ]
