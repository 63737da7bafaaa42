"""What a new creator sees first."""

from datetime import datetime

from accounts.models import ApiKey, User
from foundation import money
from monetization import fees
from monetization.models import Sponsor, Tip

EXAMPLE_TIP = 500  # In the smallest unit: 5.00 USD, 500 JPY.
TIPS_ENOUGH = 5  # A creator with so many tips needs no first steps.


def plan_sentence(creator: User, currency: str) -> str:
    """What the creator's plan takes of a tip, with an example in the currency of the page."""
    plan = creator.plan
    share = fees.split(EXAMPLE_TIP, fee_bps=plan.fee_bps)
    gross, net = money.amount(share.gross_cents, currency), money.amount(share.net_cents, currency)
    return (
        f"Your plan: {plan.name} · platform fee {fees.percent(plan.fee_bps)} · a {gross} tip pays you {net}."
    )


def steps_of(creator: User, *, at: datetime) -> dict[str, bool] | None:
    """Which of a new creator's three steps are done; None where all are, or for a creator with some tips."""
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
