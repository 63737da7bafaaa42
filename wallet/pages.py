"""What the wallet's pages say, ready for their templates: sentences, rows, and the points of the chart.

Nothing here writes. Credits come as text where they are shown, as numbers where the page draws them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.utils import timezone
from django.utils.dateformat import format as in_words

from foundation import money
from wallet import ledger, products, spending, statements, topups
from wallet.models import Entry, Rate, TopUp
from wallet.statements import DayBalance, MonthlyStatement

Kind = Entry.Kind
State = TopUp.State

# What a history can be narrowed to, in the words of somebody who looks for something. Every kind is in one.
KIND_GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "top-ups": ("Top-ups", (Kind.TOPUP,)),
    "charges": ("Charges", (Kind.DEDUCT, Kind.CAPTURE)),
    "given-back": ("Given back", (Kind.REFUND,)),
    "payments": ("Payments reversed", (Kind.CLAWBACK, Kind.REINSTATEMENT)),
    "others": ("Adjustments and grants", (Kind.ADJUSTMENT, Kind.GRANT, Kind.EXPIRY)),
}
KIND_NAMES: dict[str, str] = {
    Kind.TOPUP: "Top-up",
    Kind.DEDUCT: "Charge",
    Kind.REFUND: "Given back",
    Kind.ADJUSTMENT: "Adjustment by Misar",
    Kind.CLAWBACK: "Payment reversed",
    Kind.REINSTATEMENT: "Payment reinstated",
    Kind.GRANT: "Credits granted",
    Kind.EXPIRY: "Credits expired",
    Kind.CAPTURE: "Charge",
}
SPENDING_ROWS_MAX = 20
# How long after a payment the page still thanks for it: later, the address was kept or sent on.
NEWS_FOR = timedelta(hours=2)


# --- Days -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """Some days up to today: what they are called, how many, and how many days lie between two points."""

    name: str
    days: int
    step_days: int

    def first_day(self, today: date) -> date:
        """The first of the days; the last is today."""
        return today - timedelta(days=self.days - 1)


# A year of days would be a table of 365 rows; of weeks it can still be read.
RANGES = {"30d": Range("30 days", 30, 1), "90d": Range("90 days", 90, 1), "12m": Range("12 months", 365, 7)}
RANGE_DEFAULT = "30d"
# A day and a month as people write them, in the letters that the templates' `date` knows too.
DAY = "j F Y"
MONTH = "F Y"


def today() -> date:
    """The calendar day in UTC."""
    return timezone.now().astimezone(UTC).date()


def month_at(text: str) -> date | None:
    """The first day of a month written 2026-10; None for anything else, and for one that has not begun."""
    try:
        first_day = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    # strptime is lenient (2026-1), and an address has one spelling.
    if f"{first_day:%Y-%m}" != text or first_day > today() or first_day.year < 2000:
        return None
    return first_day


# --- The balance over time --------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """The balance at the end of a day."""

    day: date
    balance: str


@dataclass(frozen=True)
class Chart:
    """The balance over some days: its points, and what they tell in a sentence."""

    points: list[Point]
    sentence: str
    weekly: bool


def chart_of(user_id: str, shown: Range) -> Chart:
    """The balance at the end of each day, or each seventh day counted back from today."""
    last_day = today()
    days = statements.closing_balances(
        user_id=user_id, first_day=shown.first_day(last_day), last_day=last_day
    )
    drawn = days[:: -shown.step_days][::-1]
    # Of what is drawn, so that nobody looks for a day in the picture that is not in it.
    lowest, highest = min(drawn, key=_balance), max(drawn, key=_balance)
    weekly = shown.step_days > 1
    where = "at the weeks' ends " if weekly else ""
    sentence = (
        f"From {money.credits(drawn[0].balance)} on {in_words(drawn[0].day, DAY)} "
        f"to {money.credits(drawn[-1].balance)} today; {where}"
        f"lowest {money.plain(lowest.balance)}, highest {money.plain(highest.balance)}."
    )
    points = [Point(each.day, money.plain(each.balance)) for each in drawn]
    return Chart(points, sentence, weekly)


def _balance(day: DayBalance) -> int:
    return day.balance


# --- What was spent ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpendingRow:
    """One feature of one product, or all that did not fit the table."""

    label: str
    product: str
    units: str
    credits: str
    share_percent: int


@dataclass(frozen=True)
class SpendingTable:
    """The rows, most credits first, and what they come to."""

    rows: list[SpendingRow]
    total: str


def spending_of(user_id: str, shown: Range) -> SpendingTable:
    """What was spent by product and feature; the smallest ones in one row where there are many."""
    last_day = today()
    found = spending.by_feature(user_id=user_id, first_day=shown.first_day(last_day), last_day=last_day)
    rows = [
        SpendingRow(
            each.label, each.product, money.plain(each.units), money.plain(each.credits), each.share_percent
        )
        for each in found[:SPENDING_ROWS_MAX]
    ]
    rest = found[SPENDING_ROWS_MAX:]
    if rest:
        rows.append(
            SpendingRow(
                label=f"{len(rest):,} more",
                product="",
                units="",
                credits=money.plain(sum(each.credits for each in rest)),
                share_percent=sum(each.share_percent for each in rest),
            )
        )
    return SpendingTable(rows, money.plain(sum(each.credits for each in found)))


# --- History ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HistoryRow:
    """One entry as a line of the history or of a statement. Staff's reason is for staff, and is not in it."""

    id: str
    at: datetime
    what: str
    product: str
    credits: str
    balance_after: str
    adds: bool
    owes: bool


