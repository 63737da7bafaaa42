"""Stripe against the books: what was paid and not credited, and what was credited and not paid.

Sessions are matched by id, never by amount. Nothing changes without `apply`, which credits what was paid, by
the same verb as the webhook.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from django.utils import timezone

from wallet.payments import sessions, settlement, stripe_gateway
from wallet.payments.models import TopUp
from wallet.payments.sessions import Parked, text_at

Kind = Literal["uncredited", "credited", "unpaid", "parked"]


@dataclass(frozen=True)
class Finding:
    """A session on which Stripe and the books disagree, or did until now.

    `uncredited`: paid at Stripe, not in the books. `credited`: the same, repaired just now. `unpaid`: in the
    books, not paid at Stripe. `parked`: paid, but a person must decide; resolving its event by hand ends the
    finding.
    """

    kind: Kind
    session_id: str
    user_id: str
    cents: int | None
    remark: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the two still disagree."""
        return self.kind != "credited"


def reconcile(
    *, since: datetime, apply: bool = False, on_session: Callable[[], None] = lambda: None
) -> Iterator[Finding]:
    """Compare every session created since then, as they are read; `apply` credits what was paid.

    Raises StripeOutOfReach if Stripe cannot be read to the end: then the findings are not complete.
    """
    seen_paid: set[str] = set()
    for session in stripe_gateway.completed_sessions(since_unix=int(since.timestamp())):
        on_session()
        if _is_paid_topup(session):
            seen_paid.add(session["id"])
            yield from _missing(session, apply=apply)
    # Rows that have waited for longer, or whose session was not in the list: each is fetched by its id.
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
        # Its event was lost. No credits move; the row only gets its final state.
        settlement.settle(session, happened_at=timezone.now(), unpaid=TopUp.State.EXPIRED)


def _is_paid_topup(session: dict[str, Any]) -> bool:
    return (
        sessions.is_ours(session)
        and session.get("mode") == "payment"
        and session.get("payment_status") == "paid"
    )


def _missing(session: dict[str, Any], *, apply: bool) -> Iterator[Finding]:
    """The finding on a paid session that the books do not have."""
    session_id, user_id = session["id"], text_at(session, "metadata", "user_id")
    booked = TopUp.objects.filter(stripe_session_id=session_id, state=TopUp.State.PAID).first()
    if booked and booked.user_id == user_id:
        return
    if settlement.was_resolved(session_id):
        return  # A person has decided.
    cents = session.get("amount_total")
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
