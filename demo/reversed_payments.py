"""Three users with a payment of the past that was refunded or disputed, for a sandbox's pages and lists."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts import users
from demo.made_up_past import clock_at
from demo.year_of_data import charge_for, top_up
from sandbox import past
from wallet.models import Wallet
from wallet.payments import reversals

Handler = Callable[..., str]

# Signs in to a wallet that owes credits.
DEBTOR = "usr_oskar"
CAMPAIGN = "reach.campaign.send"


def seed() -> None:
    """Create each user's history, once for each database. Needs the rates of the year of data."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for user_id, live in (("usr_mara", refund_a_part), ("usr_lena", win_a_dispute), (DEBTOR, lose_a_dispute)):
        if not Wallet.objects.filter(pk=user_id).exists():
            live(user_id, today)


def refund_a_part(user_id: str, today: datetime) -> None:
    """$50 are paid, and $20 of them are refunded a month later. Some credits are left."""
    bought_at = today - timedelta(days=37, hours=-10)
    session_id = top_up(user_id, dollars=50, at=bought_at)
    spend(user_id, times=8, after=bought_at)
    at = today - timedelta(days=6, hours=-14)
    _report(reversals.refund, past.add_refund(session_id, amount=2000, created=_seconds(at)), at)
    users.arrive(misar_id=user_id, name="Mara Holm", email="mara@example.com")


def win_a_dispute(user_id: str, today: datetime) -> None:
    """A bank disputes a payment of $25 and takes the money. Two weeks later the dispute is won."""
    bought_at = today - timedelta(days=45, hours=-9)
    session_id = top_up(user_id, dollars=25, at=bought_at)
    spend(user_id, times=4, after=bought_at)
    opened_at, won_at = today - timedelta(days=38, hours=-11), today - timedelta(days=24, hours=-16)
    dispute = past.add_dispute(session_id, created=_seconds(opened_at))
    _report(reversals.dispute, dispute, opened_at)
    won = past.close_dispute(dispute["id"], won=True, created=_seconds(won_at))
    _report(reversals.dispute, won, won_at)
    spend(user_id, times=3, after=won_at)
    users.arrive(misar_id=user_id, name="Lena Novak", email="lena@example.com")


def lose_a_dispute(user_id: str, today: datetime) -> None:
    """A bank disputes a payment of $25 whose credits are mostly spent, and keeps the money: a debt is left.

    The user arrives before the dispute, so a mail about it waits for the mail sender.
    """
    bought_at = today - timedelta(days=20, hours=-8)
    session_id = top_up(user_id, dollars=25, at=bought_at)
    spend(user_id, times=9, after=bought_at)
    users.arrive(misar_id=user_id, name="Oskar Reyes", email="oskar@example.com")
    opened_at, lost_at = today - timedelta(days=5, hours=-13), today - timedelta(days=1, hours=-15)
    dispute = past.add_dispute(session_id, created=_seconds(opened_at))
    _report(reversals.dispute, dispute, opened_at)
    lost = past.close_dispute(dispute["id"], won=False, created=_seconds(lost_at))
    _report(reversals.dispute, lost, lost_at)


def spend(user_id: str, *, times: int, after: datetime) -> None:
    """Send a campaign on each of the next days."""
    for day in range(1, times + 1):
        at = after + timedelta(days=day, minutes=17 * day)
        with clock_at(at):
            charge_for(user_id, CAMPAIGN, at)


def _report(handler: Handler, body: dict[str, Any], at: datetime) -> None:
    """Handle what Stripe reported then, as the inbox does with an event."""
    with clock_at(at):
        handler(body, happened_at=at)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
