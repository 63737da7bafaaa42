"""What the tests of the overview share: a creator with half a year of everything, and what a page says."""

import re
from typing import Any

from accounts.models import User
from tests.html import browser_of, text
from tests.monetization.records import NOON, change, clock_at, days, place, refund, subscribe, tip
from tests.patterns import matched


def live(creator: User) -> None:
    """Tips, refunds on later days, readers who come, fail to pay, leave and return, and sponsors."""
    for ago, amount, currency in [
        *((150, 5000, "USD"), (95, 700, "USD"), (62, 999, "USD"), (33, 2000, "USD"), (20, 500, "USD")),
        *((20, 1500, "USD"), (6, 300, "USD"), (0, 1000, "USD"), (40, 800, "EUR"), (3, 1234, "EUR")),
    ]:
        with clock_at(NOON - days(ago)):
            given = tip(
                creator,
                amount,
                currency=currency,
                email=f"r{amount}@example.com",
                name=f"Reader {amount}",
                stripe_payment_id=f"pi_{ago}_{amount}",
            )
        if amount in (2000, 999):
            with clock_at(NOON - days(ago // 4)):
                refund(given, amount // 3)
    subscribed = []
    for ago, plan, amount in [
        (160, "monthly", 799),
        (80, "annual", 7900),
        (25, "monthly", 500),
        (4, "x", 900),
    ]:
        with clock_at(NOON - days(ago)):
            subscribed.append(subscribe(creator, f"s{ago}@example.com", plan, amount))
    with clock_at(NOON - days(70)):
        change(subscribed[0], status="cancelled")
    with clock_at(NOON - days(10)):
        change(subscribed[0], status="active")
        change(subscribed[2], status="past_due")
    with clock_at(NOON - days(5)):
        change(subscribed[1], status="cancelled")
    place(creator, "Acme", starts=NOON - days(10), ends=NOON + days(5), price_cents=29900)
    place(creator, "Globex", starts=NOON + days(8), ends=NOON + days(12), price_cents=9900)
    place(creator, "Initech", starts=NOON + days(10), ends=NOON + days(15), price_cents=9900)


def page_of(creator: User, query: str = "") -> Any:
    answer = browser_of(creator).get(f"/dashboard{query}")
    assert answer.status_code == 200
    return answer


def tile(answer: Any, key: str) -> str:
    """What a tile says, in one line."""
    found = re.search(rf'(?s)<article[^>]*aria-labelledby="tile_{key}".*?</article>', answer.content.decode())
    assert found, f"no tile {key}"
    return text(found[0])


def value(answer: Any, key: str) -> str:
    """The figure of a tile, with its unit."""
    found = re.search(rf'(?s)<p[^>]*data-figure="{key}">(.*?)</p>', answer.content.decode())
    assert found, f"no figure {key}"
    return text(found[1])


def charts(answer: Any) -> dict[str, list[list[str]]]:
    """The tables that charts are drawn from, by their figure's title: rows of cells."""
    found: dict[str, list[list[str]]] = {}
    for html in re.findall(r"(?s)<figure.*?</figure>", answer.content.decode()):
        title = text(matched(r"(?s)<h3[^>]*>(.*?)</h3>", html)[1])
        rows = re.findall(r"(?s)<tr>(.*?)</tr>", matched(r"(?s)<tbody>(.*?)</tbody>", html)[1])
        found[title] = [[text(cell) for cell in re.findall(r"(?s)<td[^>]*>(.*?)</td>", row)] for row in rows]
    return found


def cents(shown: str) -> int:
    """Hundredths of an amount as the page writes it."""
    return int(re.sub(r"[^0-9-]", "", shown.replace("\N{MINUS SIGN}", "-")))
