"""Issue an API key for the dashboard's form. A form that is sent twice makes only one key."""

from collections.abc import Sequence

from accounts import api_keys
from accounts.models import ApiKey, User
from foundation.errors import KeyReused
from monetization import replays
from monetization.models import FirstAnswer

MADE_BEFORE = (
    "This form was sent before, and its key was made then. Its secret cannot be shown again: if you did not "
    "copy it, revoke that key and make another"
)


def issue_once(*, owner: User, form_key: str, name: str, scopes: Sequence[str]) -> tuple[ApiKey, str]:
    """Issue an API key for a form. Return the key and its secret.

    `form_key` is the form's one-time key, 1 to 255 characters. Raises KeyReused if the same form was sent
    before, even if that request is still running: only one answer has the secret. Raises KeyLimitReached if
    the owner's plan allows no further key.
    """
    made: list[tuple[ApiKey, str]] = []

    def issue() -> replays.Made:
        key, secret = api_keys.issue(owner=owner, name=name, scopes=scopes)
        made[:] = [(key, secret)]  # If the transaction is retried, only the last key is committed.
        return replays.Made(row_id=str(key.pk), fields={"id": str(key.pk)})

    # A form key is stored like an Idempotency-Key of the API.
    body = {"name": name, "scopes": list(scopes)}
    try:
        replays.once(
            creator=owner, endpoint=FirstAnswer.Endpoint.API_KEY, key=form_key, body=body, make=issue
        )
    except KeyReused:
        raise KeyReused(MADE_BEFORE) from None
    if not made:
        raise KeyReused(MADE_BEFORE)
    return made[0]
