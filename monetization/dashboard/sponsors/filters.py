"""Which of a creator's placements a list shows."""

from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from accounts.models import User
from monetization.dashboard.filters import FilterForm, choice_field
from monetization.models import Sponsor, SponsorQuerySet


@dataclass(frozen=True)
class SponsorFilter:
    """Which of a creator's placements; the default is all.

    `state` is upcoming, active, ended or cancelled, by the clock at `at` (now, if not said).
    """

    state: str = ""
    position: str = ""
    at: datetime = field(default_factory=lambda: timezone.now())

    def apply(self, creator: User) -> SponsorQuerySet:
        """The creator's placements of this filter: what is to come soonest first, all others latest first."""
        placements = Sponsor.objects.visible_to(creator)
        if self.position:
            placements = placements.filter(position=self.position)
        if self.state:
            placements = placements.in_state(self.state, self.at)
        if self.state == Sponsor.State.UPCOMING:
            return placements.order_by("active_from", "pk")
        return placements.order_by("-active_from", "-pk")


class SponsorFilterForm(FilterForm):
    """Placements by state and position."""

    state = choice_field("State", "All states", Sponsor.State.choices)
    position = choice_field("Position", "All positions", Sponsor.Position.choices)

    def chosen(self, at: datetime) -> SponsorFilter:
        """The placements that are asked for, their state as of that moment."""
        read = self.read()
        return SponsorFilter(state=read.get("state", ""), position=read.get("position", ""), at=at)
