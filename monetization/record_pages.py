"""What the pages of one sponsor, one subscription and one tip say, and what a change would do beforehand.

Nothing here writes. Days and times are UTC; amounts come as text.
"""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, datetime
from urllib.parse import quote

from accounts.models import User
from accounts.outbox import one_line
from foundation import money, words
from foundation.words import NONE, moment
from monetization import fees, stats, subscriptions
from monetization.changes import mrr_moved
from monetization.list_pages import Tag, monthly_of, status_tag
from monetization.models import NAME_LENGTH, Refund, Sponsor, Subscription, SubscriptionEvent, Tip
from monetization.stand_ins import is_erased
from monetization.tips import RefundPreview

# A placement's fields as a page names them, in the order in which they are read.
SPONSOR_WORDS = {
    "sponsor_name": "Sponsor",
    "position": "Position",
    "active_from": "From, UTC",
    "active_until": "End, UTC",
    "target_url": "Target address",
    "logo_url": "Logo address",
    "price_cents": "Price",
    "currency": "Currency",
}
Status = Subscription.Status
Interval = Subscription.Interval


@dataclass(frozen=True)
class Fact:
    """A name and a value, as text."""

    name: str
    value: str


# --- Sponsors ---------------------------------------------------------------------------------------


def sponsor_facts(sponsor: Sponsor, *, but: frozenset[str] = frozenset()) -> list[Fact]:
    """A placement field by field, without those a form beside it has."""
    price = (
        money.amount(sponsor.price_cents, sponsor.currency)
        if sponsor.price_cents is not None
        else "none recorded"
    )
    values = {
        "sponsor_name": sponsor.sponsor_name,
        "position": sponsor.get_position_display(),
        "active_from": moment(sponsor.active_from),
        "active_until": words.end_words(sponsor.active_until),
        "target_url": sponsor.target_url,
        "logo_url": sponsor.logo_url,
        "price_cents": price,
    }
    return [Fact(SPONSOR_WORDS[name], value) for name, value in values.items() if name not in but]


def in_next_month(sponsor: Sponsor, *, at: datetime) -> tuple[datetime, datetime]:
    """The same days of the next month in which they are still to come: for the placement to be sold again.

    A day that a month lacks becomes its last; a period that would vanish by that keeps its length.
    """
    months = 1
    while _months_later(sponsor.active_from, months) <= at:
        months += 1
    begins, ends = (_months_later(each, months) for each in (sponsor.active_from, sponsor.active_until))
    return begins, ends if ends > begins else begins + (sponsor.active_until - sponsor.active_from)


