"""What the dashboard's lists say, ready for their templates: rows, totals, and what an empty list tells.

Nothing here writes. Days and times are UTC; amounts come as text.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from accounts.models import ApiKey, User
from foundation import money, words
from foundation.words import NAME_SHOWN, NONE
from monetization import fees, stats
from monetization.lists import Totals
from monetization.models import Sponsor, Subscription, Tip
from monetization.sponsors import Conflicts
from monetization.stand_ins import is_erased
from monetization.supporters import ANONYMOUS, ERASED

EXCERPT_LENGTH = 80
DAY = timedelta(days=1)

State = Sponsor.State
Status = Subscription.Status

TONES: dict[str, str] = {
    State.ACTIVE: "good",
    State.UPCOMING: "accent",
    Status.PAST_DUE: "warn",
}


@dataclass(frozen=True)
class Tag:
    """A state in a word, and the colour beside it: good, accent, warn, or none."""

    word: str
    tone: str


def shown_email(email: str) -> str:
    """A reader's address as a list shows it; a stand-in is nobody's address."""
    return ERASED if is_erased(email) else email


# --- Sponsors ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SponsorRow:
    """A placement in the list."""

    pk: str
    name: str
    target_host: str
    target_url: str
    position: str
    begins: datetime
    ends: datetime
    until: str
    days_left: str
    price: str
    state: Tag
    conflict: str
    can_edit: bool
    can_cancel: bool


def sponsor_rows(
    placements: Sequence[Sponsor], conflicts: Mapping[str, Conflicts], *, at: datetime
) -> list[SponsorRow]:
    """Placements as they stand at that moment, each with those it shares position and time with."""
    return [_sponsor_row(each, conflicts.get(each.pk), at) for each in placements]


def _sponsor_row(sponsor: Sponsor, others: Conflicts | None, at: datetime) -> SponsorRow:
    state = sponsor.state_at(at)
    stands = state in (State.UPCOMING, State.ACTIVE)
    return SponsorRow(
        pk=sponsor.pk,
        name=words.shortened(sponsor.sponsor_name, NAME_SHOWN),
        target_host=host_of(sponsor.target_url),
        target_url=sponsor.target_url,
        position=sponsor.get_position_display(),
        begins=sponsor.active_from,
        ends=sponsor.active_until,
        until=words.end_words(sponsor.active_until),
        days_left=days_left(sponsor, at),
        price=price_of(sponsor),
        state=Tag(state.label, TONES.get(state, "")),
        conflict=conflict_of(sponsor, others),
        can_edit=stands,
        can_cancel=stands,
    )


def price_of(sponsor: Sponsor) -> str:
    """A placement's price; a dash where none is recorded."""
    return NONE if sponsor.price_cents is None else money.amount(sponsor.price_cents, sponsor.currency)


def days_left(sponsor: Sponsor, at: datetime) -> str:
    """How long a placement still runs, or when it begins; days begun count whole. Empty once it is over."""
    state = sponsor.state_at(at)
    if state == State.ACTIVE:
        return f"{_days(sponsor.active_until - at)} left"
    return f"begins in {_days(sponsor.active_from - at)}" if state == State.UPCOMING else ""


