"""Template filters that show a creator's records: {% load records %}."""

from django import template

from foundation import money, words
from monetization import fees
from monetization.figures import stats
from monetization.figures.changes import mrr_moved
from monetization.figures.supporters import ANONYMOUS, ERASED
from monetization.models import Subscription, Tip
from monetization.privacy.placeholders import is_erased

register = template.Library()

# {{ tip.fee_bps|percent }} shows "5%".
register.filter("percent", fees.percent)


@register.filter
def known_email(email: str) -> str:
    """Return a reader's address; "" if the reader was erased."""
    return "" if is_erased(email) else email


@register.filter
def shown_email(email: str) -> str:
    """Return a reader's address; "Erased reader" if the reader was erased."""
    return known_email(email) or ERASED


@register.filter
def giver(tip: Tip) -> str:
    """Return the name that pages show for the reader who gave a tip."""
    return ERASED if is_erased(tip.email) else tip.name or ANONYMOUS


@register.filter
def refund_words(tip: Tip) -> str:
    """Return the tag of a refund: "Refunded" or, of a part, "3.33 refunded"; "" without a refund."""
    if not tip.refunded_cents:
        return ""
    return (
        "Refunded"
        if not tip.refundable_cents
        else f"{money.figure(tip.refunded_cents, tip.currency)} refunded"
    )


@register.filter
def monthly(subscription: Subscription) -> str:
    """Return how much a subscription adds to MRR, rounded; a dash if the subscription is not in MRR."""
    if subscription.status == Subscription.Status.CANCELLED:
        return words.NONE
    if subscription.interval == Subscription.Interval.UNKNOWN:
        return words.NONE
    return money.amount(stats.mrr_of(subscription.yearly_cents), subscription.currency)


@register.filter
def effect(yearly_cents: int, currency: str) -> str:
    """Return how much MRR changes if the yearly income changes by this amount; a dash for no change.

    The amount is rounded half away from zero.

    >>> effect(9588, "USD"), effect(-9588, "USD"), effect(0, "USD")
    ('+7.99 USD', '−7.99 USD', '–')
    """
    if yearly_cents == 0:
        return words.NONE
    return f"{'+' if yearly_cents > 0 else ''}{money.amount(mrr_moved(yearly_cents), currency)}"
