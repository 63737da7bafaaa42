"""The reading language of monetization. Every reading of a creator's rows begins with `visible_to`."""

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models

from accounts.models import User

if TYPE_CHECKING:
    from monetization.models import Sponsor, Subscription, Tip


class SponsorQuerySet(models.QuerySet["Sponsor"]):
    def visible_to(self, creator: User) -> Self:
        """A creator's own, and nobody else's."""
        return self.filter(creator_id=creator.pk)

    def booked(self) -> Self:
        """What was not cancelled."""
        return self.filter(cancelled_at=None)

    def active_or_upcoming(self, at: datetime) -> Self:
        """Placements that run or will run: listed while the moment is before their end."""
        return self.booked().filter(active_until__gt=at)

    def in_state(self, state: str, at: datetime) -> Self:
        """Placements that are upcoming, active, ended or cancelled at that moment, as `state_at` has it."""
        if state == "cancelled":
            return self.exclude(cancelled_at=None)
        return {
            "upcoming": self.booked().filter(active_from__gt=at),
            "active": self.booked().filter(active_from__lte=at, active_until__gt=at),
            "ended": self.booked().filter(active_until__lte=at),
        }[state]

    def overlapping(self, *, position: str, active_from: datetime, active_until: datetime) -> Self:
        """Placements of that position whose half-open period meets [from, until)."""
        return self.booked().filter(
            position=position, active_from__lt=active_until, active_until__gt=active_from
        )


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def visible_to(self, creator: User) -> Self:
        """A creator's own, and nobody else's."""
        return self.filter(creator_id=creator.pk)

    def paying(self) -> Self:
        """Active or past due: what counts in MRR until it is cancelled."""
        return self.filter(status__in=["active", "past_due"])


class TipQuerySet(models.QuerySet["Tip"]):
    def visible_to(self, creator: User) -> Self:
        """A creator's own, and nobody else's."""
        return self.filter(creator_id=creator.pk)
