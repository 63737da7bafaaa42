"""The actor of an entry or a change, as text. Only this module writes and reads this text."""

from accounts.models import ServiceKey, User

STRIPE = "stripe"
OPERATOR = "operator"  # An operator who runs a command in a terminal.
DEFAULT = "default"  # The migrate command, which adds the first plans and prices.
_SERVICE, _USER = "service:", "user:"


def actor_of(cause: User | ServiceKey) -> str:
    """Return the actor text of a user, a staff member, or a product (by its service key)."""
    return f"{_SERVICE}{cause.prefix}" if isinstance(cause, ServiceKey) else f"{_USER}{cause.pk}"


def key_prefix_of(actor: str) -> str:
    """Return the prefix of the service key that is the actor; "" for another actor.

    >>> key_prefix_of("service:wsk_1a2b3c4d"), key_prefix_of("stripe")
    ('wsk_1a2b3c4d', '')
    """
    return actor.removeprefix(_SERVICE) if actor.startswith(_SERVICE) else ""


def user_id_of(actor: str) -> str:
    """Return the Misar ID of the user or staff member who is the actor; "" for another actor.

    >>> user_id_of("user:staff:grace"), user_id_of("stripe")
    ('staff:grace', '')
    """
    return actor.removeprefix(_USER) if actor.startswith(_USER) else ""
