"""The open holds of a user, as pages show them: for what, how many credits, and until when."""

from dataclasses import dataclass

from wallet.books.funds import Funds
from wallet.charges import holds
from wallet.charges.models import Hold
from wallet.history import products
from wallet.pages import tables
from wallet.prices import units

SHOWN_MAX = 20


@dataclass(frozen=True)
class Held:
    """What open holds have set aside, in credits, with the newest SHOWN_MAX holds.

    Each of `lines` is a hold, a description of its work, and the name of its product. `others_count` and
    `others_credits` count the holds that are not among them.
    """

    credits: int
    lines: list[tuple[Hold, str, str]]
    others_count: int
    others_credits: int


def held_of(funds: Funds) -> Held | None:
    """Return what the open holds of a user have set aside; None if no hold is open."""
    if not funds.held:
        return None
    page = holds.page(user_id=funds.user_id, product=None, state=Hold.State.OPEN, limit=SHOWN_MAX)
    features = units.features()
    lines = [
        (hold, tables.units_of(hold.feature, hold.count, features), products.name_of(hold.product))
        for hold in page.holds
    ]
    others_count = others_credits = 0
    if page.next_cursor:
        # A hold may begin or end between these queries. The sum stays the one that the page shows as held.
        all_open = Hold.objects.of(funds.user_id, None).in_state(Hold.State.OPEN, funds.at)
        others_count = max(0, all_open.count() - len(lines))
        others_credits = max(0, funds.held - sum(hold.credits for hold in page.holds))
    return Held(funds.held, lines, others_count, others_credits)
