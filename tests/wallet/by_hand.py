"""What staff do by hand, each with its act, as the back-office writes it in the same transaction."""

from typing import Any

from django.db import transaction

from accounts.models import Act, User
from wallet.charges import adjustments, give_backs
from wallet.grants import granting
from wallet.models import Entry, RefundRequest, StripeEvent
from wallet.payments import resolving

STAFF = "user:staff:1"


def sign(*, actor: str, key: str, about: str = "", model: str = "wallet.wallet", row_id: str = "") -> None:
    """Write the act of a form with this key, unless it is there. An actor who is no user has none."""
    if not actor.startswith("user:"):
        return
    staff_id = actor.removeprefix("user:")
    User.objects.bulk_create([User(pk=staff_id, is_staff=True)], ignore_conflicts=True)
    act = Act(
        staff_id=staff_id,
        verb="test",
        label="Test",
        model=model,
        row_id=row_id or about,
        about=about,
        told="Done by a test.",
        form_key=key,
        content="",
    )
    Act.objects.bulk_create([act], ignore_conflicts=True)


def sign_entry(entry: Entry) -> Entry:
    sign(actor=entry.actor, key=entry.idempotency_key, about=entry.wallet_id)
    return entry


@transaction.atomic
def adjust(*, actor: str = STAFF, **facts: Any) -> Entry:
    return sign_entry(adjustments.adjust(actor=actor, **facts))


@transaction.atomic
def give_back(*, actor: str = STAFF, **facts: Any) -> Entry:
    return sign_entry(give_backs.give_back(actor=actor, **facts))


@transaction.atomic
def grant(**facts: Any) -> granting.Granted:
    granted = granting.grant(**facts)
    sign_entry(granted.lot.entry)
    return granted


@transaction.atomic
def resolve(event: StripeEvent, *, actor: str = "user:staff:ada", key: str, **facts: Any) -> StripeEvent:
    resolved = resolving.resolve(event, actor=actor, key=key, **facts)
    if facts.get("credits"):
        sign(actor=actor, key=key, about=facts["user_id"])
    return resolved


@transaction.atomic
def request_refund(**facts: Any) -> RefundRequest:
    requested = RefundRequest.objects.create(**facts)
    topup = requested.topup
    sign(
        actor=requested.actor,
        key=requested.form_key,
        about=topup.user_id,
        model="wallet.topup",
        row_id=topup.pk,
    )
    return requested
