"""How pages write days, counts and lists of names."""

from collections.abc import Sequence
from datetime import date, datetime, time

from django.utils.text import get_text_list

from foundation import money
from foundation.calendar import last_day_of

NONE = "\N{EN DASH}"  # The text of an empty cell.
# A list or a heading shows at most this many characters of a name. The page of the record shows the full one.
NAME_SHOWN = 60
NAMED_MAX = 3  # A sentence shows at most this many names.


def count(number: int, thing: str, things: str = "") -> str:
    """Return a number and the name of a thing. `things` is the plural, if it is not `thing` with an s.

    >>> count(1, "tip"), count(1250, "tip"), count(2, "entry", "entries")
    ('1 tip', '1,250 tips', '2 entries')
    """
    return f"{money.plain(number)} {thing if number == 1 else things or f'{thing}s'}"


def listed(names: Sequence[str], *, and_others: bool = False) -> str:
    """Return at most the first three names as text for a sentence, and how many names are left out.

    With `and_others`, the text ends with "others" and has no number: there are more names than `names`.

    >>> listed(["a", "b"]), listed(["a", "b", "c", "d", "e"]), listed(["a"], and_others=True)
    ('a and b', 'a, b, c and 2 more', 'a and others')
    """
    shown = list(names[:NAMED_MAX])
    if and_others:
        shown.append("others")
    elif len(names) > NAMED_MAX:
        shown.append(f"{len(names) - NAMED_MAX} more")
    return get_text_list(shown, "and")


def day_words(day: date) -> str:
    """Return a day as text for a table.

    >>> day_words(date(2026, 10, 3))
    '3 Oct 2026'
    """
    return f"{day.day} {day:%b %Y}"


def moment(at: datetime) -> str:
    """Return a moment as text, to the minute. The text also has the seconds if they are not 0.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 12, 1, 9, 30, tzinfo=UTC))
    '1 Dec 2026, 09:30'
    """
    return f"{day_words(at)}, {at:%H:%M:%S}" if at.second else f"{day_words(at)}, {at:%H:%M}"


def end_words(until: datetime) -> str:
    """Return when a period ends, as text. `until` is in UTC. For midnight, the text names the day before.

    >>> from datetime import UTC
    >>> end_words(datetime(2026, 12, 19, tzinfo=UTC)), end_words(datetime(2026, 12, 19, 9, tzinfo=UTC))
    ('through 18 Dec 2026', 'until 19 Dec 2026, 09:00')
    """
    if until.time() == time.min:
        return f"through {day_words(last_day_of(until))}"
    return f"until {moment(until)}"


def span_words(first_day: date, last_day: date, *, today: date) -> str:
    """Return a span of days as text. Both days belong to the span. The year of `today` is left out.

    >>> today = date(2026, 12, 5)
    >>> span_words(date(2026, 12, 3), date(2026, 12, 9), today=today)
    '3–9 Dec'
    >>> span_words(date(2026, 11, 26), date(2026, 12, 3), today=today)
    '26 Nov – 3 Dec'
    >>> span_words(date(2026, 12, 26), date(2027, 1, 22), today=today)
    '26 Dec 2026 – 22 Jan 2027'
    """
    if first_day.year == last_day.year == today.year:
        first, last = (f"{day.day} {day:%b}" for day in (first_day, last_day))
    else:
        first, last = day_words(first_day), day_words(last_day)
    if first_day == last_day:
        return last
    if (first_day.year, first_day.month) == (last_day.year, last_day.month):
        return f"{first_day.day}\N{EN DASH}{last}"
    if first_day.year == last_day.year:
        first = f"{first_day.day} {first_day:%b}"
    return f"{first} \N{EN DASH} {last}"


def period_words(begins: datetime, ends: datetime, *, today: date) -> str:
    """Return the half-open period [begins, ends), in UTC, as text: its days, and a time if it is no midnight.

    >>> from datetime import UTC
    >>> today, begins = date(2026, 12, 5), datetime(2026, 12, 3, tzinfo=UTC)
    >>> period_words(begins, datetime(2026, 12, 10, tzinfo=UTC), today=today)
    '3–9 Dec'
    >>> period_words(begins, datetime(2026, 12, 9, 18, tzinfo=UTC), today=today)
    '3 Dec 2026 – 9 Dec 2026, 18:00'
    """
    if begins.time() == ends.time() == time.min:
        return span_words(begins.date(), last_day_of(ends), today=today)
    return f"{beginning_words(begins)} \N{EN DASH} {ending_words(ends)}"


def beginning_words(begins: datetime) -> str:
    """Return when a period begins, in UTC, as text: its first day, and the time if it is no midnight."""
    return day_words(begins) if begins.time() == time.min else moment(begins)


def ending_words(ends: datetime) -> str:
    """Return when a period ends, in UTC, as text: its last day, and the time if it is no midnight."""
    return day_words(last_day_of(ends)) if ends.time() == time.min else moment(ends)
