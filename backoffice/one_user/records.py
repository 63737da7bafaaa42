"""What the page of one user says of their keys, their income as a creator, their mail, and staff's acts.

Like credits.py: nothing here writes, and each part is read by an index that begins with the user.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Count, Q, Sum
from django.utils import timezone

from accounts import actors
from accounts.mail import outbox
from accounts.models import ApiKey, OutgoingMail, User
from backoffice.actions import acts
from backoffice.find.search import May
from backoffice.one_user.credits import Action, ActionsOn, Tag
from foundation import money
from monetization import fees
from monetization.models import Refund, Sponsor, Subscription, Tip

KEYS_SHOWN = 20
RECORDS_SHOWN = 5
MAILS_SHOWN = 5
ACTS_SHOWN = 20

MAIL_TONES = {"sent": "good", "failed": "bad", "waiting": "warn"}


# --- Keys -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyRow:
    """An API key, by the characters of it that are shown."""

    id: str
    name: str
    prefix: str
    scopes: str
    state: Tag
    created_at: datetime
    last_used_at: datetime | None
    actions: list[Action]
    is_found: bool


def keys_of(user_id: str, *, actions_on: ActionsOn, found: str = "") -> list[KeyRow]:
    """The newest 20 keys, newest first."""
    newest = ApiKey.objects.filter(owner_id=user_id).order_by("-created_at")[:KEYS_SHOWN]
    now = timezone.now()
    return [
        KeyRow(
            id=str(key.pk),
            name=key.name,
            prefix=key.prefix,
            scopes=", ".join(key.scopes),
            state=_state_of(key, now),
            created_at=key.created_at,
            last_used_at=key.last_used_at,
            actions=actions_on(key),
            is_found=key.prefix == found,
        )
        for key in newest
    ]


def _state_of(key: ApiKey, now: datetime) -> Tag:
    if key.revoked_at:
        return Tag("Revoked")
    return Tag("Active", "good") if key.is_usable(now) else Tag("Expired")


# --- What a creator recorded ------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """One kind of record in one currency: how many, and what they come to, in words.

    `list` is the name of the page that lists them.
    """

    what: str
    list: str
    currency: str
    count: str
    sum: str
    note: str


@dataclass(frozen=True)
class RecordRow:
    """A tip or a refund in the list of the newest."""

    id: str
    at: datetime
    amount: str
    note: str
    is_found: bool


@dataclass(frozen=True)
class Creator:
    """What a creator earns by; each part empty where there is none, or staff may not view it."""

    fee: str
    figures: list[Figure]
    tips: list[RecordRow]
    refunds: list[RecordRow]


def creator_of(user: User, *, may: May, found: str = "") -> Creator | None:
    """A creator's records in brief; None where there are none that may be viewed."""
    figures: list[Figure] = []
    tips: list[RecordRow] = []
    refunds: list[RecordRow] = []
    if may("monetization.view_tip"):
        figures += _tip_figures(user)
        tips = _tips_of(user, found)
    if may("monetization.view_subscription"):
        figures += _subscription_figures(user)
    if may("monetization.view_sponsor"):
        figures += _sponsor_figures(user)
    if tips and may("monetization.view_refund"):
        refunds = _refunds_of(user, found)
    if not figures:
        return None
    return Creator(fee=fees.percent(user.plan.fee_bps), figures=figures, tips=tips, refunds=refunds)


def _by_currency(records: models.QuerySet[Any], **sums: Any) -> Iterable[dict[str, Any]]:
    return records.order_by().values("currency").annotate(count=Count("pk"), **sums).order_by("currency")


def _tip_figures(user: User) -> list[Figure]:
    found = _by_currency(
        Tip.objects.visible_to(user),
        gross=Sum("gross_cents"),
        fee=Sum("fee_cents"),
        refunded=Sum("refunded_cents"),
    )
    return [
        Figure(
            what="Tips",
            list="admin:monetization_tip_changelist",
            currency=each["currency"],
            count=money.plain(each["count"]),
            sum=money.amount(each["gross"], each["currency"]),
            note=f"fees {money.figure(each['fee'], each['currency'])}, "
            f"refunded {money.figure(each['refunded'], each['currency'])}",
        )
        for each in found
    ]


