"""A user with open holds and holds that ended, and a user whose wallet is frozen, for a sandbox's pages.

Holds take their time from the database's clock, so they are made now. An open hold lasts at most seven days.
If none is open, the next run makes new ones.
"""

import secrets
from datetime import datetime, timedelta

from django.utils import timezone

from accounts import users
from accounts.models import ServiceKey, User
from backoffice.actions import acts
from backoffice.credits import holds as acts_on_holds
from demo.reversed_payments import spend
from demo.year_of_data import DEMO_STAFF, top_up
from wallet.charges import holds
from wallet.models import Hold, Wallet

HOLDER, FROZEN = "usr_hana", "usr_viktor"
HOUR = 3600
# The holds that stay open: the feature, the units, and how long they last.
OPEN = (
    ("reach.campaign.send", 4, 6 * HOUR),
    ("blog.article.generate", 3, 2 * 24 * HOUR),
    ("mail.send", 6, 7 * 24 * HOUR),
)


def seed() -> None:
    """Create both users once for each database, and new holds if none is open. Needs the year of data."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    is_new = not Wallet.objects.filter(pk=HOLDER).exists()
    if is_new:
        buy_and_spend(HOLDER, "Hana Mori", dollars=50, today=today)
    if not holds.page(user_id=HOLDER, product=None, state=Hold.State.OPEN, limit=1).holds:
        for feature, count, seconds in OPEN:
            hold(feature, count, seconds)
    if is_new:
        hold_and_end()
    if not Wallet.objects.filter(pk=FROZEN).exists():
        buy_and_spend(FROZEN, "Viktor Lang", dollars=25, today=today)
        freeze(User.objects.get(pk=DEMO_STAFF))


def buy_and_spend(user_id: str, name: str, *, dollars: int, today: datetime) -> None:
    bought_at = today - timedelta(days=9, hours=-10)
    top_up(user_id, dollars=dollars, at=bought_at)
    spend(user_id, times=5, after=bought_at)
    users.arrive(misar_id=user_id, name=name, email=f"{user_id.removeprefix('usr_')}@example.com")


def hold_and_end() -> None:
    """Work that used less than was held, work that did not begin, and a hold that its product forgot."""
    captured = hold("blog.article.generate", 8, HOUR)
    holds.capture(service=product_of(captured.feature), user_id=HOLDER, hold_id=captured.pk, count=5)
    voided = hold("reach.campaign.send", 2, HOUR)
    holds.void(user_id=HOLDER, hold_id=voided.pk, product=voided.product)
    hold("mail.send", 1, 1)


def hold(feature: str, count: int, seconds: int) -> Hold:
    """Set credits aside as the product would."""
    return holds.authorize(
        service=product_of(feature),
        user_id=HOLDER,
        feature=feature,
        count=count,
        ttl_seconds=seconds,
        key=f"job:{secrets.token_hex(4)}",
    ).hold


def product_of(feature: str) -> ServiceKey:
    product = feature.partition(".")[0]
    return ServiceKey(product=product, prefix=product)


def freeze(staff: User) -> None:
    """A staff member stops all charges of a wallet."""
    wallet = Wallet.objects.get(pk=FROZEN)
    asked = {
        "reason": "Viktor wrote that he doesn't know these campaigns; we check his products.",
        "key": "demo",
    }
    acts.perform(
        staff=staff,
        permission="wallet.freeze_wallet",
        page="demo",
        verb="freeze",
        label="Freeze this wallet",
        reason=asked["reason"],
        form_key="demo-freeze",
        form_data={},
        run=lambda: acts.Done(wallet, acts_on_holds.freeze(wallet, asked, staff), wallet.pk),
    )
