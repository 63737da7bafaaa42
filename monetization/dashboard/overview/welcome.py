"""What a new creator sees first: a list of steps that ticks itself off, and the fee of the creator's plan."""

from accounts.models import ApiKey, User
from foundation import money
from monetization import fees
from monetization.models import Sponsor, Subscription, Tip

EXAMPLE_TIP = 500  # In the currency's smallest unit: 5.00 USD, 500 JPY.


def plan_sentence(creator: User, currency: str) -> str:
    """Return a sentence about the fee of the creator's plan, with an example in the currency of the page."""
    plan = creator.plan
    share = fees.split(EXAMPLE_TIP, fee_bps=plan.fee_bps)
    gross, net = money.amount(share.gross_cents, currency), money.amount(share.net_cents, currency)
    return (
        f"Your plan: {plan.name} · platform fee {fees.percent(plan.fee_bps)} · a {gross} tip pays you {net}."
    )


def steps_of(creator: User) -> dict[str, bool] | None:
    """Return which of a new creator's four first steps are done; None if all are. This takes four queries.

    A key that was revoked counts too: the creator knows how to make one.
    """
    keys = ApiKey.objects.filter(owner=creator, scopes__contains=["monetization"])
    steps = {
        "key": keys.exists(),
        "tip": Tip.objects.visible_to(creator).exists(),
        "subscription": Subscription.objects.visible_to(creator).exists(),
        "sponsor": Sponsor.objects.visible_to(creator).exists(),
    }
    return None if all(steps.values()) else steps
