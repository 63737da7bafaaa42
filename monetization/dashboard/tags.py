"""The small parts that rows and pages share."""

from dataclasses import dataclass

from monetization.figures.supporters import ERASED
from monetization.models import Sponsor, Subscription
from monetization.privacy.placeholders import is_erased

State = Sponsor.State
Status = Subscription.Status

TONES: dict[str, str] = {
    State.ACTIVE: "good",
    State.UPCOMING: "accent",
    Status.PAST_DUE: "warn",
}


@dataclass(frozen=True)
class Tag:
    """A state in a word, and the colour beside it: good, accent, warn, or none."""

    word: str
    tone: str


def shown_email(email: str) -> str:
    """A reader's address as a list shows it; a stand-in is nobody's address."""
    return ERASED if is_erased(email) else email


@dataclass(frozen=True)
class Fact:
    """A name and a value, as text."""

    name: str
    value: str