def history_rows(entries: Iterable[Entry], labels: dict[str, str]) -> list[HistoryRow]:
    """Entries in the order they come."""
    return [
        HistoryRow(
            id=entry.pk,
            at=entry.created_at,
            what=what_happened(entry, labels),
            product=products.name_of(entry.product),
            credits=money.signed(entry.credits),
            balance_after=money.plain(entry.balance_after),
            adds=entry.credits > 0,
            owes=entry.balance_after < 0,
        )
        for entry in entries
    ]


def what_happened(entry: Entry, labels: dict[str, str]) -> str:
    """An entry in a few words: the feature of a charge by its label, and how many of it."""
    if not entry.feature:
        return KIND_NAMES[entry.kind]
    label = labels.get(entry.feature, entry.feature)
    units = f" × {entry.count:,}" if entry.count and entry.count > 1 else ""
    if entry.kind in KIND_GROUPS["charges"][1]:
        return label + units
    return f"{KIND_NAMES[entry.kind]}: {label}{units}"


def labels_of_features() -> dict[str, str]:
    """What each feature of the rate table is called, also one that is charged no more."""
    return dict(Rate.objects.values_list("feature", "label"))


CSV_HEADER = (
    *("id", "time", "type", "credits", "balance_after", "feature", "count", "product"),
    "stripe_session_id",
)


def csv_row(entry: Entry) -> Sequence[str | int | None]:
    """An entry as a line of the file; times are UTC, ISO 8601."""
    return (
        *(entry.pk, f"{entry.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", entry.kind, entry.credits),
        *(entry.balance_after, entry.feature, entry.count, entry.product),
        entry.stripe_session_id,
    )


# --- A month ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MonthLink:
    """A month in the list of statements; `address` is its part of the address, 2026-10."""

    name: str
    address: str
    is_running: bool


@dataclass(frozen=True)
class Year:
    """The months of one year."""

    number: int
    months: list[MonthLink]


@dataclass(frozen=True)
class Neighbours:
    """The months with a statement on both sides of one; None where there is none."""

    previous: MonthLink | None
    next: MonthLink | None


def neighbours_of(user_id: str, first_day: date) -> Neighbours:
    """The nearest months before and after this one that have a statement."""
    months = statements.months(user_id)
    previous = max((month for month in months if month < first_day), default=None)
    following = min((month for month in months if month > first_day), default=None)
    return Neighbours(
        previous=_link_to(previous) if previous else None, next=_link_to(following) if following else None
    )


def years_of(user_id: str) -> list[Year]:
    """The months that have a statement by their years, newest first."""
    years: dict[int, list[MonthLink]] = {}
    for month in statements.months(user_id):
        years.setdefault(month.year, []).append(_link_to(month))
    return [Year(number, months) for number, months in years.items()]


def _link_to(month: date) -> MonthLink:
    running = today().replace(day=1)
    return MonthLink(in_words(month, MONTH), f"{month:%Y-%m}", is_running=month == running)


@dataclass(frozen=True)
class Figure:
    """A name and an amount of credits."""

    name: str
    credits: str
    entries: str = ""
    unit: str = "credits"


