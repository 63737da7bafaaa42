"""The newest tips, the top supporters, the last changes: a line each."""

from dataclasses import dataclass
from datetime import UTC, datetime

from accounts.models import User
from foundation import money
from foundation.money import figure
from foundation.words import NAME_SHOWN, shortened
from monetization.figures import changes
from monetization.figures.changes import Change
from monetization.figures.supporters import Supporter
from monetization.models import Subscription, Tip
from monetization.templatetags.records import giver, shown_email

ROWS_MAX = 5  # Of each list.
MESSAGE_SHOWN = 80


# --- Lists ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TipLine:
    """A tip as a line; the message is cut, and empty where the creator hid it."""

    id: str
    at: datetime
    name: str
    gross: str
    fee: str
    net: str
    refunded: str
    message: str


@dataclass(frozen=True)
class SupporterLine:
    """A supporter as a line, for the creator's eyes alone, so with the whole address.

    `email` is where to write to, empty where there is nowhere; `shown_email` is it where the label is a name.
    """

    label: str
    shown_email: str
    email: str
    tips: str
    total: str


@dataclass(frozen=True)
class ChangeLine:
    """A change of a subscription as a line; `tone` is that of its tag."""

    at: datetime
    label: str
    tone: str
    who: str  # The reader's whole address; "Erased reader" after an erasure.
    plan: str
    mrr: str
    subscription_id: str


TONES = {
    "created": "good",
    "reactivated": "good",
    "past_due": "warn",
    "cancelled": "plain",
    "changed": "accent",
}


def newest_tips(creator: User, currency: str) -> list[Tip]:
    """The last few tips of a currency, the newest first."""
    tips = Tip.objects.visible_to(creator).filter(currency=currency)
    return list(tips.order_by("-created_at", "-pk")[:ROWS_MAX])


def tip_line(tip: Tip) -> TipLine:
    """One of them as a line."""
    return TipLine(
        id=tip.pk,
        at=tip.created_at.astimezone(UTC),
        name=shortened(giver(tip), NAME_SHOWN),
        gross=figure(tip.gross_cents, tip.currency),
        fee=figure(tip.fee_cents, tip.currency),
        net=figure(tip.net_cents, tip.currency),
        refunded=figure(tip.refunded_cents, tip.currency) if tip.refunded_cents else "",
        message=shortened(tip.shown_message, MESSAGE_SHOWN),
    )


def supporter_line(one: Supporter, currency: str) -> SupporterLine:
    """A supporter as a line; where the address is what to call them, it isn't said twice."""
    label = one.name or one.email or one.label
    return SupporterLine(
        shortened(label, NAME_SHOWN),
        one.email if one.name else "",
        one.email,
        money.plain(one.tips),
        figure(one.total_cents, currency),
    )


def change_lines(creator: User, currency: str) -> list[ChangeLine]:
    """The last few changes of subscriptions, each with its reader's address."""
    found = changes.recent_changes(creator, currency)
    subscriptions = Subscription.objects.visible_to(creator).filter(
        pk__in=[each.subscription_id for each in found]
    )
    emails = dict(subscriptions.values_list("pk", "subscriber_email"))
    return [change_line(each, shown_email(emails[each.subscription_id]), currency) for each in found]


def change_line(change: Change, who: str, currency: str) -> ChangeLine:
    """A change as a line, its effect on MRR with a sign."""
    sign = "+" if change.mrr_cents > 0 else ""
    return ChangeLine(
        at=change.at.astimezone(UTC),
        label=change.label,
        tone=TONES.get(change.kind, "plain"),
        who=shortened(who, NAME_SHOWN),
        plan=shortened(change.plan, NAME_SHOWN),
        mrr=f"{sign}{figure(change.mrr_cents, currency)}",
        subscription_id=change.subscription_id,
    )
