"""A sandbox's first data: the keys of its curl commands, and a year of realistic history of a few users.

Production's verbs write everything, day by day, and only once for each database.
"""

import base64
import json
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from django.utils import timezone

from accounts import api_keys, service_keys
from accounts.errors import InvalidApiKey, InvalidServiceKey
from accounts.mail import outbox
from accounts.models import Right, ServiceKey, User
from accounts.signing_in import second_factor
from backoffice.actions import acts
from backoffice.credits import actions
from demo import staff_history, year_of_a_newsletter
from demo.made_up_past import clock_at
from monetization.models import Tip
from sandbox import store
from wallet.books.funds import available_of
from wallet.charges import deductions
from wallet.errors import InsufficientCredits
from wallet.models import Entry, Rate, Wallet
from wallet.payments import settlement
from wallet.prices import rates

DEMO_USER = "usr_demo"
DEMO_NAME = "Dana Demo"
DEMO_STAFF = "staff:demo"
DEMO_FEATURE = "blog.article.generate"

# More than the two documented ones, to fill the table of rates.
RATES = (
    ("reach.campaign.send", "Send a campaign", 2, "campaign"),
    ("mail.warmup", "Warm up a mailbox", 1, "mailbox per week"),
)
# For each user, how often a week each feature is charged.
HABITS = {
    DEMO_USER: {"blog.article.generate": 4, "mail.send": 2, "reach.campaign.send": 1},
    "usr_ines": {"blog.article.generate": 2},
    "usr_tomas": {"mail.send": 3, "mail.warmup": 1},
}
DAYS = 365
LOW_CREDITS = 6


def seed() -> dict[str, str]:
    """Create everything that does not exist yet. Returns the names and keys that the welcome shows."""
    names_and_keys = demo_credentials()
    dana = User.objects.get(pk=DEMO_USER)
    wanted = {kind for kind in outbox.KINDS if outbox.wants(dana, kind)}
    weekly = {kind for kind in wanted if outbox.is_weekly(dana, kind)}
    outbox.set_switches(dana, set())  # Without this, a year of mails would be sent at once.
    if not Tip.objects.filter(creator_id=DEMO_USER).exists():
        year_of_a_newsletter.live_through_a_year(dana, DAYS)
        year_of_a_newsletter.write_a_weekly_mail(dana)
    if not Wallet.objects.filter(pk=DEMO_USER).exists():
        for feature, label, credits, unit in RATES:
            if not Rate.objects.filter(feature=feature).exists():
                rates.set_rate(feature=feature, label=label, credits=credits, unit=unit, actor="sandbox")
        live_through_a_year(Random(2026))  # noqa: S311 (made-up data, the same every time, no secret)
    staff_history.have_seen_something(User.objects.get(pk=DEMO_STAFF))
    outbox.set_switches(dana, wanted, weekly=weekly)
    return names_and_keys | {"user_id": DEMO_USER, "user_name": DEMO_NAME, "feature": DEMO_FEATURE}


def demo_credentials() -> dict[str, str]:
    """The keys and the staff member of the demo, kept with the data, so they survive a restart."""
    place = Path(os.environ["DATA_DIR"]) / "demo.json"
    kept = json.loads(place.read_text()) if place.exists() else {}
    try:
        service_keys.find_service_key(kept.get("service_key", ""))
    except InvalidServiceKey:
        _, kept["service_key"] = service_keys.issue_service_key(
            product="blog", rights=Right.values, grant_max=100, grant_month_max=10_000
        )
    staff = User.objects.filter(pk=DEMO_STAFF).first()
    if staff is None or not staff.check_password(kept.get("staff_password", "")):
        kept["staff_password"] = secrets.token_urlsafe(12)
        staff = staff or User.objects.create_superuser(DEMO_STAFF, name="Demo Staff")
        staff.set_password(kept["staff_password"])
        staff.save(update_fields=["password"])
    if "staff_totp_secret" not in kept or second_factor.is_missing(staff):
        # Set up in advance; the sandbox shows the present code, as a phone would.
        kept["staff_totp_secret"] = base64.b32encode(secrets.token_bytes(20)).decode()
        second_factor.reset(staff)
        second_factor.set_up(staff, kept["staff_totp_secret"])
    creator = User.objects.filter(pk=DEMO_USER).first() or User.objects.create_user(
        DEMO_USER, name=DEMO_NAME, email="dana@example.com", plan_id="pro"
    )
    try:
        api_keys.find(kept.get("api_key", ""))
    except InvalidApiKey:
        kept["api_key"] = api_keys.issue(
            owner=creator, name="Demo", scopes=["monetization", "read"], within_limit=False
        )[1]
    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(kept, file)
    return kept | {"staff": DEMO_STAFF}


# --- A year -----------------------------------------------------------------------------------------


def live_through_a_year(chance: Random) -> None:
    """Top up when credits run low, charge on most days, and give a charge back now and then."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(DAYS, 0, -1):
        for user_id, habits in HABITS.items():
            at = today - timedelta(days=day) + timedelta(minutes=chance.randrange(7 * 60, 20 * 60))
            live_through_a_day(user_id, habits, at, chance)


def live_through_a_day(user_id: str, habits: dict[str, int], at: datetime, chance: Random) -> None:
    """One user's day: at most one charge for each feature, on average as often as `habits` says."""
    if available_of(user_id) < LOW_CREDITS:
        top_up(user_id, dollars=chance.choice((10, 25, 25, 50)), at=at)
    for feature, times_a_week in habits.items():
        if chance.random() >= times_a_week / 7:
            continue
        at += timedelta(minutes=chance.randrange(5, 60))
        with clock_at(at):
            try:
                charge = charge_for(user_id, feature, at)
            except InsufficientCredits:
                continue
            if chance.random() < 0.02:
                give_back(charge)


def top_up(user_id: str, *, dollars: int, at: datetime) -> str:
    """Write a payment in the sandbox's Stripe and credit it, so that reconciliation finds no difference.

    Return the id of its Checkout Session.
    """
    session = store.add_paid_session(
        user_id=user_id, product="blog", amount_cents=dollars * 100, created=int(at.timestamp())
    )
    with clock_at(at):
        settlement.settle(session, happened_at=at)
    return str(session["id"])


def charge_for(user_id: str, feature: str, at: datetime) -> Entry:
    """Charge as the product would."""
    product = feature.partition(".")[0]
    return deductions.deduct(
        service=ServiceKey(product=product, prefix=product),
        user_id=user_id,
        feature=feature,
        key=f"{product}:{at:%Y%m%d%H%M}",
    ).entry


def give_back(charge: Entry) -> None:
    """A staff member gives the credits of failed work back."""
    staff, key = User.objects.get(pk=DEMO_STAFF), f"failed:{charge.pk}"
    form_data = {"credits": None, "reason": "The work failed", "key": key, "seen": ""}
    staff_history.act(
        staff,
        permission="wallet.give_back_entry",
        verb="give-back",
        label="Give this charge back",
        reason="The work failed",
        key=key,
        run=lambda: acts.Done(charge, actions.give_back(charge, form_data, staff), charge.wallet_id),
    )
