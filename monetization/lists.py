"""A creator's lists: what they are narrowed to, page by page and as a file, and what a filter adds up to.

A page and its CSV file take the same filter, so both show the same rows in the same order. Days are UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, Generic, TypeVar

from django.db.models import Count, Model, Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import User
from foundation import money
from foundation.http.cursors import cursor_at, row_id_of
from foundation.spreadsheets import Cell
from monetization.errors import InvalidCursor
from monetization.models import Sponsor, Subscription, Tip
from monetization.querysets import SponsorQuerySet, SubscriptionQuerySet, TipQuerySet

Row = TypeVar("Row", bound=Model)

PAGE_DEFAULT = 50
PAGE_MAX = 1000


# --- Filters ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TipFilter:
    """Which of a creator's tips; the default is all.

    Both days are UTC and included; None leaves that end open. `min_cents` is in the smallest unit of whatever
    currency a tip has, so it says little without `currency`. `with_message` and `refunded` (wholly or in
    part) are either way when None; a hidden message is a message. `without_stripe_id` is those that name no
    payment at Stripe. `search` is an e-mail address or its
    beginning, the beginning of a name (both in any case), or a whole Stripe or tip id.
    """

    first_day: date | None = None
    last_day: date | None = None
    currency: str = ""
    min_cents: int | None = None
    with_message: bool | None = None
    refunded: bool | None = None
    without_stripe_id: bool = False
    search: str = ""

    def apply(self, creator: User) -> TipQuerySet:
        """The creator's tips of this filter, newest first."""
        tips = Tip.objects.visible_to(creator).order_by("-created_at", "-pk")
        if self.first_day:
            tips = tips.filter(created_at__gte=datetime.combine(self.first_day, time.min, UTC))
        if self.last_day:  # To its last microsecond; the day after the last of all days is none.
            tips = tips.filter(created_at__lte=datetime.combine(self.last_day, time.max, UTC))
        if self.currency:
            tips = tips.filter(currency=self.currency)
        if self.min_cents is not None:
            tips = tips.filter(gross_cents__gte=self.min_cents)
        if self.with_message is not None:
            tips = tips.exclude(message="") if self.with_message else tips.filter(message="")
        if self.refunded is not None:
            tips = tips.filter(refunded_cents__gt=0) if self.refunded else tips.filter(refunded_cents=0)
        if self.without_stripe_id:
            tips = tips.filter(stripe_payment_id=None)
        if self.search:
            tips = _found(tips, self.search, whole=("stripe_payment_id", "id"), beginning=("reader", "name"))
        return tips


@dataclass(frozen=True)
class SubscriptionFilter:
    """Which of a creator's subscriptions; the default is all.

    `status` is active, past_due or cancelled. `interval_unknown` is those that pay and are in no MRR, since
    their plan's name tells no billing interval. `search` is an e-mail address or its beginning, in any case,
    or a whole Stripe or subscription id.
    """

    status: str = ""
    interval_unknown: bool = False
    currency: str = ""
    search: str = ""

    def apply(self, creator: User) -> SubscriptionQuerySet:
        """The creator's subscriptions of this filter, newest first."""
        subscriptions = Subscription.objects.visible_to(creator).order_by("-created_at", "-pk")
        if self.status:
            subscriptions = subscriptions.filter(status=self.status)
        if self.interval_unknown:
            subscriptions = subscriptions.paying().filter(interval=Subscription.Interval.UNKNOWN)
        if self.currency:
            subscriptions = subscriptions.filter(currency=self.currency)
        if self.search:
            subscriptions = _found(
                subscriptions, self.search, whole=("stripe_subscription_id", "id"), beginning=("reader",)
            )
        return subscriptions


@dataclass(frozen=True)
class SponsorFilter:
    """Which of a creator's placements; the default is all.

    `state` is upcoming, active, ended or cancelled, by the clock at `at` (now, if not said).
    """

    state: str = ""
    position: str = ""
    at: datetime = field(default_factory=lambda: timezone.now())

    def apply(self, creator: User) -> SponsorQuerySet:
        """The creator's placements of this filter: what is to come soonest first, all others latest first."""
        placements = Sponsor.objects.visible_to(creator)
        if self.position:
            placements = placements.filter(position=self.position)
        if self.state:
            placements = placements.in_state(self.state, self.at)
        if self.state == Sponsor.State.UPCOMING:
            return placements.order_by("active_from", "pk")
        return placements.order_by("-active_from", "-pk")