def _days(span: timedelta) -> str:
    return words.count(-(-span // DAY), "day")


def conflict_of(sponsor: Sponsor, others: Conflicts | None) -> str:
    """With whom a placement shares position and time, in words; empty for nobody."""
    if not others:
        return ""
    names = [words.shortened(name, NAME_SHOWN) for name in others.names]
    more = [f"{others.more} more"] if others.more else []
    place = "inline position" if sponsor.position == Sponsor.Position.INLINE else sponsor.position
    return f"Same {place}, same days as {listed([*names, *more])}"


def where(sponsor: Sponsor) -> str:
    """Where a placement is, in a sentence: "inline", "in the header"."""
    return "inline" if sponsor.position == Sponsor.Position.INLINE else f"in the {sponsor.position}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, each once.

    >>> listed(["Acme", "Globex", "Acme", "Initech"])
    'Acme, Globex and Initech'
    """
    names = list(dict.fromkeys(names))
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def host_of(url: str) -> str:
    """The host of a web address, for a link to be judged by; empty for what is no web address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.hostname or "" if parts.scheme in ("http", "https") else ""


# --- Subscriptions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SubscriptionRow:
    """A subscription in the list."""

    pk: str
    email: str
    plan: str
    interval: str
    amount: str
    monthly: str
    status: Tag
    since: datetime
    stripe_id: str


def subscription_rows(subscriptions: Sequence[Subscription]) -> list[SubscriptionRow]:
    """Subscriptions as they are now."""
    return [
        SubscriptionRow(
            pk=each.pk,
            email=words.shortened(shown_email(each.subscriber_email), NAME_SHOWN),
            plan=each.plan,
            interval=each.get_interval_display(),
            amount=money.amount(each.amount_cents, each.currency),
            monthly=monthly_of(each),
            status=status_tag(each.status),
            since=each.created_at,
            stripe_id=each.stripe_subscription_id or "",
        )
        for each in subscriptions
    ]


def status_tag(status: str) -> Tag:
    """A subscription's status."""
    tone = "good" if status == Status.ACTIVE else TONES.get(status, "")
    return Tag(Status(status).label, tone)


def monthly_of(subscription: Subscription) -> str:
    """What it is worth a month, rounded; a dash where it is in no MRR."""
    if subscription.status == Status.CANCELLED or subscription.interval == Subscription.Interval.UNKNOWN:
        return NONE
    return money.amount(stats.mrr_of(subscription.yearly_cents), subscription.currency)


# --- Tips -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TipRow:
    """A tip in the list."""

    pk: str
    at: datetime
    who: str
    email: str
    excerpt: str
    is_hidden: bool
    gross: str
    fee: str
    rate: str
    net: str
    refunded: str
    stripe_id: str


def tip_rows(tips: Sequence[Tip]) -> list[TipRow]:
    """Tips with what they brought."""
    return [
        TipRow(
            pk=each.pk,
            at=each.created_at,
            who=words.shortened(who_gave(each), NAME_SHOWN),
            email="" if is_erased(each.email) else words.shortened(each.email, NAME_SHOWN),
            excerpt=words.shortened(each.shown_message, EXCERPT_LENGTH),
            is_hidden=bool(each.message and each.message_hidden_at),
            gross=money.amount(each.gross_cents, each.currency),
            fee=money.amount(each.fee_cents, each.currency),
            rate=fees.percent(each.fee_bps),
            net=money.amount(each.net_cents, each.currency),
            refunded=money.amount(each.refunded_cents, each.currency) if each.refunded_cents else "",
            stripe_id=each.stripe_payment_id or "",
        )
        for each in tips
    ]


def who_gave(tip: Tip) -> str:
    """What to call whoever gave a tip."""
    if is_erased(tip.email):
        return ERASED
    return tip.name or ANONYMOUS


@dataclass(frozen=True)
class TotalRow:
    """What all tips of a filter add up to in one currency."""

    currency: str
    count: str
    gross: str
    fee: str
    net: str
    refunded: str
    after_refunds: str


def total_rows(totals: Sequence[Totals]) -> list[TotalRow]:
    """The totals above the list, one row per currency."""
    return [
        TotalRow(
            currency=each.currency,
            count=words.count(each.count, "tip"),
            gross=money.amount(each.gross_cents, each.currency),
            fee=money.amount(each.fee_cents, each.currency),
            net=money.amount(each.net_cents, each.currency),
            refunded=money.amount(each.refunded_cents, each.currency) if each.refunded_cents else NONE,
            after_refunds=money.amount(each.net_after_refunds_cents, each.currency),
        )
        for each in totals
    ]


# --- Keys -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyRow:
    """A key in the list. Its secret is nowhere."""

    pk: str
    name: str
    prefix: str
    scopes: str
    state: Tag
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    can_revoke: bool


def key_rows(keys: Sequence[ApiKey], *, at: datetime) -> list[KeyRow]:
    """Keys as they are at that moment; those that were revoked come last."""
    keys = sorted(keys, key=lambda key: key.revoked_at is not None)
    return [
        KeyRow(
            pk=str(key.pk),
            name=words.shortened(key.name, NAME_SHOWN),
            prefix=f"{key.prefix}…",
            scopes=", ".join(key.scopes),
            state=_key_state(key, at),
            created_at=key.created_at,
            last_used_at=key.last_used_at,
            expires_at=key.expires_at,
            can_revoke=key.revoked_at is None,
        )
        for key in keys
    ]


def _key_state(key: ApiKey, at: datetime) -> Tag:
    if key.revoked_at:
        return Tag("Revoked", "")
    return Tag("Active", "good") if key.is_usable(at) else Tag("Expired", "warn")


def more_revoked(count: int) -> str:
    """How many revoked keys are not in the list, in a sentence; empty for none.

    >>> more_revoked(1), more_revoked(2), more_revoked(0)
    ('1 more key was revoked earlier.', '2 more keys were revoked earlier.', '')
    """
    if count == 0:
        return ""
    return f"{words.count(count, 'more key')} {'was' if count == 1 else 'were'} revoked earlier."


def key_limit(creator: User, active: int) -> str:
    """How many keys the creator's plan allows, and how many there are, in a sentence."""
    limit = creator.plan.key_limit
    if limit is None:
        return f"Your plan, {creator.plan.name}, allows any number of active keys."
    allowed = "1 active key" if limit == 1 else f"{limit} active keys"
    room = "you have none" if active == 0 else f"you have {active}"
    return f"Your plan, {creator.plan.name}, allows {allowed}; {room}."


# --- Lines to paste -----------------------------------------------------------------------------------


def curl_of(kind: str, base_url: str, *, at: datetime, currency: str = "USD") -> str:
    """A line for a terminal that records a first sponsor, subscription or tip, or reads the stats.

    `kind` is sponsors, subscriptions, tips or stats, `base_url` this service's address; the key is for the
    reader to put in. Pasted twice it records once: it names a Stripe id or has an Idempotency-Key.
    """
    address = shlex.quote(f"{base_url}/mail/v1/monetization/{PATHS[kind]}")
    bearer = '-H "Authorization: Bearer YOUR_KEY"'
    if kind == "stats":
        return f"curl {bearer} \\\n  {address}"
    body, key = _example(kind, at, currency)
    headers = [
        bearer,
        '-H "Content-Type: application/json"',
        *([f'-H "Idempotency-Key: {key}"'] if key else []),
    ]
    return " \\\n  ".join([f"curl -X POST {address}", *headers, f"-d {shlex.quote(json.dumps(body))}"])


PATHS = {"sponsors": "sponsors", "subscriptions": "subscriptions", "tips": "tip", "stats": "stats"}


def _example(kind: str, at: datetime, currency: str) -> tuple[dict[str, object], str]:
    """What to record, and the key to record it by where it names no Stripe id."""
    if kind == "tips":
        return {
            "amount_cents": 500,
            "currency": currency,
            "name": "Alex",
            "message": "Love your weekly deep-dives",
            "stripe_payment_id": "pi_3OaBcDeFgHiJkL",
        }, ""
    step = money.step_of(currency)
    if kind == "subscriptions":
        return {
            "subscriber_email": "reader@example.com",
            "plan": "monthly",
            "amount_cents": 799 // step * step,
            "currency": currency,
            "stripe_subscription_id": "sub_1OaBcDeFgHiJkL",
        }, ""
    begins = (at.astimezone(UTC) + 7 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "sponsor_name": "Acme Corp",
        "logo_url": "https://cdn.example.com/acme-logo.png",
        "target_url": "https://acme.example.com",
        "position": "header",
        "active_from": f"{begins:%Y-%m-%dT%H:%M:%SZ}",
        "active_until": f"{begins + 7 * DAY:%Y-%m-%dT%H:%M:%SZ}",
        "price_cents": 29900,
        "currency": currency,
    }, f"acme-header-{begins:%Y-%m-%d}"