@dataclass(frozen=True)
class DayRow:
    """A day with entries: what came in, what went out, and what it left."""

    day: date
    added: str
    taken: str
    closing: str


def month_totals(made: MonthlyStatement) -> list[Figure]:
    """From the opening balance to the closing one."""
    return [
        Figure("Opening balance", money.plain(made.opening), unit=money.unit(made.opening)),
        Figure("Added", money.signed(made.added) if made.added else "0", unit=money.unit(made.added)),
        Figure("Taken", money.signed(-made.taken) if made.taken else "0", unit=money.unit(made.taken)),
        Figure("Closing balance", money.plain(made.closing), unit=money.unit(made.closing)),
    ]


def kind_rows(made: MonthlyStatement) -> list[Figure]:
    """What moved the balance, by kind."""
    return [
        Figure(KIND_NAMES[each.kind], money.signed(each.credits), f"{each.entries:,}")
        for each in made.by_kind
    ]


def day_rows(made: MonthlyStatement) -> list[DayRow]:
    """A line for each day with entries, in place of a list too long to print."""
    return [
        DayRow(
            day=each.day,
            added=money.signed(each.added) if each.added else "",
            taken=money.signed(-each.taken) if each.taken else "",
            closing=money.plain(each.closing),
        )
        for each in made.days
    ]


# --- A top-up that was just made --------------------------------------------------------------------


@dataclass(frozen=True)
class News:
    """What came of a checkout, in a sentence; `state` is the word for it in `top_up_state`."""

    state: str
    sentence: str = ""
    tone: str = "plain"

    @property
    def is_waiting(self) -> bool:
        """Whether the page should look again by itself."""
        return self.state == "waiting"


NO_NEWS = News("unknown")
WAITING = News(
    "waiting", "Stripe has not confirmed the payment yet. This page looks again by itself.", "warn"
)
ON_ITS_WAY = News(
    "on_its_way",
    "Your bank has not confirmed the payment yet. Credits arrive when it does; you can close this page.",
    "warn",
)
FAILED = News("failed", "The payment did not go through. Nothing was charged.", "bad")
EXPIRED = News("failed", "This checkout has expired. Nothing was charged.", "bad")
BY_HAND = News(
    "failed", "Misar settled this payment by hand. If credits were added for it, your history shows them."
)
LEFT = News("failed", "You left the checkout. If you paid all the same, the credits arrive by themselves.")


def news_of(user_id: str, *, outcome: str, session_id: str) -> News:
    """What came of the checkout a user comes back from, by our own books: the address proves nothing.

    `outcome` is the address's word (success, cancelled), `session_id` the Checkout Session where Stripe named
    it. Nothing is said of a checkout that is not the user's, or was paid long ago.
    """
    if outcome not in ("success", "cancelled"):
        return NO_NEWS
    named = session_id.startswith("cs_")  # Stripe fills the name in after a payment only.
    topup = topups.returning(user_id=user_id, session_id=session_id) if named else topups.latest(user_id)
    if topup is None:
        return NO_NEWS
    if topup.state in (State.CREATING, State.CREATED):
        return WAITING if outcome == "success" else LEFT
    if topup.state == State.PAID:
        return _thanks_for(topup) if outcome == "success" else NO_NEWS
    if topups.was_settled_by_hand(topup):
        return BY_HAND
    return {State.PENDING: ON_ITS_WAY, State.EXPIRED: EXPIRED}.get(State(topup.state), FAILED)


def _thanks_for(topup: TopUp) -> News:
    entry = topup.entry
    if entry is None or entry.created_at < timezone.now() - NEWS_FOR:
        return News("paid")
    balance = ledger.balance_of(topup.user_id)
    verb = "was" if entry.credits == 1 else "were"
    added = f"{money.credits(entry.credits)} {verb} added."
    return News("paid", f"{added} Your balance is {money.plain(balance)}.", "good")


# --- Words ------------------------------------------------------------------------------------------


def debt(balance: int) -> str:
    """What a user with a balance below zero should know before they pay.

    >>> debt(-12)
    'You owe 12 credits. The first $12 of your next top-up settle this.'
    >>> debt(-1)
    'You owe 1 credit. The first dollar of your next top-up settles this.'
    """
    owed = -balance
    if owed == 1:
        return "You owe 1 credit. The first dollar of your next top-up settles this."
    return f"You owe {money.credits(owed)}. The first ${owed:,} of your next top-up settle this."
