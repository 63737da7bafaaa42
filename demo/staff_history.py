"""Data for a sandbox's back-office: named users, an act of staff, a parked payment."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts import users
from accounts.models import User
from backoffice.actions import acts
from backoffice.credits import actions
from demo.made_up_past import clock_at
from sandbox.webhooks import signature
from wallet.models import StripeEvent, Wallet
from wallet.payments import inbox

NAMES = {"usr_ines": ("Ines Pilot", "ines@example.com"), "usr_tomas": ("Tomas Reach", "tomas@example.com")}
GOODWILL_CREDITS = 5
PARKED_EVENT = "evt_demo_in_euros"


def have_seen_something(staff: User) -> None:
    """Create everything, once for each database."""
    if StripeEvent.objects.filter(pk=PARKED_EVENT).exists():
        return
    for misar_id, (name, email) in NAMES.items():
        users.arrive(misar_id=misar_id, name=name, email=email)
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    give_goodwill(staff)
    pay_in_euros(today - timedelta(days=1) + timedelta(hours=15))


def act(
    staff: User,
    *,
    permission: str,
    verb: str,
    label: str,
    reason: str,
    key: str,
    run: Callable[[], acts.Done],
) -> None:
    """A staff member does what a form of the back-office with this key does."""
    acts.perform(
        staff=staff,
        permission=permission,
        page="demo",
        verb=verb,
        label=label,
        reason=reason,
        form_key=key,
        form_data={},
        run=run,
    )


def give_goodwill(staff: User) -> None:
    """A staff member gives a few credits for the trouble, ten minutes after the user's last charge."""
    wallet = Wallet.objects.get(pk="usr_ines")
    at = wallet.entries.latest("sequence").created_at + timedelta(minutes=10)
    reason = "An article was lost; Ines wrote to us."
    form_data = {"credits": GOODWILL_CREDITS, "reason": reason, "key": "demo"}
    with clock_at(at):
        act(
            staff,
            permission="wallet.adjust_wallet",
            verb="adjust",
            label="Adjust the balance",
            reason=reason,
            key="demo",
            run=lambda: acts.Done(wallet, actions.adjust(wallet, form_data, staff), wallet.pk),
        )


def pay_in_euros(at: datetime) -> None:
    """A payment in another currency: it is for this service, and staff must decide."""
    event: dict[str, Any] = {
        "id": PARKED_EVENT,
        "object": "event",
        "type": "checkout.session.completed",
        "created": int(at.timestamp()),
        "livemode": False,
        "data": {
            "object": {
                "id": "cs_test_demo_in_euros",
                "object": "checkout.session",
                "mode": "payment",
                "status": "complete",
                "payment_status": "paid",
                "payment_intent": "pi_demo_in_euros",
                "amount_total": 2500,
                "currency": "eur",
                "livemode": False,
                "created": int(at.timestamp()),
                "metadata": {"type": "wallet_topup", "user_id": "usr_tomas", "product": "mail"},
            }
        },
    }
    body = json.dumps(event).encode()
    signed = signature(body, at=int(time.time()), secrets=settings.STRIPE_WEBHOOK_SECRETS)
    with clock_at(at):
        inbox.receive(body, signed)
