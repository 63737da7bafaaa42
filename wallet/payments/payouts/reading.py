"""Read what moved on our balance at Stripe, and the payouts, into rows.

A run goes on where the last one ended, a month at a time, so it may be interrupted and run again, also twice
at the same time: a row is added once. Payouts that may still change are asked for again: in each run at
first, and then in growing pauses. So none is given up, and none is asked for every night for good.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from foundation.calendar import add_months, day_of, start_of
from wallet.errors import WrongAnswer
from wallet.payments import stripe_lists
from wallet.payments.models import TopUp
from wallet.payments.payouts.models import CAME_BACK, PayoutItem, PayoutReading, StripeMovement, StripePayout
from wallet.payments.sessions import payment_at, text_at
from wallet.payments.stripe_lists import MOVEMENTS, PAYOUTS, Body

# The newest movements are read by the next run, because Stripe's lists may be some seconds behind.
SETTLING = timedelta(minutes=10)
# A payout that arrived may still be sent back by the bank within some days.
CHANGES_FOR = timedelta(days=14)
# So long the month of a payout that Stripe does not know waits for what is in it. Until then, an operator can
# mend the cause, such as a key of another account.
UNKNOWN_FOR = timedelta(days=7)
# After CHANGES_FOR, the pause between two questions for a payout is a seventh of its time without an answer
# that settles it, in whole days: 2 days after 14, 10 days after 70. It never gets longer than this.
LONGEST_PAUSE = timedelta(days=28)

OnPage = Callable[[int], None]


def read(
    *, since: datetime | None = None, without_pauses: bool = False, on_page: OnPage = lambda count: None
) -> datetime | None:
    """Read all that is new. Return until when everything is read; None if there is nothing to read.

    The first run begins with `since`, or with our first top-up. `without_pauses` asks for every payout that
    is not settled, also if its next question is due later. Raises StripeOutOfReach.
    """

    def follow(payouts: QuerySet[StripePayout]) -> None:
        _follow(payouts, on_page, without_pauses=without_pauses)

    began = timezone.now()
    end = began - SETTLING
    start = read_until() or since or _first_topup()
    if start is None:
        return None
    # First, because a run that is interrupted after it has read on would look back less far the next time.
    follow(StripePayout.objects.filter(_may_change(start)))
    while start < end:
        stop = min(start_of(add_months(day_of(start).replace(day=1), 1)), end)
        # Payouts first: the money that one takes is a movement as well.
        for page in stripe_lists.pages(PAYOUTS, first=start, end=stop):
            _store_payouts(page)
            on_page(len(page))
        for page in stripe_lists.pages(MOVEMENTS, first=start, end=stop):
            _store_movements(page)
            on_page(len(page))
        PayoutReading.objects.create(since=start, until=stop)
        start = stop
    came_back = StripeMovement.objects.filter(category=CAME_BACK).values("source_id")
    follow(StripePayout.objects.filter(pk__in=came_back).exclude(status__in=StripePayout.ENDED))
    follow(StripePayout.objects.filter(is_automatic=True, itemized_at=None).exclude(asked_at__gte=began))
    return start


def unknown() -> QuerySet[StripePayout]:
    """Return the payouts that Stripe does not know, oldest first."""
    return StripePayout.objects.filter(unknown_since__isnull=False).order_by("created_at", "pk")


def waited_for() -> QuerySet[StripePayout]:
    """Return all payouts but those that Stripe has not known for a week: no month waits for these."""
    return StripePayout.objects.exclude(unknown_since__lt=timezone.now() - UNKNOWN_FOR)


def next_question(payout: StripePayout) -> datetime | None:
    """Return from when on a run asks for a payout that is not settled; None if the next run does."""
    if payout.asked_at is None:
        return None
    back = StripeMovement.objects.filter(category=CAME_BACK, source_id=payout.pk).order_by("-created_at")
    came_back_at = back.values_list("created_at", flat=True).first()
    times = (payout.created_at, payout.unknown_since, came_back_at)
    unsettled = payout.asked_at - max(filter(None, times))
    if unsettled < CHANGES_FOR:
        return None
    return payout.asked_at + min(timedelta(days=unsettled.days // 7), LONGEST_PAUSE)


def _may_change(start: datetime) -> Q:
    """The payouts whose state may have changed since the run that read until `start`, or is not known."""
    may_fail = Q(created_at__gte=start - CHANGES_FOR) | ~Q(status="paid") | Q(unknown_since__isnull=False)
    return may_fail & ~Q(status__in=StripePayout.ENDED)


def read_until() -> datetime | None:
    """Return until when all movements are read; None before the first run."""
    newest = PayoutReading.objects.order_by("-until").values_list("until", flat=True)
    return newest.first()


def read_since() -> datetime | None:
    """Return from when on movements are read; None before the first run."""
    return PayoutReading.objects.order_by("since").values_list("since", flat=True).first()


def reads_on_from() -> datetime | None:
    """Return until when all is read, or where the first run begins; None if there is nothing to read."""
    return read_until() or _first_topup()


def _first_topup() -> datetime | None:
    first = TopUp.objects.order_by("created_at").values_list("created_at", flat=True).first()
    return start_of(day_of(first)) if first else None


def _store_movements(page: Sequence[Body]) -> None:
    rows = [
        StripeMovement(
            id=each["id"],
            created_at=_moment(each["created"]),
            category=each["reporting_category"],
            currency=each["currency"],
            amount=each["amount"],
            fee=each["fee"],
            source_id=text_at(each, "source", "id") or text_at(each, "source"),
            payment_intent_id=payment_at(each, "source"),
        )
        for each in page
    ]
    StripeMovement.objects.bulk_create(rows, ignore_conflicts=True)


def _store_payouts(page: Sequence[Body]) -> None:
    rows = [
        StripePayout(
            id=each["id"],
            created_at=_moment(each["created"]),
            arrives_at=_moment(each["arrival_date"]),
            amount=each["amount"],
            currency=each["currency"],
            status=each["status"],
            is_automatic=each["automatic"],
        )
        for each in page
    ]
    StripePayout.objects.bulk_create(rows, ignore_conflicts=True)


def _follow(payouts: QuerySet[StripePayout], on_page: OnPage, *, without_pauses: bool) -> None:
    """Ask what became of these payouts, and for what is in those of which Stripe can say it by now.

    A payout that Stripe does not know, or answers wrongly about, is marked and holds up no other payout.
    """
    now = timezone.now()
    for payout in list(payouts.order_by("created_at", "pk")):
        asks_from = next_question(payout)
        if asks_from and now < asks_from and not without_pauses:
            continue
        try:
            is_known = _ask(payout, on_page)
        except WrongAnswer:
            is_known = False
        mine = StripePayout.objects.filter(pk=payout.pk)
        mine.update(asked_at=now)
        if not is_known and payout.unknown_since is None:
            mine.update(unknown_since=now)


def _ask(payout: StripePayout, on_page: OnPage) -> bool:
    """Store what became of a payout, and what is in it. Return whether Stripe knows it."""
    body = stripe_lists.one(PAYOUTS, payout.id)
    on_page(0)
    if body is None:
        return False
    mine = StripePayout.objects.filter(pk=payout.pk)
    mine.update(status=body["status"], arrives_at=_moment(body["arrival_date"]))
    if payout.is_automatic and not payout.itemized_at:
        if body["reconciliation_status"] == "completed":
            _itemize(payout, on_page)
        elif _is_never_itemized(payout, body):
            mine.update(is_automatic=False)
    mine.update(unknown_since=None)  # Last, because what is in it may be a wrong answer.
    return True


def _is_never_itemized(payout: StripePayout, body: Body) -> bool:
    """Whether Stripe will not say what is in a payout, though it was made by itself."""
    is_old = payout.created_at < timezone.now() - CHANGES_FOR
    return is_old and body["reconciliation_status"] == "not_applicable"


@transaction.atomic
def _itemize(payout: StripePayout, on_page: OnPage) -> None:
    for page in stripe_lists.movements_in_payout(payout.id):
        items = [
            PayoutItem(movement_id=each["id"], payout_id=payout.id)
            for each in page
            if each["reporting_category"] != "payout"
        ]
        PayoutItem.objects.bulk_create(items, ignore_conflicts=True)
        on_page(len(page))
    StripePayout.objects.filter(pk=payout.pk, itemized_at=None).update(itemized_at=timezone.now())


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
