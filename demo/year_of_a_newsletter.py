"""A year of a newsletter that earns: readers, tips and sponsors, written by production's verbs."""

from datetime import datetime, timedelta
from random import Random

from django.utils import timezone

from accounts.actors import actor_of
from accounts.mail import outbox
from accounts.models import User
from demo.made_up_past import clock_at
from foundation.calendar import start_of
from monetization import mails, sponsors, subscriptions, tips
from monetization.digests import writing
from monetization.models import Sponsor, Subscription

READERS = ("ada", "bela", "chen", "dora", "emil", "fatou", "goro", "hana", "ivan", "jules", "kofi", "lena")
WORDS = (
    "Love your weekly deep-dives.",
    "The piece on pricing saved us a month.",
    "Thank you!",
    "Greetings from Lagos",
    "",
    "",
)
SPONSORS = ("Acme Corp", "Globex", "Initech", "Umbrella Tea", "Hooli Cloud", "Stark Lamps")
TIP_CENTS = (300, 500, 500, 500, 1000, 1000, 2000, 5000)
PLANS = (("monthly", 799), ("monthly", 799), ("monthly", 799), ("annual", 7900), ("supporter", 1500))


def live_through_a_year(creator: User, days: int) -> None:
    """Write each of these days, the same every time."""
    chance = Random(11)  # noqa: S311 (made-up data, no secret)
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in range(days, 0, -1):
        at = today - timedelta(days=ago) + timedelta(minutes=chance.randrange(6 * 60, 22 * 60))
        with clock_at(at):
            live_through_a_day(creator, at, chance)
    book_sponsors(creator, today, days)


def write_a_weekly_mail(creator: User) -> None:
    """Write the mail about the last week. It waits for the process that sends mails.

    The creator had chosen one mail a week before that week. The caller sets the choice of the present.
    """
    with clock_at(start_of(writing.last_week())):
        outbox.set_switches(creator, {mails.TIP}, weekly={mails.TIP})
    writing.write_next(creator.pk)


def live_through_a_day(creator: User, at: datetime, chance: Random) -> None:
    """A tip on about every third day, a subscription on every fourth, a change on every tenth."""
    reader = f"{chance.choice(READERS)}{chance.randrange(90)}"
    if chance.random() < 0.33:
        tip = tips.record(
            creator=creator,
            amount_cents=chance.choice(TIP_CENTS),
            currency=chance.choice(("USD", "USD", "USD", "USD", "EUR")),
            email=f"{reader}@example.com" if chance.random() < 0.8 else "",
            name=reader.rstrip("0123456789").title(),
            message=chance.choice(WORDS),
            stripe_payment_id=f"pi_demo_{at:%Y%m%d}",
        )
        if chance.random() < 0.04:
            tips.refund(tip_id=tip.pk, key="demo", reason="Sent twice", actor=actor_of(creator))
    if chance.random() < 0.25:
        plan, amount_cents = chance.choice(PLANS)
        subscriptions.record(
            creator=creator,
            subscriber_email=f"{reader}@example.com",
            plan=plan,
            amount_cents=amount_cents,
            currency="USD",
            stripe_subscription_id=f"sub_demo_{at:%Y%m%d}",
        )
    if chance.random() < 0.1:
        change_one(creator, chance)


def change_one(creator: User, chance: Random) -> None:
    """A payment fails, a late one arrives, or a reader cancels."""
    paying = list(Subscription.objects.visible_to(creator).paying().order_by("created_at"))
    if paying:
        one = chance.choice(paying)
        status = chance.choice(
            ("past_due", "cancelled") if one.status == "active" else ("active", "cancelled")
        )
        subscriptions.change(creator=creator, subscription_id=one.pk, status=status)


def book_sponsors(creator: User, today: datetime, days: int) -> None:
    """Header placements of four weeks each, the last one in the future, and two that overlap inline."""
    for number, begins in enumerate(range(-days, 36, 28)):
        with clock_at(today + timedelta(days=min(begins - 10, 0))):
            book(
                creator, SPONSORS[number % len(SPONSORS)], Sponsor.Position.HEADER, today, begins, begins + 28
            )
    book(creator, "Globex", Sponsor.Position.INLINE, today, 10, 17)
    book(creator, "Initech", Sponsor.Position.INLINE, today, 14, 21)


def book(creator: User, name: str, position: str, today: datetime, begins: int, ends: int) -> None:
    """One placement; `begins` and `ends` are days from today."""
    host = name.lower().replace(" ", "-")
    sponsors.place(
        creator=creator,
        sponsor_name=name,
        logo_url=f"https://{host}.example.com/logo.png",
        target_url=f"https://{host}.example.com/?from=newsletter",
        position=position,
        active_from=today + timedelta(days=begins),
        active_until=today + timedelta(days=ends),
        price_cents=29_900,
        currency="USD",
    )
