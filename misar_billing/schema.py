"""Which endpoints the OpenAPI schema describes."""

from typing import Any

Endpoint = tuple[str, str, str, Any]


def without_aliases(endpoints: list[Endpoint]) -> list[Endpoint]:
    """/v1 is another name of /mail/v1 with the same views, so the schema has it once."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith("/v1/")]
