"""What the OpenAPI schema describes, and the words and examples that it has of each operation."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from misar_billing.reference import exchanges
from misar_billing.reference.exchanges import Exchange
from misar_billing.reference.words import FIELDS, TAGS

Endpoint = tuple[str, str, str, Any]
JSON = "application/json"
# Bounds that only say how a database stores a number.
OF_STORAGE = {"maximum": {2**31 - 1, 2**63 - 1}, "minimum": {-(2**31), -(2**63)}}


def without_aliases(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return all endpoints except those under /v1, because /mail/v1 has the same views."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith("/v1/")]


def with_words(result: dict[str, Any], **left_out: Any) -> dict[str, Any]:
    """Describe the tags, and each field and id of a path that has no description of its own."""
    result["tags"] = [{"name": name, "description": words} for name, words in TAGS.items()]
    for component, shape in result["components"]["schemas"].items():
        for name, field in shape.get("properties", {}).items():
            words = FIELDS.get(f"{component}.{name}") or FIELDS.get(name)
            if words and "description" not in field:
                shape["properties"][name] = _described(field, words)
            for bound, values in OF_STORAGE.items():
                if field.get(bound) in values:
                    del shape["properties"][name][bound]
    for operation in _operations(result):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                parameter.setdefault("description", "Its `id`.")
    return result


def with_examples(result: dict[str, Any], **left_out: Any) -> dict[str, Any]:
    """Add the exchanges of each operation as examples of its bodies and answers."""
    for operation in _operations(result):
        for each in exchanges.of(operation["operationId"]):
            answer = operation["responses"][str(each.answer.status)]["content"][JSON]
            answer.setdefault("examples", {})[each.name] = _example(each, each.answer.body)
            if each.answer.status < HTTPStatus.BAD_REQUEST and each.request.body is not None:
                body = operation["requestBody"]["content"][JSON]
                body.setdefault("examples", {})[each.name] = _example(each, each.request.body)
    return result


def _operations(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in result["paths"].values():
        yield from methods.values()


def _described(field: dict[str, Any], words: str) -> dict[str, Any]:
    """Return a field with a description. OpenAPI 3.0 ignores what stands beside `$ref`."""
    return ({"allOf": [field]} if "$ref" in field else field) | {"description": words}


def _example(exchange: Exchange, value: Any) -> dict[str, Any]:
    return {"summary": exchange.summary, "value": value}
