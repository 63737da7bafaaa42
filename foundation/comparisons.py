"""The words that compare a figure with the same figure of the period before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from foundation import money

Better = Literal["more", "less", ""]  # "" if more is neither good nor bad.


@dataclass(frozen=True)
class Change:
    """How a figure changed, in words. `words` is "" if there is nothing to say.

    `tone` is good, bad, or "" if more is neither good nor bad.
    """

    words: str = ""
    tone: Literal["good", "bad", ""] = ""

    def __bool__(self) -> bool:
        return bool(self.words)


UNCHANGED = Change()


def change(
    now: int,
    then: int | None,
    *,
    than: str,
    better: Better = "",
    write: Callable[[int], str] = money.plain,
) -> Change:
    """Return how `now` compares with `then`, the figure of the period before.

    `than` names that period, such as "the 30 days before". `better` says whether more or less of the figure
    is good. The percentage is rounded half up. A figure that was negative has no percentage, so the words
    name it as `write` writes it. There are no words if the figures are equal, or if `then` is None: there
    is no period before.

    >>> change(112, 100, than="the 30 days before", better="more")
    Change(words='+12% on the 30 days before', tone='good')
    >>> change(1, 3, than="the 7 days before").words, change(2, 0, than="the 7 days before").words
    ('−67% on the 7 days before', 'New: none in the 7 days before')
    >>> change(1001, 1000, than="the 7 days before").words, change(5, -4, than="the 7 days before").words
    ('Up by under 1% on the 7 days before', 'Up from −4 in the 7 days before')
    """
    if then is None or now == then:
        return UNCHANGED
    is_up = now > then
    tone: Literal["good", "bad", ""] = ""
    if better:
        tone = "good" if is_up == (better == "more") else "bad"
    if then == 0:
        return Change(f"New: none in {than}", tone)
    word = "Up" if is_up else "Down"
    if then < 0:
        return Change(f"{word} from {write(then)} in {than}", tone)
    # Half a percent is rounded up, in whole numbers.
    percent = (200 * abs(now - then) + then) // (2 * then)
    if not percent:
        return Change(f"{word} by under 1% on {than}", tone)
    return Change(f"{money.signed(percent if is_up else -percent)}% on {than}", tone)