def _found(rows: Any, search: str, *, whole: tuple[str, ...], beginning: tuple[str, ...]) -> Any:
    """The rows where a field is what is searched for, or begins with it in any case."""
    if "\0" in search:  # PostgreSQL takes none, so no text holds one.
        return rows.none()
    which = Q()
    for name in whole:
        which |= Q(**{name: search})
    for name in beginning:
        # An address is kept in lower case for this; a name as the reader wrote it.
        which |= (
            Q(reader__startswith=search.lower())
            if name == "reader"
            else Q(**{f"{name}__istartswith": search})
        )
    return rows.filter(which)


# --- Pages ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and where the next page begins; None after the last."""

    rows: list[Row]
    next_cursor: str | None


def page_of(queryset: QuerySet[Row], *, limit: int = PAGE_DEFAULT, cursor: str | None = None) -> Page[Row]:
    """Up to `limit` rows (1 to 1000) of a filter's queryset that come after the cursor.

    A row that changes or leaves the list does not invalidate the cursors that came after it. Raises
    InvalidCursor.
    """
    assert 1 <= limit <= PAGE_MAX, "the edge has refused anything else"
    by = _order_of(queryset)
    if cursor is not None:
        queryset = queryset.filter(after(by, *_place_at(cursor)))
    found = list(queryset[: limit + 1])  # One more tells whether there is a next page.
    more, found = len(found) > limit, found[:limit]
    return Page(found, _cursor_after(found[-1], by) if more else None)


def every_row(queryset: QuerySet[Row]) -> Iterator[Row]:
    """Every row of a filter's queryset, in its order, for a file of any length.

    Read a thousand rows at a time, each by a query of its own: between them no cursor and no transaction
    is held, however slowly the caller goes on.
    """
    cursor: str | None = None
    while True:
        page = page_of(queryset, limit=PAGE_MAX, cursor=cursor)
        yield from page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


def after(by: str, moment: datetime, row_id: str) -> Q:
    """What comes after a place in a list ordered by a moment, equal ones by id; a minus for newest first.

    Written so that PostgreSQL begins to read an index at that place, and not at the list's first row.
    """
    field, beyond = by.removeprefix("-"), "lt" if by.startswith("-") else "gt"
    from_there = Q(**{f"{field}__{beyond}e": moment})
    return from_there & (Q(**{f"{field}__{beyond}": moment}) | Q(**{f"pk__{beyond}": row_id}))


def _order_of(queryset: QuerySet[Any]) -> str:
    by, tie = (str(each) for each in queryset.query.order_by)
    assert tie == ("-pk" if by.startswith("-") else "pk"), "a filter's own order"
    return by


def _cursor_after(row: Model, by: str) -> str:
    # The place itself, not the row that was there: a tip that is refunded leaves the list of the others.
    moment: datetime = getattr(row, by.removeprefix("-"))
    return cursor_at(f"{moment.astimezone(UTC).isoformat()}/{row.pk}")


def _place_at(cursor: str) -> tuple[datetime, str]:
    text, _, row_id = (row_id_of(cursor) or "").partition("/")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not row_id:
            raise InvalidCursor
        return moment.astimezone(UTC), row_id
    except (ValueError, OverflowError):
        raise InvalidCursor from None


# --- Totals -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Totals:
    """What some tips of one currency add up to, in its smallest unit.

    Refunds are those of these very tips, on whatever day they were made.
    """

    currency: str
    count: int
    gross_cents: int
    fee_cents: int
    net_cents: int
    refunded_cents: int
    fee_returned_cents: int

    @property
    def net_after_refunds_cents(self) -> int:
        """What stays with the creator."""
        return self.net_cents - (self.refunded_cents - self.fee_returned_cents)


