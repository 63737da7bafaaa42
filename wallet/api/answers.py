"""The answers that may be replays."""

from typing import Any

from django.http import HttpResponse

from foundation.http.views import no_store


def replayable(body: Any, *, replayed: bool) -> HttpResponse:
    """Return an answer. If it is the first answer to an earlier request, a header says so (contract 28)."""
    answer = no_store(body)
    if replayed:
        answer["Idempotent-Replayed"] = "true"  # Stripe's API uses the same header.
    return answer
