"""How much a staff member may do in 24 hours. Each limit has a setting with an amount for each role.

STAFF_CREDITS_A_DAY limits the credits that a staff member moves by hand: added, removed, or given back of a
charge. The limit is for the sum in all wallets. Added credits and removed credits both count as positive
numbers. STAFF_TOPUP_REFUND_CENTS_A_DAY limits the top-ups that a staff member asks Stripe to refund.
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
from wallet.payments import refund_requests

WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class RefundAllowance:
    """How many cents a staff member may ask Stripe to refund in 24 hours, and how many were asked for."""

    cents: int
    asked_cents: int

    @property
    def in_words(self) -> str:
        """Return the allowance as a sentence."""
        if not self.cents:
            return "Your role may not refund top-ups."
        left = money.dollars(max(self.cents - self.asked_cents, 0))
        return f"You may refund {money.dollars(self.cents)} of top-ups in 24 hours; {left} of it is left."


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


# --- Refunds of top-ups -------------------------------------------------------------------------------


def of_refunds(staff: User) -> RefundAllowance | None:
    """Return the allowance of a staff member for refunds of top-ups; None for a superuser."""
    cents = roles.allowance(staff, settings.STAFF_TOPUP_REFUND_CENTS_A_DAY)
    if cents is None:
        return None
    asked_cents = refund_requests.cents_asked_by(actor_of(staff), since=Now() - WINDOW)
    return RefundAllowance(cents, asked_cents)


def require_refunds_kept(staff: User, just_asked_cents: int) -> None:
    """Raise BeyondAllowance if the staff member asked for more refunds than allowed.

    The error rolls back the request. `just_asked_cents` is what the caller's transaction asked for. As in
    `require_kept`, the limit is exact.
    """
    allowance = of_refunds(staff)
    if allowance and allowance.asked_cents > allowance.cents:
        before = RefundAllowance(allowance.cents, allowance.asked_cents - just_asked_cents)
        raise BeyondAllowance(before.in_words)
