"""The actor of an entry or a change, as text. Only this module writes and reads this text."""

from accounts.models import ServiceKey, User

STRIPE = "stripe"
OPERATOR = "operator"  # An operator who runs a command in a terminal.
DEFAULT = "default"  # The migrate command, which adds the first plans and prices.
_SERVICE, _USER = "service:", "user:"


def actor_of(cause: User | ServiceKey) -> str:
    """Return the actor text of a user, a staff member, or a product (by its service key)."""
    return f"{_SERVICE}{cause.prefix}" if isinstance(cause, ServiceKey) else f"{_USER}{cause.pk}"


def name_of(actor: str) -> str:
    """Return an actor's name as the back-office shows it.

    >>> name_of("stripe"), name_of("user:staff:grace"), name_of("service:wsk_1a2b3c4d")
    ('Stripe', 'staff:grace', 'wsk_1a2b3c4d')
    """
    return "Stripe" if actor == STRIPE else actor.removeprefix(_USER).removeprefix(_SERVICE)
