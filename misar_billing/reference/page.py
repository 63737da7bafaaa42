"""What the page `/docs` shows: every operation of the schema, with the exchanges of the tests beside it."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.utils.safestring import SafeString
from drf_spectacular.generators import SchemaGenerator

from misar_billing.reference import exchanges
from misar_billing.reference.exchanges import Exchange, Request
from misar_billing.reference.fields import Field, Reader, Schema, Shape
from misar_billing.reference.prose import blocks, code, inline
from misar_billing.reference.samples import Sample, json_of

# The creators' API sends these with almost every answer. The introduction explains them once.
EVERYWHERE = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
STRIPE_SIGNATURE = "Stripe-Signature"
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
    def words(self) -> str:
        """What an error without a code is called: missing scope."""
        return self.exchange.name.replace("_", " ")

    @property
    def same(self) -> tuple[int, str]:
        """What two errors have in common that are shown once: about the caller, their sentence decides."""
        return self.status, self.exchange.answer.body["error"] if self.is_about_the_caller else self.text

    @property
    def is_about_the_caller(self) -> bool:
        return self.status in (401, 403)

    @property
    def text(self) -> SafeString:
        """The headers that matter, and the body."""
        answer = self.exchange.answer
        headers = "".join(
            f"{name}: {value}\n" for name, value in answer.headers.items() if name not in EVERYWHERE
        )
        return code(f"{headers}\n{json_of(answer.body)}" if headers else json_of(answer.body))


@dataclass(frozen=True)
class Operation:
    """One operation. `errors` are all of its own; `own_errors` those that no other operation answers alike.

    `statuses` are all error statuses of its schema. `event` is what Stripe sends, instead of a sample.
    """

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
    event: SafeString
    errors: list[Shown]
    own_errors: list[Shown]
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
    by_tag: dict[str, list[Operation]] = {name: [] for name in described}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if operation := methods.get(method):
                by_tag.setdefault(operation["tags"][0], []).append(
                    _operation(document, path, method, operation, base)
                )
    return [
        Tag(slug_of(name), name, blocks(described.get(name, "")), operations)
        for name, operations in by_tag.items()
        if operations
    ]


def common_errors() -> list[Shown]:
    """Return the errors of every operation, and before them those that several answer about the caller."""
    errors = [*_shared_errors().values(), *(Shown(each) for each in exchanges.common())]
    return sorted(errors, key=lambda each: each.status)


@cache
def _shared_errors() -> dict[tuple[int, str], Shown]:
    """Return the errors about the caller that several operations answer alike. They are shown once."""
    about_callers = [
        shown
        for shown in map(Shown, exchanges.all_exchanges())
        if shown.exchange.operation and shown.is_about_the_caller
    ]
    times = Counter(each.same for each in about_callers)
    # Those with a code say more, so they come last and stay.
    about_callers.sort(key=lambda each: bool(each.error_code))
    return {each.same: each for each in about_callers if times[each.same] > 1}


def rate_headers() -> SafeString:
    """Return the headers of one answer that say how many requests are left."""
    headers = (each.answer.headers for each in exchanges.all_exchanges())
    found = next((each for each in headers if EVERYWHERE[0] in each), {})
    return code("\n".join(f"{name}: {found[name]}" for name in EVERYWHERE if name in found))


def slug_of(name: str) -> str:
    """Return the anchor of a name: wallet_deduct becomes wallet-deduct."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _operation(document: Schema, path: str, method: str, operation: Schema, base: str) -> Operation:
    reader = Reader(document)
    shown = [Shown(each) for each in exchanges.of(operation["operationId"])]
    answers = [each for each in shown if each.status < 400]
    errors = sorted(
        {each.same: each for each in shown if each.status >= 400}.values(), key=lambda each: each.status
    )
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
        event=_event(answers[0].exchange.request) if answers else code(""),
        errors=errors,
        own_errors=[each for each in errors if each.same not in _shared_errors()],
        statuses=[int(code) for code in operation["responses"] if code >= "400"],
    )


def _event(request: Request) -> SafeString:
    """Return an event of Stripe with its signature; nothing for any other request."""
    if STRIPE_SIGNATURE not in request.headers:
        return code("")
    signature = f"{STRIPE_SIGNATURE}: {request.headers[STRIPE_SIGNATURE]}"
    return code(f"{signature}\n\n{json_of(request.body)}")


def _in_each_language(request: Request, base: str) -> dict[str, SafeString]:
    if STRIPE_SIGNATURE in request.headers:
        return {}
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
