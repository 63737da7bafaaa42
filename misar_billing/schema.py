"""Choose the endpoints that the OpenAPI schema describes."""

from typing import Any

Endpoint = tuple[str, str, str, Any]


def without_aliases(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return all endpoints except those under /v1, because /mail/v1 has the same views."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith("/v1/")]
