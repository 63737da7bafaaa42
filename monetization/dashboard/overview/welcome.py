"""How a new creator begins."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import ApiKey, User
from foundation import money
from monetization import fees
from monetization.dashboard.overview.lines import ROWS_MAX
from monetization.models import Sponsor, Tip

EXAMPLE_TIP = 500  # In the smallest unit: 5.00 USD, 500 JPY.


# --- Words ------------------------------------------------------------------------------------------


def plan_sentence(creator: User, currency: str) -> str:
    """What the creator's plan takes of a tip, with an example in the currency of the page."""
    plan = creator.plan
    share = fees.split(EXAMPLE_TIP, fee_bps=plan.fee_bps)
    gross, net = money.amount(share.gross_cents, currency), money.amount(share.net_cents, currency)
    return (
        f"Your plan: {plan.name} · platform fee {fees.percent(plan.fee_bps)} · a {gross} tip pays you {net}."
    )


@dataclass(frozen=True)
class Steps:
    """How far a new creator has come: a key that can record, a tip, a sponsor."""

    has_key: bool
    has_tip: bool
    has_sponsor: bool


def steps_of(creator: User, *, at: datetime) -> Steps | None:
    """The first three steps; None once all are done, or where so many tips came that nobody begins here."""
    tips = Tip.objects.visible_to(creator)[:ROWS_MAX].count()
    if tips == ROWS_MAX:
        return None
    keys = ApiKey.objects.filter(owner=creator, scopes__contains=["monetization"], revoked_at=None)
    steps = Steps(
        has_key=any(key.is_usable(at) for key in keys),
        has_tip=tips > 0,
        has_sponsor=Sponsor.objects.visible_to(creator).exists(),
    )
    return None if steps == Steps(True, True, True) else steps
