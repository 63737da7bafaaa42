"""How many credits a staff member may move by hand in 24 hours, by role (STAFF_CREDITS_A_DAY).

The ledger says what they moved: adjustments and charges given back. Adding and removing count alike.
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
    """The credits that a staff member may move in 24 hours, and the credits that they moved."""

    credits: int
    moved: int

    @property
    def left(self) -> int:
        """The credits that may still be moved; never below 0."""
        return max(self.credits - self.moved, 0)

    @property
    def in_words(self) -> str:
        """The allowance as a sentence."""
        if not self.credits:
            return "Your role may not move credits by hand."
        most, left = money.credits(self.credits), money.plain(self.left)
        are = "is" if self.left == 1 else "are"
        return f"You may move {most} by hand in 24 hours; {left} of them {are} left."


def of(staff: User) -> Allowance | None:
    """The allowance of a staff member; None for a superuser, who has no limit by role."""
    credits = roles.allowance(staff, settings.STAFF_CREDITS_A_DAY)
    if credits is None:
        return None
    since = timezone.now() - WINDOW
    return Allowance(credits, Entry.objects.moved_by_hand(actor_of(staff), since=since))


def require_kept(staff: User, just_moved: int) -> None:
    """Raise BeyondAllowance, which rolls back the move, if it went beyond the allowance.

    `just_moved` are the credits that the caller's transaction moved. An act locks the row of its staff
    member, so forms sent at the same time run one after another and the limit is exact. One move is at most
    ADJUSTMENT_CREDITS_MAX, also for a superuser.
    """
    if abs(just_moved) > settings.ADJUSTMENT_CREDITS_MAX:
        raise BeyondAllowance(f"At most {money.credits(settings.ADJUSTMENT_CREDITS_MAX)} at once")
    allowance = of(staff)
    if allowance and allowance.moved > allowance.credits:
        before = Allowance(allowance.credits, allowance.moved - abs(just_moved))
        raise BeyondAllowance(before.in_words)
