"""Import all lists, so that they are registered. Django's admin imports the module `admin` of each app."""

from backoffice.creators import lists as creators
from backoffice.credits import grant_lists, hold_lists, reversal_lists
from backoffice.credits import lists as credits
from backoffice.people import lists as people

__all__ = ["creators", "credits", "grant_lists", "hold_lists", "people", "reversal_lists"]