def _subscription_figures(user: User) -> list[Figure]:
    paying = Q(status__in=["active", "past_due"])
    found = _by_currency(
        Subscription.objects.visible_to(user),
        paying=Count("pk", filter=paying),
        past_due=Count("pk", filter=Q(status="past_due")),
        yearly=Sum("yearly_cents"),
    )
    return [
        Figure(
            what="Subscriptions",
            list="admin:monetization_subscription_changelist",
            currency=each["currency"],
            count=money.plain(each["count"]),
            sum=f"{money.amount(each['yearly'], each['currency'])} a year",
            note=f"{each['paying']:,} paying, {each['past_due']:,} of them past due",
        )
        for each in found
    ]


def _sponsor_figures(user: User) -> list[Figure]:
    now = timezone.now()
    booked = Q(cancelled_at=None)
    found = _by_currency(
        Sponsor.objects.visible_to(user),
        booked=Sum("price_cents", filter=booked, default=0),
        running=Count("pk", filter=booked & Q(active_from__lte=now, active_until__gt=now)),
    )
    return [
        Figure(
            what="Placements",
            list="admin:monetization_sponsor_changelist",
            currency=each["currency"],
            count=money.plain(each["count"]),
            sum=f"{money.amount(each['booked'], each['currency'])} booked",
            note=f"{each['running']:,} running now",
        )
        for each in found
    ]


def _tips_of(user: User, found: str) -> list[RecordRow]:
    newest = Tip.objects.visible_to(user).order_by("-created_at", "-id")[:RECORDS_SHOWN]
    return [
        RecordRow(
            id=tip.pk,
            at=tip.created_at,
            amount=money.amount(tip.gross_cents, tip.currency),
            note=", ".join(part for part in (_from(tip), _refunded(tip)) if part),
            is_found=tip.pk == found,
        )
        for tip in newest
    ]


def _from(tip: Tip) -> str:
    return f"from {tip.name}" if tip.name else ""


def _refunded(tip: Tip) -> str:
    return f"{money.amount(tip.refunded_cents, tip.currency)} refunded" if tip.refunded_cents else ""


def _refunds_of(user: User, found: str) -> list[RecordRow]:
    newest = Refund.objects.filter(creator_id=user.pk).order_by("-created_at")[:RECORDS_SHOWN]
    return [
        RecordRow(
            id=refund.pk,
            at=refund.created_at,
            amount=money.amount(-refund.amount_cents, refund.currency),
            note=": ".join(part for part in (actors.name_of(refund.actor), refund.reason) if part),
            is_found=refund.pk == found,
        )
        for refund in newest
    ]


# --- Mail, and what staff did -----------------------------------------------------------------------


@dataclass(frozen=True)
class MailRow:
    """A mail of ours: which, and whether it went out; never what it says."""

    id: str
    at: datetime
    kind: str
    state: Tag


def mails_of(user_id: str) -> list[MailRow]:
    """The newest 5 mails to a user, newest first."""
    mails = OutgoingMail.objects.filter(user_id=user_id).only("kind", "state", "created_at")
    return [
        MailRow(
            id=str(mail.pk),
            at=mail.created_at,
            kind=outbox.KINDS[mail.kind].label if mail.kind in outbox.KINDS else mail.kind,
            state=Tag(mail.get_state_display(), MAIL_TONES.get(mail.state, "")),
        )
        for mail in mails.order_by("-created_at")[:MAILS_SHOWN]
    ]


@dataclass(frozen=True)
class ActRow:
    """What a member of staff did; `page` names the row's own, "" where it may not be seen."""

    at: datetime
    staff_id: str
    label: str
    told: str
    reason: str
    page: str
    row_id: str


def acts_of(user_id: str, *, may: May) -> list[ActRow]:
    """The newest 20 things that staff did in this user's affairs, newest first."""
    return [
        ActRow(
            at=act.created_at,
            staff_id=act.staff_id,
            label=act.label,
            told=act.told,
            reason=act.reason,
            page=_page_of(act.model) if may(act.model.replace(".", ".view_")) else "",
            row_id=act.row_id,
        )
        for act in acts.about_user(user_id)[:ACTS_SHOWN]
    ]


def _page_of(model: str) -> str:
    return f"admin:{model.replace('.', '_')}_change"
