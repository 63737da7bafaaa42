"""What a new creator sees first: the first steps, and the fee of the creator's plan."""

from datetime import datetime

from accounts.models import ApiKey, User
from foundation import money
from monetization import fees
from monetization.models import Sponsor, Tip

EXAMPLE_TIP = 500  # In the currency's smallest unit: 5.00 USD, 500 JPY.
TIPS_ENOUGH = 5  # A creator with this many tips no longer sees the first steps.


def plan_sentence(creator: User, currency: str) -> str:
    """Return a sentence about the fee of the creator's plan, with an example in the currency of the page."""
    plan = creator.plan
    share = fees.split(EXAMPLE_TIP, fee_bps=plan.fee_bps)
    gross, net = money.amount(share.gross_cents, currency), money.amount(share.net_cents, currency)
    return (
        f"Your plan: {plan.name} · platform fee {fees.percent(plan.fee_bps)} · a {gross} tip pays you {net}."
    )


def steps_of(creator: User, *, at: datetime) -> dict[str, bool] | None:
    """Return which of a new creator's three first steps are done.

    Return None if all three are done, or if the creator has TIPS_ENOUGH tips or more.
    """
    tips = Tip.objects.visible_to(creator)[:TIPS_ENOUGH].count()
    if tips == TIPS_ENOUGH:
        return None
    keys = ApiKey.objects.filter(owner=creator, scopes__contains=["monetization"], revoked_at=None)
    steps = {
        "has_key": any(key.is_usable(at) for key in keys),
        "has_tip": tips > 0,
        "has_sponsor": Sponsor.objects.visible_to(creator).exists(),
    }
    return None if all(steps.values()) else steps
