"""The answers that may be replays."""

from typing import Any

from rest_framework.response import Response

from foundation.http.views import no_store


def replayable(body: Any, *, replayed: bool) -> Response:
    """Return an answer. If it is the first answer to an earlier request, a header says so (contract 28)."""
    answer = no_store(body)
    if replayed:
        answer["Idempotent-Replayed"] = "true"  # Stripe's API uses the same header.
    return answer
