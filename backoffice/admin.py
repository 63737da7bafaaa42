"""Where Django's admin looks for what it shows: the three lists of lists."""

from backoffice.creators import lists as creators
from backoffice.credits import lists as credits
from backoffice.people import lists as people

__all__ = ["creators", "credits", "people"]
