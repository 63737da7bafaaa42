"""Who did it, as staff read it: the actor of an entry or of a change, and the Misar ID of a staff member."""

from accounts import actors
from accounts.misar_ids import STAFF_PREFIX
from wallet.charges import lapsing
from wallet.history.products import name_of

_WORDS = {
    actors.STRIPE: "Stripe",
    actors.OPERATOR: "An operator",
    actors.DEFAULT: "The installation",
    lapsing.ACTOR: "Time",
}


def in_words(actor: str, product: str = "") -> str:
    """Return an actor's name. The actor of a service key is its product, if that is known.

    >>> in_words("stripe"), in_words("user:staff:grace"), in_words("user:usr_1")
    ('Stripe', 'grace (staff)', 'usr_1')
    >>> in_words("service:wsk_1a2b3c4d", "blog"), in_words("service:wsk_1a2b3c4d")
    ('MisarBlog, key wsk_1a2b3c4d', 'Key wsk_1a2b3c4d')
    """
    if prefix := actors.key_prefix_of(actor):
        return f"{name_of(product)}, key {prefix}" if product else f"Key {prefix}"
    return _WORDS.get(actor) or person(actors.user_id_of(actor) or actor)


def person(misar_id: str) -> str:
    """Return a Misar ID as staff read it.

    >>> person("staff:grace"), person("usr_1")
    ('grace (staff)', 'usr_1')
    """
    name = misar_id.removeprefix(STAFF_PREFIX)
    return misar_id if name == misar_id else f"{name} (staff)"
