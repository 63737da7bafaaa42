"""Replay a POST with an `Idempotency-Key`: the same request gets the same answer again (contract 20)."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import User
from foundation.database.transactions import retried
from foundation.errors import KeyReused
from monetization.models import FirstAnswer, Subscription

Fields = dict[str, Any]

# The stored answer does not contain the reader's address. Only an erasure changes the address in the row, so
# a replay reads the address from the row.
ADDRESS = "subscriber_email"


@dataclass(frozen=True)
class Made:
    """The id of the row that a POST made, and the fields of the first answer."""

    row_id: str
    fields: Mapping[str, Any]


@retried
def once(
    *,
    creator: User,
    endpoint: FirstAnswer.Endpoint,
    key: str,
    body: Mapping[str, Any],
    make: Callable[[], Made],
) -> Fields:
    """Run `make` at most once per creator, endpoint and key. Return the fields of the first answer.

    With an empty key, `make` always runs. Raises KeyReused if the key was used with another body. If two
    requests with the same key run in parallel, the second waits and gets the answer of the first.
    """
    if not key:
        with transaction.atomic():  # The commit comes after the whole answer is made.
            return dict(make().fields)
    digest = digest_of(body)
    mine = {"creator": creator, "endpoint": endpoint, "key": key}
    with transaction.atomic():
        # Insert the key first. Another request with this key then waits here until this transaction ends.
        FirstAnswer.objects.bulk_create([FirstAnswer(digest=digest, **mine)], ignore_conflicts=True)
        first = FirstAnswer.objects.get(**mine)
        if first.answer:
            return _replayed(first, digest)
        made = make()
        kept = {name: value for name, value in made.fields.items() if name != ADDRESS}
        first.row_id, first.answer = made.row_id, json.dumps(kept)
        first.save(update_fields=["row_id", "answer"])
        return dict(made.fields)


def digest_of(body: Mapping[str, Any]) -> str:
    """Return a digest of a validated body. Without SECRET_KEY, the body cannot be guessed from the digest."""
    text = json.dumps(body, sort_keys=True, default=str)
    return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def _replayed(first: FirstAnswer, digest: str) -> Fields:
    # An erasure empties the digest. After that, no body matches.
    if not hmac.compare_digest(first.digest, digest):
        raise KeyReused("This Idempotency-Key was used for another request")
    kept = json.loads(first.answer)
    fields: Fields = kept.get("data", kept)  # An earlier release put the fields in `data`.
    if first.endpoint == FirstAnswer.Endpoint.SUBSCRIPTION:
        row = Subscription.objects.only(ADDRESS).get(pk=first.row_id)
        fields[ADDRESS] = row.subscriber_email
    return fields
