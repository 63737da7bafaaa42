"""How the pages of the back-office write states, actors and actions."""

from datetime import datetime
from typing import Any

from django import template

from accounts.mail import outbox
from accounts.models import ApiKey, OutgoingMail
from backoffice.credits import budgets, grants, parked
from backoffice.lists import actors
from backoffice.one_user.credits import OPEN_STATES
from foundation import states
from foundation.words import count
from monetization import fees
from wallet.history import products
from wallet.models import Lot, RefundRequest, StripeEvent, TopUp
from wallet.payments import stripe_gateway

register = template.Library()

register.filter("actor", actors.in_words)
register.filter("person", actors.person)
register.filter("granter", grants.granter)
register.filter("setter", budgets.setter)
register.filter("what_to_do", parked.what_to_do)
register.filter("percent", fees.percent)
register.filter("product_name", products.name_of)
register.simple_tag(stripe_gateway.page_of_payment)


@register.filter
def mail_kind(name: str) -> str:
    """The label of a kind of mail."""
    return outbox.KINDS[name].label if name in outbox.KINDS else name


@register.inclusion_tag("_tag.html")
def state(row: TopUp | StripeEvent | RefundRequest | OutgoingMail | ApiKey) -> dict[str, str]:
    """The state of a row in a word and a colour."""
    if isinstance(row, ApiKey):
        return _in_colour(row.state.label)
    if isinstance(row, StripeEvent) and row.state == StripeEvent.State.WAITING and row.tries:
        return {"word": f"Failed {count(row.tries, 'time')}", "tone": "bad"}
    return _in_colour(row.get_state_display())


@register.inclusion_tag("_tag.html")
def grant_state(lot: Lot, now: datetime) -> dict[str, str]:
    """The state of a grant at this time, in a word and a colour."""
    return _in_colour(lot.state_at(now).label)


def _in_colour(word: str) -> dict[str, str]:
    return {"word": word, "tone": states.tone_of(word)}


@register.inclusion_tag("backoffice/_user_row_actions.html", takes_context=True)
def row_actions(context: dict[str, Any], row: Any, name: str) -> dict[str, Any]:
    """The actions on a row of a user's page. The actions of a closed event are only on the event's page."""
    is_closed = isinstance(row, StripeEvent) and row.state not in OPEN_STATES
    return {"actions": [] if is_closed else context["actions_on"](row), "of": name}
