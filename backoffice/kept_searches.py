"""Keeps the searches of a staff member, so that their results have a URL without the text of the search.

The URL contains a random token. The text is in the session, encrypted with this token: so no session and no
backup holds a person's address that can be read, and an erasure has nothing to remove there. A session keeps
its last searches until the staff member signs out (docs/decisions/0022).
"""

from cryptography.fernet import Fernet, InvalidToken
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction

SEARCHES = "searches"
KEPT_MAX = 20
# Longer texts are cut. What is left is still longer than any column that is searched, so it matches no row.
TEXT_LENGTH_MAX = 256


@transaction.atomic
def keep(session: SessionBase, text: str) -> str:
    """Keep the text of a search in the session, and return its token."""
    token = Fernet.generate_key()
    kept = Fernet(token).encrypt(text[:TEXT_LENGTH_MAX].encode()).decode()
    # Two tabs may search at the same time. Without the lock, one search would overwrite the other.
    if Session.objects.select_for_update().filter(pk=session.session_key).exists():
        stored = SessionStore(session.session_key)
        stored[SEARCHES] = [*stored.get(SEARCHES, []), kept][-KEPT_MAX:]
        stored.save()
    return token.decode().rstrip("=")


def text_of(session: SessionBase, token: str) -> str:
    """Return the text of the search with this token; "" if the session does not have the search."""
    try:
        box = Fernet(f"{token}=")
    except ValueError:
        return ""
    for kept in session.get(SEARCHES, []):
        try:
            return box.decrypt(kept).decode()
        except InvalidToken:
            continue
    return ""
