"""How templates write figures, moments and states. Each filter is known to every template, without a load."""

from typing import Any

from django import template

from foundation import money, words

register = template.Library()

# {{ tip.gross_cents|amount:tip.currency }}: 7.99 USD. `figure` is the same without the currency.
register.filter("amount", money.amount)
register.filter("figure", money.figure)
# {{ topup.paid_cents|dollars }}: $25.00
register.filter("dollars", money.dollars)
# {{ wallet.balance|credits }}: 1,250 credits. `plain` is without the unit, `unit` is the unit alone, `signed`
# has a plus where it adds.
register.filter("credits", money.credits)
register.filter("unit", money.unit)
register.filter("plain", money.plain)
register.filter("signed", money.signed)
# {{ entry.created_at|moment }}: 1 Dec 2026, 09:30. `day` is the day alone.
register.filter("moment", words.moment)
register.filter("day", words.day_words)
# {{ tip.name|short:60 }}, {{ creators|count:"creator" }}
register.filter("short", words.shortened)
register.filter("count", words.count)


@register.inclusion_tag("_tag.html", name="tag")
def state_tag(word: str, tone: str = "") -> dict[str, Any]:
    """A state in a word, and the colour beside it: {% tag "Active" "good" %}."""
    return {"word": word, "tone": tone}
