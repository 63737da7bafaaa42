"""A user with granted credits and budgets, for a sandbox's pages.

Grants take their time from the database's clock, so they are made now. If none is left, the next run makes
new ones.
"""

import secrets
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import ServiceKey, User
from backoffice.credits import grants
from demo import staff_history
from demo.held_credits import buy_and_spend
from demo.year_of_data import DEMO_STAFF
from wallet.charges import budgets, deductions, holds
from wallet.charges.models import Budget
from wallet.grants import granting
from wallet.grants.caps import Caps
from wallet.models import Lot, Wallet

GRANTED = "usr_ravi"
DAY, MONTH = Budget.Period.DAY, Budget.Period.MONTH
CAPS = Caps(grant=100, month=10_000)  # As on the service key of a product that may grant.
# Product, credits, after how many days they end, and why. Staff grant without a product.
GRANTS = (
    ("blog", 10, 6, "Welcome to the blog"),
    ("", 20, 60, "Sorry for the slow campaigns in October"),
    ("mail", 15, 365, "A year of the newsletter"),
)
# Who sets it, the product ("" for all), the period, and how many credits.
BUDGETS = (
    (Budget.SetBy.USER, "", MONTH, 100),
    (Budget.SetBy.USER, "blog", DAY, 8),
    (Budget.SetBy.USER, "reach", DAY, 0),
    (Budget.SetBy.PRODUCT, "mail", MONTH, 40),
)


def seed() -> None:
    """Create the user once for each database, and new grants if none is left. Needs the year of data."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    is_new = not Wallet.objects.filter(pk=GRANTED).exists()
    if is_new:
        buy_and_spend(GRANTED, "Ravi Nair", dollars=50, today=today)
    if not granting.page(user_id=GRANTED, product=None, state=Lot.State.ACTIVE, limit=1).lots:
        for product, credits, days, reason in GRANTS:
            if product:
                grant(product, credits, days, reason)
            else:
                grant_by_staff(credits, days, reason)
    if is_new:
        take_a_grant_back()
        charge("blog.article.generate", 6)
        hold("blog.article.generate", 2)
        charge("mail.send", 4)
        limit()


def take_a_grant_back() -> None:
    mistake = grant("blog", 5, 30, "Welcome to the blog, again")
    granting.void(user_id=GRANTED, grant_id=mistake, product="blog")


def limit() -> None:
    """Set budgets. The day's budget for the blog is used up at once."""
    for set_by, product, period, credits in BUDGETS:
        budgets.set_budget(user_id=GRANTED, set_by=set_by, product=product, period=period, credits=credits)


def grant(product: str, credits: int, days: int, reason: str) -> str:
    """A product grants credits that end at a midnight. Return the id of the grant."""
    granted = granting.grant(
        user_id=GRANTED,
        credits=credits,
        expires_at=midnight_after(days),
        reason=reason,
        key=secrets.token_hex(4),
        product=product,
        actor=f"service:{product}",
        caps=CAPS,
    )
    return granted.lot.pk


def grant_by_staff(credits: int, days: int, reason: str) -> None:
    """A staff member grants credits that end at a midnight."""
    wallet, staff = Wallet.objects.get(pk=GRANTED), User.objects.get(pk=DEMO_STAFF)
    key = secrets.token_hex(16)
    form_data = {"credits": credits, "expires_at": midnight_after(days), "shown_reason": reason, "key": key}
    staff_history.act(
        staff,
        permission="wallet.grant_lot",
        verb="grant",
        label="Grant credits",
        reason="The campaigns were slow.",
        key=key,
        run=lambda: grants.grant(wallet, form_data, staff),
    )


def midnight_after(days: int) -> datetime:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=days)


def charge(feature: str, count: int) -> None:
    deductions.deduct(service=product_of(feature), user_id=GRANTED, feature=feature, count=count)


def hold(feature: str, count: int) -> None:
    """Set credits aside for a day, as the product would."""
    holds.authorize(
        service=product_of(feature),
        user_id=GRANTED,
        feature=feature,
        count=count,
        ttl_seconds=24 * 3600,
        key=f"job:{secrets.token_hex(4)}",
    )


def product_of(feature: str) -> ServiceKey:
    product = feature.partition(".")[0]
    return ServiceKey(product=product, prefix=product)
