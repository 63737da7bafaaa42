"""How many credits a staff member may move by hand in 24 hours. STAFF_CREDITS_A_DAY sets this for each role.

To move credits means to add or remove them by hand, or to give back a charge. The limit is for the sum of
what one staff member moved in all wallets. Added credits and removed credits both count as positive numbers.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from accounts.actors import actor_of
from accounts.models import User
from backoffice import roles
from backoffice.errors import BeyondAllowance
from foundation import money
from wallet.models import Entry

WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Allowance:
    """How many credits a staff member may move in 24 hours, and how many the staff member has moved."""

    credits: int
    moved: int

    @property
    def left(self) -> int:
        """Return how many credits the staff member may still move; never below 0."""
        return max(self.credits - self.moved, 0)

    @property
    def in_words(self) -> str:
        """Return the allowance as a sentence."""
        if not self.credits:
            return "Your role may not move credits by hand."
        most, left = money.credits(self.credits), money.plain(self.left)
        are = "is" if self.left == 1 else "are"
        return f"You may move {most} by hand in 24 hours; {left} of them {are} left."


def of(staff: User) -> Allowance | None:
    """Return the allowance of a staff member; None for a superuser, because roles do not limit superusers."""
    credits = roles.allowance(staff, settings.STAFF_CREDITS_A_DAY)
    if credits is None:
        return None
    # The entries have the times of the database's clock, so the window ends there too.
    moved = Entry.objects.moved_by_hand(actor_of(staff), since=Now() - WINDOW)
    return Allowance(credits, moved)


def require_kept(staff: User, just_moved: int) -> None:
    """Raise BeyondAllowance if the staff member moved more than allowed. The error rolls back the move.

    `just_moved` is how many credits the caller's transaction moved. Each staff action locks the row of the
    staff member. So the actions of one staff member run one after another, and the limit is exact. One move
    may be at most ADJUSTMENT_CREDITS_MAX credits, even for a superuser.
    """
    if abs(just_moved) > settings.ADJUSTMENT_CREDITS_MAX:
        raise BeyondAllowance(f"At most {money.credits(settings.ADJUSTMENT_CREDITS_MAX)} at once")
    allowance = of(staff)
    if allowance and allowance.moved > allowance.credits:
        before = Allowance(allowance.credits, allowance.moved - abs(just_moved))
        raise BeyondAllowance(before.in_words)
