"""A POST that says `Idempotency-Key`: the same again is answered the same (contract 20)."""

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
from monetization.errors import KeyReused
from monetization.models import FirstAnswer

Body = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What a POST made, and the body it is answered with."""

    row_id: str
    answer: Body


@retried
def once(
    *,
    creator: User,
    endpoint: FirstAnswer.Endpoint,
    key: str,
    body: Mapping[str, Any],
    make: Callable[[], Made],
) -> Body:
    """The answer of `make`, run at most once per creator, endpoint and key; without a key, always run.

    Raises KeyReused where the key came with another body. Of two at once, one is undone and answered
    with what the other made.
    """
    if not key:
        with transaction.atomic():  # All of the answer is there before the commit.
            return make().answer
    digest = digest_of(body)
    mine = {"creator": creator, "endpoint": endpoint, "key": key}
    with transaction.atomic():
        # The claim comes first: whoever brings the same key waits here for what becomes of it.
        FirstAnswer.objects.bulk_create([FirstAnswer(digest=digest, **mine)], ignore_conflicts=True)
        first = FirstAnswer.objects.get(**mine)
        if first.answer:
            return _same(first, digest)
        made = make()
        first.row_id, first.answer = made.row_id, json.dumps(made.answer)
        first.save(update_fields=["row_id", "answer"])
        return made.answer


def digest_of(body: Mapping[str, Any]) -> str:
    """A digest of a validated body, of no use to whoever does not know our secret."""
    text = json.dumps(body, sort_keys=True, default=str)
    return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def _same(first: FirstAnswer, digest: str) -> Body:
    if not hmac.compare_digest(first.digest, digest):
        raise KeyReused
    answer: Body = json.loads(first.answer)
    return answer
