"""How many credits staff may move by hand: so many in 24 hours, by role (STAFF_CREDITS_A_DAY).

What somebody moved is what the ledger says of them: adjustments and charges given back, up and down alike.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from accounts.actors import actor_of
from accounts.models import User
from backoffice import roles
from backoffice.errors import BeyondAllowance
from foundation import money
from wallet.models import Entry

WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Allowance:
    """What a member of staff may move in 24 hours, and what they have, in credits."""

    credits: int
    moved: int

    @property
    def left(self) -> int:
        """What may still be moved now; never below 0."""
        return max(self.credits - self.moved, 0)

    @property
    def in_words(self) -> str:
        """How much is left, as a sentence."""
        if not self.credits:
            return "Your role may not move credits by hand."
        most, left = money.credits(self.credits), money.plain(self.left)
        are = "is" if self.left == 1 else "are"
        return f"You may move {most} by hand in 24 hours; {left} of them {are} left."


def of(staff: User) -> Allowance | None:
    """What somebody may move; None where no limit by role holds, as for a superuser."""
    credits = roles.allowance(staff, settings.STAFF_CREDITS_A_DAY)
    if credits is None:
        return None
    since = timezone.now() - WINDOW
    return Allowance(credits, Entry.objects.moved_by_hand(actor_of(staff), since=since))


def require_kept(staff: User, just_moved: int) -> None:
    """Raise BeyondAllowance, which undoes the move, where it was one too many.

    `just_moved` are the credits that the caller's transaction moved. Exact within an act, which holds the row
    of the member of staff: two forms sent at once take turns. Nobody moves more than ADJUSTMENT_CREDITS_MAX
    at once.
    """
    if abs(just_moved) > settings.ADJUSTMENT_CREDITS_MAX:
        raise BeyondAllowance(f"At most {money.credits(settings.ADJUSTMENT_CREDITS_MAX)} at once")
    allowance = of(staff)
    if allowance and allowance.moved > allowance.credits:
        before = Allowance(allowance.credits, allowance.moved - abs(just_moved))
        raise BeyondAllowance(before.in_words)
