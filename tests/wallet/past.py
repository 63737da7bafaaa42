"""Entries as they might have been written at another time.

Along a wallet's entries the times never fall, so the entries of a wallet are written oldest first.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import connection
from django.utils import timezone

from tests.wallet import by_hand
from tests.wallet.entries import move, sql
from tests.wallet.resting import resting_triggers
from wallet import identifiers
from wallet.models import Entry, Hold, TopUp
from wallet.payments.models import Payment, StripeRefund


def at(text: str) -> datetime:
    """A moment in UTC: 2026-03-31 23:59:59."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@contextmanager
def hosts_gave_the_times() -> Iterator[None]:
    """Write entries as releases before migration 0008 did: with any time. Then run migration 0009."""
    with resting_triggers():  # No trigger runs.
        yield
    list_entries_out_of_order()


def list_entries_out_of_order() -> None:
    """Do what migration 0009 does."""
    migration = importlib.import_module("wallet.migrations.0009_list_entries_out_of_order")
    with connection.schema_editor() as editor:
        migration.list_them(apps, editor)


def wrote(credits: int, when: datetime | str, user_id: str = "usr_1", **entry: Any) -> Entry:
    """An entry written then: an adjustment, or what else is said. The user's first one makes the wallet."""
    moment = at(when) if isinstance(when, str) else when
    sql(
        "INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at)"
        " VALUES (%s, 0, 0, %s) ON CONFLICT DO NOTHING",
        user_id,
        timezone.now(),
    )
    if "actor" in entry:
        entry.setdefault("idempotency_key", identifiers.transaction_id())
        by_hand.sign(actor=entry["actor"], key=entry["idempotency_key"], about=user_id)
    entry_id = move(user_id, credits, created_at=moment, effective_at=moment, **entry)
    return Entry.objects.get(pk=entry_id)


def charged(credits: int, when: datetime | str, feature: str = "mail.send", **entry: Any) -> Entry:
    """A charge, of as many units as credits where nothing else is said."""
    facts: dict[str, Any] = {
        "kind": "deduct",
        "feature": feature,
        "product": "mail",
        "count": credits,
    } | entry
    return wrote(-credits, when, **facts)


def captured(credits: int, when: datetime | str, user_id: str = "usr_1") -> Entry:
    """The charge of a hold of the mail product that was made and captured then."""
    moment = at(when) if isinstance(when, str) else when
    facts: dict[str, Any] = {"product": "mail", "feature": "mail.send", "count": credits}
    hold = Hold.objects.create(
        wallet_id=user_id,
        credits=credits,
        idempotency_key=identifiers.hold_id(),
        actor="service:wsk_test",
        available_before=credits,
        ttl_seconds=900,
        created_at=moment,
        expires_at=moment + timedelta(seconds=900),
        **facts,
    )
    Hold.objects.filter(pk=hold.pk).update(state="captured", captured_count=credits, ended_at=moment)
    return wrote(-credits, moment, user_id, kind="capture", hold_id=hold.pk, **facts)


def topped_up(credits: int, when: datetime | str, user_id: str = "usr_1", product: str = "wallet") -> Entry:
    """The entry of a payment that came then, with its top-up and the rows of the payment."""
    moment = at(when) if isinstance(when, str) else when
    entry_id = identifiers.transaction_id()
    session_id, payment_intent_id = f"cs_{entry_id}", f"pi_{entry_id}"
    for stripe_id in (session_id, payment_intent_id):
        Payment.objects.create(
            stripe_id=stripe_id, state="credited", session_id=session_id, user_id=user_id, entry_id=entry_id
        )
    facts = {"kind": "topup", "product": product, "stripe_session_id": session_id, "id": entry_id}
    entry = wrote(credits, moment, user_id=user_id, **facts)
    TopUp.objects.create(
        user_id=user_id,
        product=product,
        state="paid",
        amount_cents=credits * 100,
        paid_cents=credits * 100,
        stripe_session_id=session_id,
        payment_intent_id=payment_intent_id,
        entry=entry,
        created_at=moment,
        paid_at=moment,
    )
    return entry


def took_back(topup: Entry, credits: int, when: datetime | str) -> Entry:
    """The clawback of a payment, or of a part of it, that was refunded at Stripe then."""
    moment = at(when) if isinstance(when, str) else when
    payment_intent_id = TopUp.objects.get(entry=topup).payment_intent_id
    number = StripeRefund.objects.filter(payment_intent_id=payment_intent_id).count()
    StripeRefund.objects.create(
        id=f"re_{number}_{payment_intent_id}",
        payment_intent_id=payment_intent_id,
        amount_cents=credits * 100,
        status="succeeded",
        created_at=moment,
        reported_at=moment,
    )
    facts = {"kind": "clawback", "product": topup.product, "stripe_session_id": topup.stripe_session_id}
    return wrote(-credits, moment, user_id=topup.wallet_id, **facts)


def gave_back(charge: Entry, credits: int, when: datetime | str) -> Entry:
    """A part of a charge that came back then."""
    facts: dict[str, Any] = {"kind": "refund", "feature": charge.feature, "product": charge.product}
    return wrote(credits, when, user_id=charge.wallet_id, reverses_id=charge.pk, **facts)
