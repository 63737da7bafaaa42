"""Compare Stripe with the books: find payments without credits, and credits without a payment.

Sessions are compared by id, never by amount. Without `apply`, nothing changes. With `apply`, payments without
credits are credited, with the same function that the webhook uses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from django.utils import timezone

from accounts.misar_ids import is_misar_id
from wallet.payments import resolving, sessions, settlement, stripe_gateway
from wallet.payments.models import TopUp
from wallet.payments.sessions import Parked, text_at

Kind = Literal["uncredited", "credited", "unpaid", "parked"]


@dataclass(frozen=True)
class Finding:
    """A session that differs between Stripe and the books. `kind` is one of:

    - `uncredited`: it is paid at Stripe, but not credited in the books.
    - `credited`: it was uncredited, and this run has credited it.
    - `unpaid`: it is credited in the books, but not paid at Stripe.
    - `parked`: it is paid, but staff must decide. When staff resolve its event by hand, later runs no longer
      report it.
    """

    kind: Kind
    session_id: str
    user_id: str
    cents: int | None
    remark: str = ""

    @property
    def is_open(self) -> bool:
        """Whether Stripe and the books still differ."""
        return self.kind != "credited"


def reconcile(
    *, since: datetime, apply: bool = False, on_session: Callable[[], None] = lambda: None
) -> Iterator[Finding]:
    """Compare every session that was created since this time. Yield each finding as soon as it is known.

    With `apply`, payments without credits are credited. `on_session` is called once for each session. Raises
    StripeOutOfReach if Stripe stops answering; the findings are then not complete.
    """
    seen_paid: set[str] = set()
    for session in stripe_gateway.completed_sessions(since_unix=int(since.timestamp())):
        on_session()
        if _is_paid_topup(session):
            seen_paid.add(session["id"])
            yield from _missing(session, apply=apply)
    # The sessions of other top-ups are older than `since`, or not listed as paid. Fetch each by its id.
    for topup in _rows_to_ask_about(since, seen_paid):
        on_session()
        yield from _asked(topup, apply=apply)


def _rows_to_ask_about(since: datetime, seen_paid: set[str]) -> Iterator[TopUp]:
    credited = TopUp.objects.filter(state=TopUp.State.PAID, paid_at__gte=since)
    waiting = TopUp.objects.unsettled().exclude(stripe_session_id=None)
    for rows in (credited, waiting):
        for topup in rows.order_by("pk").iterator():
            if topup.stripe_session_id not in seen_paid:
                yield topup


def _asked(topup: TopUp, *, apply: bool) -> Iterator[Finding]:
    assert topup.stripe_session_id
    session = stripe_gateway.retrieve_session(topup.stripe_session_id)
    paid = session is not None and _is_paid_topup(session)
    if topup.state == TopUp.State.PAID and not paid:
        remark = "Stripe knows no such session." if session is None else "Stripe does not call it paid."
        yield Finding("unpaid", topup.stripe_session_id, topup.user_id, topup.paid_cents, remark)
    elif paid and session is not None:
        yield from _missing(session, apply=apply)
    elif apply and session is not None and session.get("status") == "expired":
        # We never got the event about the expiry. Set the final state of the top-up; no credits are added.
        settlement.settle(session, happened_at=timezone.now(), unpaid=TopUp.State.EXPIRED)


def _is_paid_topup(session: dict[str, Any]) -> bool:
    return (
        sessions.is_ours(session)
        and session.get("mode") == "payment"
        and session.get("payment_status") == "paid"
    )


def _missing(session: dict[str, Any], *, apply: bool) -> Iterator[Finding]:
    """Yield a finding if a paid session is not credited in the books."""
    session_id, user_id = session["id"], text_at(session, "metadata", "user_id")
    if not is_misar_id(user_id):
        user_id = ""  # It may have characters that the database cannot store.
    booked = TopUp.objects.filter(stripe_session_id=session_id, state=TopUp.State.PAID).first()
    if booked and booked.user_id == user_id:
        return
    if resolving.was_resolved(session_id):
        return  # Staff have decided about this payment.
    amount = session.get("amount_total")
    cents = amount if type(amount) is int else None
    try:
        sessions.judge(session)
        if booked:
            raise Parked(f"Our record of the session ({booked.pk}) names another user.")
        if not apply:
            yield Finding("uncredited", session_id, user_id, cents)
            return
        created = datetime.fromtimestamp(session["created"], tz=UTC)
        remark = settlement.settle(session, happened_at=created)
        yield Finding("credited", session_id, user_id, cents, remark)
    except Parked as parked:
        yield Finding("parked", session_id, user_id, cents, str(parked))