def _months_later(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    year = min(moment.year + years, MAXYEAR)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


# --- Subscriptions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventRow:
    """One change of a subscription. `recorded_at` is there only where it was recorded on another day."""

    kind: str
    at: datetime
    recorded_at: datetime | None
    plan: str
    amount: str
    status: Tag
    effect: str


@dataclass(frozen=True)
class Planned:
    """What a change would make of a subscription: each thing before and after, and what MRR does."""

    lines: list[tuple[str, str, str]]
    effect: str


def subscription_facts(subscription: Subscription) -> list[Fact]:
    """What is known of a subscription; its reader is above."""
    return [
        Fact("Plan", subscription.plan),
        Fact("Billing interval", subscription.get_interval_display()),
        Fact("Price", money.amount(subscription.amount_cents, subscription.currency)),
        Fact("Monthly value", _monthly_words(subscription)),
        Fact("Since", moment(subscription.created_at)),
        Fact("Stripe id", subscription.stripe_subscription_id or "none"),
    ]


def _monthly_words(subscription: Subscription) -> str:
    if subscription.status == Status.CANCELLED:
        return "none, it is cancelled"
    if subscription.interval == Interval.UNKNOWN:
        return "not known: the plan's name tells no billing interval, so it is not in MRR"
    return monthly_of(subscription)


def event_rows(events: Sequence[SubscriptionEvent]) -> list[EventRow]:
    """How a subscription came to be as it is."""
    return [
        EventRow(
            kind=event.get_kind_display(),
            at=event.occurred_at,
            recorded_at=event.created_at if event.created_at.date() != event.occurred_at.date() else None,
            plan=event.plan,
            amount=money.amount(event.amount_cents, event.currency),
            status=status_tag(event.status),
            effect=effect(event.yearly_cents_delta, event.currency),
        )
        for event in events
    ]


def effect(yearly_cents: int, currency: str) -> str:
    """What a change of the yearly income does to MRR, rounded half away from zero; a dash for nothing.

    >>> effect(9588, "USD"), effect(-9588, "USD"), effect(0, "USD")
    ('+7.99 USD', '−7.99 USD', '–')
    """
    if yearly_cents == 0:
        return NONE
    return f"{'+' if yearly_cents > 0 else ''}{money.amount(mrr_moved(yearly_cents), currency)}"


def planned(subscription: Subscription, *, status: str, plan: str, amount_cents: int) -> Planned:
    """What `subscriptions.change` would do with these; without lines where it would do nothing."""
    currency = subscription.currency
    interval = subscription.interval if plan == subscription.plan else subscriptions.interval_of(plan)
    yearly = subscriptions.yearly_cents(status=status, interval=interval, amount_cents=amount_cents)
    lines = [
        ("Status", status_tag(subscription.status).word, status_tag(status).word),
        ("Plan", subscription.plan, plan),
        ("Billing interval", subscription.get_interval_display(), Interval(interval).label),
        (
            "Price",
            money.amount(subscription.amount_cents, currency),
            money.amount(amount_cents, currency),
        ),
    ]
    return Planned(
        lines=[line for line in lines if line[1] != line[2]],
        effect=_effect_words(subscription, status, interval, yearly),
    )


def _effect_words(subscription: Subscription, status: str, interval: str, yearly: int) -> str:
    currency, delta = subscription.currency, yearly - subscription.yearly_cents
    if delta:
        sentence = f"MRR changes by {effect(delta, currency)}."
    else:
        sentence = "MRR stays as it is."
    if status == Status.PAST_DUE and yearly:
        at_risk = money.amount(stats.mrr_of(yearly), currency)
        sentence += f" {at_risk} of it is at risk: a past-due subscription counts until it is cancelled."
    elif status != Status.CANCELLED and interval == Interval.UNKNOWN:
        sentence += " The plan's name tells no billing interval, so this subscription is not in MRR."
    return sentence


# --- Tips -------------------------------------------------------------------------------------------


def tip_facts(tip: Tip) -> list[Fact]:
    """What a tip was worth, and what became of it."""
    facts = [
        Fact("Paid", money.amount(tip.gross_cents, tip.currency)),
        Fact(f"Platform fee, {fees.percent(tip.fee_bps)}", money.amount(tip.fee_cents, tip.currency)),
        Fact("Net of platform fee", money.amount(tip.net_cents, tip.currency)),
    ]
    if tip.refunded_cents:
        facts += [
            Fact("Refunded so far", money.amount(tip.refunded_cents, tip.currency)),
            Fact("Fee returned with it", money.amount(tip.fee_returned_cents, tip.currency)),
            Fact("Left for you", money.amount(tip.net_after_refunds_cents, tip.currency)),
        ]
    return facts


@dataclass(frozen=True)
class RefundRow:
    """A refund of a tip."""

    at: datetime
    amount: str
    given_by_creator: str
    fee_returned: str


def refund_rows(refunds: Sequence[Refund]) -> list[RefundRow]:
    """A tip's refunds."""
    return [
        RefundRow(
            at=refund.created_at,
            amount=money.amount(refund.amount_cents, refund.currency),
            given_by_creator=money.amount(refund.amount_cents - refund.fee_returned_cents, refund.currency),
            fee_returned=money.amount(refund.fee_returned_cents, refund.currency),
        )
        for refund in refunds
    ]


def refund_sentences(preview: RefundPreview) -> list[Fact]:
    """Who gets what by a refund."""
    return [
        Fact("The reader gets", money.amount(preview.reader_gets_cents, preview.currency)),
        Fact("You give back", money.amount(preview.creator_gives_cents, preview.currency)),
        Fact("Fee returned", money.amount(preview.fee_returned_cents, preview.currency)),
    ]


def thanks_url(tip: Tip, creator: User) -> str:
    """A mailto address that begins a mail of thanks; empty where there is nobody to write to.

    Every word in it is percent-encoded, so that none can add a recipient or a header (RFC 6068).
    """
    if not tip.email or is_erased(tip.email):
        return ""
    name = one_line(tip.name, NAME_LENGTH)
    greeting = f"Hi {name}," if name else "Hi,"
    signature = one_line(creator.name, NAME_LENGTH)
    amount = money.amount(tip.gross_cents, tip.currency)
    body = f"{greeting}\r\n\r\nthank you for your tip of {amount}.\r\n" + (
        f"\r\n{signature}\r\n" if signature else ""
    )
    query = f"subject={quote('Thank you for your tip', safe='')}&body={quote(body, safe='')}"
    return f"mailto:{quote(tip.email, safe='@')}?{query}"


def refund_key(seen_cents: int) -> str:
    """The key of the refund that goes on from so much refunded already: there is one such refund."""
    return f"dashboard:{seen_cents}"
