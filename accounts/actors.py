"""Who caused an entry or a change, as the books name it: made and read here alone."""

from accounts.models import ServiceKey, User

STRIPE = "stripe"
OPERATOR = "operator"  # Runs a command at a terminal.
DEFAULT = "default"  # Made the plans and prices that a new database starts with.
_SERVICE, _USER = "service:", "user:"


def actor_of(cause: User | ServiceKey) -> str:
    """How the books name a user, a member of staff, or a product by its key."""
    return f"{_SERVICE}{cause.prefix}" if isinstance(cause, ServiceKey) else f"{_USER}{cause.pk}"


def name_of(actor: str) -> str:
    """An actor as staff read it.

    >>> name_of("stripe"), name_of("user:staff:grace"), name_of("service:wsk_1a2b3c4d")
    ('Stripe', 'staff:grace', 'wsk_1a2b3c4d')
    """
    return "Stripe" if actor == STRIPE else actor.removeprefix(_USER).removeprefix(_SERVICE)
