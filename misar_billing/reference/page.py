"""What the page `/docs` shows: every operation of the schema, with the exchanges of the tests beside it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

from django.utils.safestring import SafeString
from drf_spectacular.generators import SchemaGenerator

from misar_billing.reference import exchanges
from misar_billing.reference.exchanges import Exchange, Request
from misar_billing.reference.fields import Field, Reader, Schema, Shape
from misar_billing.reference.prose import blocks, code, inline
from misar_billing.reference.samples import Sample, json_of

METHODS = ("get", "post", "put", "patch", "delete")
CREDENTIALS = {
    "serviceKey": "service key",
    "ssoBearer": "access token",
    "ssoUser": "access token",
    "apiKey": "API key",
    "cookieAuth": "session of the dashboard",
}


@dataclass(frozen=True)
class Shown:
    """An exchange as the page shows it."""

    exchange: Exchange

    @property
    def status(self) -> int:
        return self.exchange.answer.status

    @property
    def summary(self) -> SafeString:
        return inline(self.exchange.summary)

    @property
    def error_code(self) -> str:
        """The code of an error; empty if the answer has none."""
        body = self.exchange.answer.body
        return str(body.get("code", "")) if isinstance(body, dict) and self.status >= 400 else ""

    @property
    def slug(self) -> str:
        """The anchor of the error in the table of codes."""
        return f"error-{slug_of(self.error_code)}"

    @property
    def text(self) -> SafeString:
        """The headers that matter, and the body."""
        answer = self.exchange.answer
        headers = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
        return code(f"{headers}\n{json_of(answer.body)}" if headers else json_of(answer.body))


@dataclass(frozen=True)
class Operation:
    """One operation. `errors` are its own; `statuses` are the other errors of its schema."""

    slug: str
    method: str
    path: str
    summary: str
    text: SafeString
    credentials: list[str]
    parameters: list[Field]
    body: list[Shape]
    answer: list[Shape]
    request: dict[str, SafeString]
    answers: list[Shown]
    errors: list[Shown]
    statuses: list[int]


@dataclass(frozen=True)
class Tag:
    """A group of operations about one noun."""

    slug: str
    name: str
    text: SafeString
    operations: list[Operation]


@cache
def schema() -> Schema:
    """Return the OpenAPI schema. It depends only on the code, so it is built once a process."""
    document: Schema = SchemaGenerator().get_schema(request=None, public=True)
    return document


def tags(base: str) -> list[Tag]:
    """Return every operation by its tag, in the schema's order. The samples call `base`."""
    document = schema()
    described = {each["name"]: each.get("description", "") for each in document.get("tags", ())}
    found: dict[str, list[Operation]] = {name: [] for name in described}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if operation := methods.get(method):
                found.setdefault(operation["tags"][0], []).append(
                    _operation(document, path, method, operation, base)
                )
    return [
        Tag(slug_of(name), name, blocks(described.get(name, "")), operations)
        for name, operations in found.items()
        if operations
    ]


def common_errors() -> list[Shown]:
    """Return the errors that every operation may answer."""
    return [Shown(each) for each in exchanges.common()]


def slug_of(name: str) -> str:
    """Return the anchor of a name: wallet_deduct becomes wallet-deduct."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _operation(document: Schema, path: str, method: str, operation: Schema, base: str) -> Operation:
    reader = Reader(document)
    shown = [Shown(each) for each in exchanges.of(operation["operationId"])]
    answers = [each for each in shown if each.status < 400]
    errors = [each for each in shown if each.status >= 400]
    text = operation.get("description", "")
    return Operation(
        slug=slug_of(operation["operationId"]),
        method=method.upper(),
        path=path,
        summary=operation.get("summary") or text.partition(".")[0],
        text=blocks(text),
        credentials=list(dict.fromkeys(_credentials(operation))),
        parameters=[
            reader.field(
                each["name"],
                {**each["schema"], "description": each.get("description", "")},
                is_required=each.get("required", False),
            )
            for each in operation.get("parameters", ())
        ],
        body=_shapes(reader, operation.get("requestBody", {})),
        answer=_shapes(reader, next(each for code, each in operation["responses"].items() if code < "300")),
        request=_in_each_language(answers[0].exchange.request, base) if answers else {},
        answers=answers,
        errors=[next(group) for _, group in groupby(errors, lambda each: (each.status, each.text))],
        statuses=[int(code) for code in operation["responses"] if code >= "400"],
    )


def _in_each_language(request: Request, base: str) -> dict[str, SafeString]:
    sample = Sample(request, base)
    return {
        "curl": code(sample.curl()),
        "python": code(sample.python()),
        "javascript": code(sample.javascript()),
    }


def _credentials(operation: Schema) -> Iterator[str]:
    for each in operation.get("security", ()):
        yield from (CREDENTIALS[name] for name in each)


def _shapes(reader: Reader, content: Any) -> list[Shape]:
    media = content.get("content", {}).get("application/json")
    return reader.shapes(media["schema"]) if media else []
