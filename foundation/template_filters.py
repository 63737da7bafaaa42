"""How templates write figures, times and states. Every template can use these filters without {% load %}."""

from typing import Any

from django import template
from django.template.defaultfilters import stringfilter

from foundation import money, states, text, words

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
# {{ tip.stripe_payment_id|middle_cut }}: pi_3OaB…kLmN
register.filter("middle_cut", stringfilter(text.middle_cut))


@register.inclusion_tag("_tag.html", name="tag")
def state_tag(word: str, tone: str | None = None) -> dict[str, Any]:
    """Show a state in its colour: {% tag "Active" %}. A word that is no state may be given one."""
    return {"word": word, "tone": states.tone_of(word) if tone is None else tone}
