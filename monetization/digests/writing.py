"""The weekly mail to a creator who wants the tips of a week in one mail, instead of a mail about each tip.

`manage.py send_mail` writes the mail about a week (Monday to Sunday, UTC) from Monday, 01:10 UTC on. It has
the figures of the whole week, and names the largest tips. A tip that had a mail of its own is not named
again. The mail is about the whole week: also about the days before the creator chose "once a week", even if
the choice then was "none", and about the days after the creator chose "each time" again. The choice on Monday
decides only whether there is a mail: with "none", no mail is written.
"""

from datetime import date
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.mail import outbox
from accounts.mail.models import OutgoingMail
from accounts.models import User
from foundation import money
from foundation.calendar import DAY, day_of
from foundation.database.transactions import retried
from foundation.text import one_line
from foundation.words import count, span_words
from monetization import mails
from monetization.days.closing import SETTLING
from monetization.digests.news import WEEK, News, news_of
from monetization.figures.periods import beginning_of
from monetization.figures.sums import Sums
from monetization.models import MESSAGE_LENGTH, NAME_LENGTH, Digest, SubscriptionEvent, Tip

Kind = SubscriptionEvent.Kind
FACT = "tip_digest"
# How many weeks before the last one still get a digest, if none could be written for long. The mails about
# single tips are kept for 30 days, and they say which tips had a mail of their own.
LATE_MAX = 2 * WEEK
WRITTEN_AT_ONCE = 1000


def register() -> None:
    """Let `manage.py send_mail` write the digests."""
    outbox.WRITERS.append(write_due)


# --- Writing ------------------------------------------------------------------------------------------


def write_due(go_on: outbox.GoOn = outbox.always) -> outbox.Written:
    """Write up to 1000 digests of finished weeks. It is safe to run this twice at the same time."""
    due = Digest.objects.filter(next_week__lte=last_week())
    # In a random order, so that digests that cannot be written do not stand before all others for ever.
    ids = list(due.order_by("?").values_list("pk", flat=True)[:WRITTEN_AT_ONCE])
    return outbox.write_each(ids, write_next, go_on=go_on)


def last_week() -> date:
    """Return the Monday of the last week whose tips are all recorded.

    A tip may be dated up to an hour before it is recorded. The database's clock decides, because the clock of
    this host may be hours ahead.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT least(%s, now())", [timezone.now()])
        [at] = cursor.fetchone()
    return beginning_of(day_of(at - SETTLING), "week") - WEEK


@retried
@transaction.atomic
def write_next(creator_id: str) -> bool:
    """Write the creator's next digest, if its week is over and has news. Return whether it was written."""
    # Locked first, so the choice does not change before the end of this transaction.
    creator = User.objects.select_for_update(no_key=True).get(pk=creator_id)
    last = last_week()
    digest = Digest.objects.select_for_update().filter(pk=creator_id, next_week__lte=last).first()
    if digest is None:
        return False
    week = max(digest.next_week, last - LATE_MAX)
    is_weekly = outbox.is_weekly(creator, mails.TIP)
    if is_weekly or week < last:
        digest.next_week = week + WEEK
        digest.save(update_fields=["next_week"])
    else:
        digest.delete()
    if not (creator.is_active and outbox.wants(creator, mails.TIP)):
        return False
    news = news_of(creator, week, lock_tips=True)
    return news.is_worth_a_mail(is_weekly=is_weekly) and outbox.write(
        user=creator,
        to=creator.email,
        kind=mails.TIP,
        fact=f"{FACT}:{week}:{creator_id}",
        **_letter(news, week),
    )


def write_waiting_again(creator: User) -> None:
    """Write the creator's waiting digests again, without what was hidden or erased in this transaction.

    Changes of the tips wait here for the lock on the mail, so the last one sees all. A lock on tips besides
    could be a deadlock. A digest that another process is writing now waits for the tips that it names.
    """
    waiting = OutgoingMail.objects.filter(user=creator, state="waiting", fact__startswith=f"{FACT}:")
    for mail in waiting.select_for_update(no_key=True).order_by("pk"):
        week = date.fromisoformat(mail.fact.split(":")[1])
        outbox.write_again(mail, **_letter(news_of(creator, week, lock_tips=False), week))


# --- Texts --------------------------------------------------------------------------------------------


def _letter(news: News, week: date) -> outbox.Letter:
    days = span_words(week, week + WEEK - DAY, today=week)
    new, ended = news.subscriptions[Kind.CREATED], news.subscriptions[Kind.CANCELLED]
    parts = [count(news.tips, "tip")] if news.tips else []
    parts += [count(new, "new subscription")] if new else []
    had_a_mail = news.tips - news.without_a_mail
    return {
        "subject": f"Your week, {days}: {', '.join(parts)}" if parts else f"Your week, {days}",
        "template": "monetization/mail/digest",
        "context": {
            "days": days,
            "year": week.year,
            "currencies": [_amounts(code, each, news.before.get(code)) for code, each in news.sums.items()],
            "largest": [_named(tip) for tip in news.largest],
            "had_a_mail": had_a_mail and count(had_a_mail, "tip"),
            "new": count(new, "new subscription") if new else "",
            "new_plans": news.plans.get(Kind.CREATED, []),
            "ended": count(ended, "ended subscription") if ended else "",
            "ended_plans": news.plans.get(Kind.CANCELLED, []),
            "sponsors": news.sponsors,
            "next_days": span_words(week + WEEK, week + 2 * WEEK - DAY, today=week),
        },
    }


def _amounts(code: str, each: Sums, before: Sums | None) -> dict[str, str]:
    return {
        "currency": code,
        "tips": count(each.tips, "tip"),
        "gross": money.amount(each.gross_cents, code),
        "fee": money.amount(-each.fee_cents, code),
        "refunded": money.amount(-each.refunded_cents, code) if each.refunds else "",
        "refunds": count(each.refunds, "refund"),
        "fee_returned": money.amount(each.fee_returned_cents, code) if each.fee_returned_cents else "",
        "kept": money.amount(each.net_after_refunds_cents, code),
        "compared": _compared(code, each, before),
    }


def _compared(code: str, each: Sums, before: Sums | None) -> str:
    """Return how what the creator keeps compares with the week before, in words."""
    if before is None:
        return "No tips or refunds the week before"
    more = each.net_after_refunds_cents - before.net_after_refunds_cents
    if not more:
        return "As much as the week before"
    return f"{money.amount(abs(more), code)} {'more' if more > 0 else 'less'} than the week before"


def _named(tip: Tip) -> dict[str, Any]:
    lines = tip.shown_message.strip().splitlines()
    return {
        "id": tip.pk,
        "amount": money.amount(tip.gross_cents, tip.currency),
        "name": one_line(tip.name, NAME_LENGTH) or "a reader",
        "lines": [one_line(line, MESSAGE_LENGTH) for line in lines],
    }