def tip_totals(creator: User, filter: TipFilter) -> list[Totals]:
    """What the whole filter adds up to, per currency, the one with most tips first. One query."""
    sums = filter.apply(creator).order_by().values("currency")
    found = sums.annotate(
        count=Count("pk"),
        gross_cents=Sum("gross_cents"),
        fee_cents=Sum("fee_cents"),
        net_cents=Sum("net_cents"),
        refunded_cents=Sum("refunded_cents"),
        fee_returned_cents=Sum("fee_returned_cents"),
    )
    return [Totals(**row) for row in found.order_by("-count", "currency")]


# --- Files ------------------------------------------------------------------------------------------

TIP_CSV_HEADER = (
    "tip_id",
    "created_at",
    "name",
    "email",
    "currency",
    "gross_cents",
    "gross",
    "fee_bps",
    "fee_cents",
    "fee",
    "net_cents",
    "net",
    "refunded_cents",
    "refunded",
    "fee_returned_cents",
    "fee_returned",
    "message",
    "stripe_payment_id",
)
SUBSCRIPTION_CSV_HEADER = (
    "subscription_id",
    "created_at",
    "subscriber_email",
    "plan",
    "interval",
    "status",
    "status_at",
    "currency",
    "amount_cents",
    "amount",
    "yearly_cents",
    "yearly",
    "stripe_subscription_id",
)
SPONSOR_CSV_HEADER = (
    "sponsor_id",
    "created_at",
    "sponsor_name",
    "position",
    "state",
    "active_from",
    "active_until",
    "cancelled_at",
    "currency",
    "price_cents",
    "price",
    "target_url",
    "logo_url",
)


def tip_csv_row(tip: Tip) -> list[Cell]:
    """A tip under TIP_CSV_HEADER; a hidden message is empty."""
    return [
        tip.pk,
        _moment(tip.created_at),
        tip.name,
        tip.email,
        tip.currency,
        *_amount(tip.gross_cents, tip.currency),
        tip.fee_bps,
        *_amount(tip.fee_cents, tip.currency),
        *_amount(tip.net_cents, tip.currency),
        *_amount(tip.refunded_cents, tip.currency),
        *_amount(tip.fee_returned_cents, tip.currency),
        tip.shown_message,
        tip.stripe_payment_id,
    ]


def subscription_csv_row(subscription: Subscription) -> list[Cell]:
    """A subscription under SUBSCRIPTION_CSV_HEADER; its yearly income is empty where not known."""
    is_known = subscription.interval != Subscription.Interval.UNKNOWN
    return [
        subscription.pk,
        _moment(subscription.created_at),
        subscription.subscriber_email,
        subscription.plan,
        subscription.interval,
        subscription.status,
        _moment(subscription.status_at),
        subscription.currency,
        *_amount(subscription.amount_cents, subscription.currency),
        *_amount(subscription.yearly_cents if is_known else None, subscription.currency),
        subscription.stripe_subscription_id,
    ]


def sponsor_csv_row(sponsor: Sponsor, *, at: datetime) -> list[Cell]:
    """A placement under SPONSOR_CSV_HEADER, with its state at that moment."""
    return [
        sponsor.pk,
        _moment(sponsor.created_at),
        sponsor.sponsor_name,
        sponsor.position,
        sponsor.state_at(at),
        _moment(sponsor.active_from),
        _moment(sponsor.active_until),
        _moment(sponsor.cancelled_at),
        sponsor.currency,
        *_amount(sponsor.price_cents, sponsor.currency),
        sponsor.target_url,
        sponsor.logo_url,
    ]


def _moment(at: datetime | None) -> str:
    """A moment in UTC, ISO 8601, whole seconds; empty for none."""
    # strftime would write the year 999 with three digits.
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z" if at else ""


def _amount(smallest_units: int | None, currency: str) -> tuple[Cell, Cell]:
    """An amount, never negative, in the smallest unit and as plain decimal text; both empty for none."""
    if smallest_units is None:
        return None, None
    return smallest_units, money.decimal_text(smallest_units, currency)
