"""How templates write figures, times and states. Every template can use these filters without {% load %}."""

from typing import Any

from django import template
from django.template.defaultfilters import stringfilter

from foundation import money, text, words

register = template.Library()

# {{ tip.gross_cents|amount:tip.currency }}: 7.99 USD. `figure` leaves out the currency.
register.filter("amount", money.amount)
register.filter("figure", money.figure)
# {{ topup.paid_cents|dollars }}: $25.00
register.filter("dollars", money.dollars)
# {{ wallet.balance|credits }}: 1,250 credits. `plain` leaves out the unit. `unit` writes only the unit.
# `signed` always writes a sign, also a plus sign.
register.filter("credits", money.credits)
register.filter("unit", money.unit)
register.filter("plain", money.plain)
register.filter("signed", money.signed)
# {{ entry.created_at|moment }}: 1 Dec 2026, 09:30. `day` writes only the day.
register.filter("moment", words.moment)
register.filter("day", words.day_words)
# {{ tip.name|short:60 }}, {{ creators|count:"creator" }}
register.filter("short", stringfilter(text.one_line))
register.filter("count", words.count)


@register.inclusion_tag("_tag.html", name="tag")
def state_tag(word: str, tone: str = "") -> dict[str, Any]:
    """Show a state as a word with a colour beside it: {% tag "Active" "good" %}."""
    return {"word": word, "tone": tone}
