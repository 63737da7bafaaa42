"""What the page of one user says of their credits and payments, ready for its template.

"Where did my credits go?" is answered here: the balance, what took it, every line behind it, and what came
in from Stripe. What the user owns besides is in records.py. Nothing here writes. Each part is read
by an index that begins with the user, and holds a number of rows that does not grow with their history.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db import models
from django.utils.dateformat import format as in_words

from accounts import actors
from accounts.models import User
from backoffice.overview import links
from foundation import calendar, money
from wallet.books import ledger
from wallet.history import products, spending
from wallet.models import Entry, StripeEvent, TopUp, Wallet
from wallet.pages import chart, tables
from wallet.payments import stripe_gateway

ENTRIES_SHOWN = 25
TOPUPS_SHOWN = 10
EVENTS_SHOWN = 50
TROUBLE_SHOWN = 10
SPENDING_ROWS_MAX = 12

# How a state is coloured; the word for it is the model's own.
TOPUP_TONES = {"paid": "good", "pending": "warn", "failed": "bad"}
# Of these something may be left to do; an event that is done with is acted on from its own page.
OPEN_STATES = (StripeEvent.State.PARKED, StripeEvent.State.WAITING)
EVENT_TONES = {"handled": "good", "parked": "bad", "resolved": "accent", "waiting": "warn"}


@dataclass(frozen=True)
class Action:
    """Something that this member of staff may do to a row, and the page for it."""

    label: str
    url: str


ActionsOn = Callable[[models.Model], list[Action]]


@dataclass(frozen=True)
class Tag:
    """A state in a word or two; `tone` is good, bad, warn, accent, or "" for a plain one."""

    word: str
    tone: str = ""


# --- Who it is --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """Who it is. `since` is when anything was first known of them: the sign-in, or the first credits."""

    user_id: str
    name: str
    email: str
    plan: str
    tags: list[Tag]
    since: datetime | None
    last_login: datetime | None
    has_signed_in: bool


def head_of(user_id: str, user: User | None, wallet: Wallet | None) -> Head:
    """The head of the page; neither row need be there."""
    moments = [row.created_at for row in (user, wallet) if row]
    return Head(
        user_id=user_id,
        name=user.name if user else "",
        email=user.email if user else "",
        plan=user.plan.name if user else "",
        tags=_tags_of(user, wallet),
        since=min(moments, default=None),
        last_login=user.last_login if user else None,
        has_signed_in=user is not None,
    )


def _tags_of(user: User | None, wallet: Wallet | None) -> list[Tag]:
    tags = []
    if user and user.is_staff:
        tags.append(Tag("Staff", "accent"))
    if user and not user.is_active:
        tags.append(Tag("May not sign in", "bad"))
    if wallet and wallet.balance < 0:
        tags.append(Tag("Owes", "bad"))
    return tags


# --- The balance, and where the credits went --------------------------------------------------------


@dataclass(frozen=True)
class Balance:
    """The hero of the page, in credits; `entries` is how many lines are behind it."""

    figure: str
    unit: str
    owes: bool
    entries: str


def balance_of(wallet: Wallet | None) -> Balance:
    """What there is now; 0 where there is no wallet yet."""
    balance, count = (wallet.balance, wallet.entries_count) if wallet else (0, 0)
    return Balance(
        figure=money.plain(balance),
        unit=money.unit(balance),
        owes=balance < 0,
        entries=f"{count:,} {'entry' if count == 1 else 'entries'}",
    )


@dataclass(frozen=True)
class SpendingRow:
    """One feature of one product, or all that did not fit; figures are credits as text."""

    label: str
    feature: str
    product: str
    this_month: str
    last_month: str


@dataclass(frozen=True)
class Spending:
    """What charges took in the running month and the one before, less what was given back of them.

    The addresses lead to all entries that were written in each of the months.
    """

    this_month: str
    last_month: str
    this_url: str
    last_url: str
    rows: list[SpendingRow]
    this_total: str
    last_total: str


def spending_of(user_id: str) -> Spending:
    """By product and feature, the most credits of both months first; the smallest together in one row."""
    today = chart.today()
    first = today.replace(day=1)
    end_before = first - timedelta(days=1)
    this = spending.by_feature(user_id=user_id, first_day=first, last_day=today)
    last = spending.by_feature(user_id=user_id, first_day=end_before.replace(day=1), last_day=end_before)
    labels = {(each.product, each.feature): each.label for each in last + this}
    spent_this, spent_last = (
        {(each.product, each.feature): each.credits for each in month} for month in (this, last)
    )

    def row(label: str, *whats: tuple[str, str], product: str = "", feature: str = "") -> SpendingRow:
        sums = [sum(month.get(what, 0) for what in whats) for month in (spent_this, spent_last)]
        return SpendingRow(
            label, feature, products.name_of(product), money.plain(sums[0]), money.plain(sums[1])
        )

    most_first = sorted(labels, key=lambda what: -spent_this.get(what, 0) - spent_last.get(what, 0))
    shown, rest = most_first[:SPENDING_ROWS_MAX], most_first[SPENDING_ROWS_MAX:]
    rows = [row(labels[what], what, product=what[0], feature=what[1]) for what in shown]
    if rest:
        rows.append(row(f"{len(rest):,} more", *rest))
    return Spending(
        this_month=_month_of(first),
        last_month=_month_of(end_before),
        this_url=_entries_of(user_id, first, today),
        last_url=_entries_of(user_id, end_before.replace(day=1), end_before),
        rows=rows,
        this_total=money.plain(sum(spent_this.values())),
        last_total=money.plain(sum(spent_last.values())),
    )


def _entries_of(user_id: str, first_day: date, last_day: date) -> str:
    days = links.within(calendar.start_of(first_day), calendar.end_of(last_day))
    return links.rows(Entry, wallet__user_id__exact=user_id, **days)


def _month_of(day: date) -> str:
    return in_words(day, "F")


@dataclass(frozen=True)
class EntryRow:
    """A line of the ledger with what staff need besides: who caused it, and why."""

    id: str
    at: datetime
    what: str
    feature: str
    product: str
    credits: str
    adds: bool
    balance_after: str
    owes: bool
    who: str
    reason: str
    is_found: bool


def entries_of(user_id: str, *, found: str = "") -> list[EntryRow]:
    """The newest 25 entries, newest first; the one that a search led to is marked."""
    labels = tables.labels_of_features()
    return [
        EntryRow(
            id=entry.pk,
            at=entry.created_at,
            what=tables.what_happened(entry, labels),
            feature=entry.feature,
            product=products.name_of(entry.product),
            credits=money.signed(entry.credits),
            adds=entry.credits > 0,
            balance_after=money.plain(entry.balance_after),
            owes=entry.balance_after < 0,
            who=actors.name_of(entry.actor),
            reason=entry.reason,
            is_found=entry.pk == found,
        )
        for entry in Entry.objects.of_user(user_id)[:ENTRIES_SHOWN]
    ]


# --- Payments ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventRow:
    """What Stripe said, and what came of it; `dashboard_url` as with a top-up."""

    id: str
    type: str
    at: datetime
    state: Tag
    remark: str
    payment_intent_id: str
    dashboard_url: str
    actions: list[Action]
    is_found: bool


@dataclass(frozen=True)
class TopUpRow:
    """A top-up with its side at Stripe; `dashboard_url` is its payment there, "" where there is none."""

    id: str
    at: datetime
    paid_at: datetime | None
    product: str
    state: Tag
    asked: str
    paid: str
    remark: str
    session_id: str
    payment_intent_id: str
    dashboard_url: str
    entry_id: str
    actions: list[Action]
    is_found: bool
    events: list[EventRow] = field(default_factory=list)


def topups_of(user_id: str, *, with_events: bool, actions_on: ActionsOn, found: str = "") -> list[TopUpRow]:
    """The newest 10 top-ups, newest first, each with what Stripe said of its Checkout Session."""
    topups = list(TopUp.objects.of_user(user_id)[:TOPUPS_SHOWN])
    sessions = [topup.stripe_session_id for topup in topups if topup.stripe_session_id]
    events = _events_of(sessions, actions_on, found) if with_events and sessions else {}
    return [
        TopUpRow(
            id=topup.pk,
            at=topup.created_at,
            paid_at=topup.paid_at,
            product=products.name_of(topup.product),
            state=_state_of_topup(topup, events.get(topup.stripe_session_id or "", [])),
            asked=_dollars(topup.amount_cents),
            paid=_dollars(topup.paid_cents),
            remark=topup.remark,
            session_id=topup.stripe_session_id or "",
            payment_intent_id=topup.payment_intent_id,
            dashboard_url=stripe_gateway.page_of_payment(topup.payment_intent_id, live=topup.livemode),
            entry_id=topup.entry_id or "",
            actions=actions_on(topup),
            is_found=topup.pk == found,
            events=events.get(topup.stripe_session_id or "", []),
        )
        for topup in topups
    ]


def trouble_of(user_id: str, *, actions_on: ActionsOn, found: str = "") -> list[EventRow]:
    """Events that name the user and have not come to their effect, newest first, at most 10."""
    open_ones = StripeEvent.objects.filter(user_id=user_id, state__in=OPEN_STATES)
    newest = open_ones.defer("payload", "traceback").order_by("-received_at")[:TROUBLE_SHOWN]
    return _event_rows(newest, actions_on, found)


def _events_of(sessions: list[str], actions_on: ActionsOn, found: str) -> dict[str, list[EventRow]]:
    events = (
        StripeEvent.objects.exclude(stripe_session_id="")  # As the index has it.
        .filter(stripe_session_id__in=sessions)
        .defer("payload", "traceback")
        .order_by("received_at")[:EVENTS_SHOWN]
    )
    by_session: dict[str, list[StripeEvent]] = {}
    for event in events:
        by_session.setdefault(event.stripe_session_id, []).append(event)
    return {session: _event_rows(told, actions_on, found) for session, told in by_session.items()}


def _event_rows(events: Iterable[StripeEvent], actions_on: ActionsOn, found: str) -> list[EventRow]:
    return [
        EventRow(
            id=event.pk,
            type=event.type,
            at=event.received_at,
            state=_state_of(event),
            remark=event.remark,
            payment_intent_id=event.payment_intent_id,
            dashboard_url=stripe_gateway.page_of_payment(event.payment_intent_id),
            actions=actions_on(event) if event.state in OPEN_STATES else [],
            is_found=event.pk == found,
        )
        for event in events
    ]


def _state_of_topup(topup: TopUp, events: list[EventRow]) -> Tag:
    """Its state; or that a word of Stripe's about it is parked: "waiting for payment" would mislead then."""
    parked = _tag_of(StripeEvent.State.PARKED)
    if topup.state != TopUp.State.PAID and any(event.state == parked for event in events):
        return parked
    return Tag(topup.get_state_display(), TOPUP_TONES.get(topup.state, ""))


def _tag_of(state: StripeEvent.State) -> Tag:
    return Tag(str(state.label), EVENT_TONES.get(state, ""))


def _state_of(event: StripeEvent) -> Tag:
    if event.state == StripeEvent.State.WAITING and event.tries:
        return Tag(f"Failed {event.tries} {'time' if event.tries == 1 else 'times'}", "bad")
    return _tag_of(StripeEvent.State(event.state))


def _dollars(cents: int | None) -> str:
    return "" if cents is None else money.dollars(cents)


def wallet_of(user_id: str) -> tuple[Wallet | None, Wallet]:
    """The user's wallet, if there is one; and the same or the one that there would be, to act on."""
    wallet = Wallet.objects.filter(pk=user_id).first()
    return wallet, wallet or ledger.unopened(user_id)
