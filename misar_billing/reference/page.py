"""What the page `/docs` shows: every operation of the schema, with the exchanges of the tests beside it."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from django.utils.safestring import SafeString
from drf_spectacular.generators import SchemaGenerator

from misar_billing.reference import exchanges
from misar_billing.reference.differences import as_a_line, difference
from misar_billing.reference.exchanges import Exchange, Request
from misar_billing.reference.fields import NO_TEXT, Field, Home, Reader, Schema, Shape, component_of
from misar_billing.reference.prose import blocks, code, inline
from misar_billing.reference.samples import Sample, json_of
from wallet.api.codes import Code

# The creators' API sends these with almost every answer. The introduction explains them once.
EVERYWHERE = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
STRIPE_SIGNATURE = "Stripe-Signature"
INDENT = re.compile("^ +", re.MULTILINE)
SHARED_FIELDS_MIN = 4  # A smaller object is repeated: a link would be as long.
METHODS = ("get", "post", "put", "patch", "delete")
CREDENTIALS = {
    "serviceKey": "service key",
    "ssoBearer": "access token",
    "ssoUser": "access token",
    "apiKey": "API key",
    "cookieAuth": "session of the dashboard",
}


def _tabs(indent: re.Match[str]) -> str:
    """Return the indent of a line as tabs. The page has thousands of these lines."""
    return "\t" * (len(indent[0]) // 2)


@dataclass(frozen=True)
class Shown:
    """An exchange as the page shows it. `first` is the one of its operation above it, if there is one."""

    exchange: Exchange
    first: Exchange | None = None

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
    def code_row(self) -> str:
        """The anchor of the error in the table of codes, even if the answer has no code; or nothing."""
        name = self.error_code or self.exchange.name
        return name if name in Code else ""

    @property
    def words(self) -> str:
        """What an error without a code is called: missing scope."""
        return self.exchange.name.replace("_", " ")

    @property
    def sent(self) -> SafeString:
        """What the request of this exchange has otherwise than the first one of its operation."""
        if self.first:
            return difference(self.exchange.request, self.first.request)
        return NO_TEXT if self.exchange.operation else as_a_line(self.exchange.request)

    @property
    def same(self) -> tuple[int, str]:
        """What two errors have in common that are shown once: about the caller, their sentence decides."""
        return self.status, self.exchange.answer.body["error"] if self.is_about_the_caller else self.text

    @property
    def is_about_the_caller(self) -> bool:
        return self.status in (401, 403)

    @cached_property
    def text(self) -> SafeString:
        """The headers that matter, and the body."""
        answer = self.exchange.answer
        headers = "".join(
            f"{name}: {value}\n" for name, value in answer.headers.items() if name not in EVERYWHERE
        )
        is_replay = self.first and answer.body == self.first.answer.body
        body = "(the body above)" if is_replay else INDENT.sub(_tabs, json_of(answer.body))
        return code(f"{headers}\n{body}" if headers else body)


@dataclass(frozen=True)
class Operation:
    """One operation. `own_errors` are those that no other operation answers alike.

    `sample` is its request as code; `event` is what Stripe sends, instead of a sample.
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
    sample: SafeString
    answers: list[Shown]
    event: SafeString
    own_errors: list[Shown]


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


def tags(base: str, language: str) -> list[Tag]:
    """Return every operation by its tag, in the schema's order. The samples call `base`."""
    document = schema()
    described = {each["name"]: each.get("description", "") for each in document.get("tags", ())}
    by_tag: dict[str, list[Operation]] = {name: [] for name in described}
    for path, method, operation in _operations(document):
        shown = _operation(document, path, method, operation)
        by_tag.setdefault(operation["tags"][0], []).append(
            replace(shown, sample=_sample(shown.answers, base, language))
        )
    return [
        Tag(slug_of(name), name, blocks(described.get(name, "")), operations)
        for name, operations in by_tag.items()
        if operations
    ]


def _operations(document: Schema) -> list[tuple[str, str, Any]]:
    """Return the path, the method and the description of each operation, in the order of the page."""
    found = [
        (path, method, methods[method])
        for path, methods in document["paths"].items()
        for method in METHODS
        if method in methods
    ]
    places = {each["name"]: number for number, each in enumerate(document.get("tags", ()))}
    return sorted(found, key=lambda each: places.get(each[2]["tags"][0], len(places)))


def shown_of(operation_id: str | None) -> list[Shown]:
    """Return the exchanges of one operation, or those that all operations have alike."""
    found = exchanges.of(operation_id)
    return [Shown(each, found[0] if operation_id and each is not found[0] else None) for each in found]


def common_errors() -> list[Shown]:
    """Return the errors of every operation, and before them those that several answer about the caller."""
    found = [*_shared_errors().values(), *shown_of(None)]
    return sorted(found, key=lambda each: each.status)


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


def _operation(document: Schema, path: str, method: str, operation: Schema) -> Operation:
    slug = slug_of(operation["operationId"])
    reader = Reader(document)
    shown = shown_of(operation["operationId"])
    answers = [each for each in shown if each.status < 400]
    errors = sorted(
        {each.same: each for each in shown if each.status >= 400}.values(), key=lambda each: each.status
    )
    return Operation(
        slug=slug,
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=blocks(operation.get("description", "")),
        credentials=list(dict.fromkeys(_credentials(operation))),
        parameters=[
            reader.field(
                each["name"],
                {**each["schema"], "description": each.get("description", "")},
                is_required=each.get("required", False),
            )
            for each in operation.get("parameters", ())
        ],
        body=reader.shapes(request) if (request := _schema_of(operation.get("requestBody", {}))) else [],
        answer=Reader(document, _homes(), slug).shapes(_schema_of(_success(operation))),
        sample=NO_TEXT,
        answers=answers,
        event=_event(answers[0].exchange.request) if answers else NO_TEXT,
        own_errors=[each for each in errors if each.same not in _shared_errors()],
    )


@cache
def _homes() -> dict[str, Home]:
    """Return, for each object that several operations answer, the one that lists its fields.

    It is the first one whose whole answer is the object, or else the first whose answer has it inside.
    """
    document = schema()
    components = document["components"]["schemas"]
    found: dict[str, list[tuple[bool, Home]]] = {}
    for _, _, operation in _operations(document):
        home = Home(slug_of(operation["operationId"]), operation["summary"])
        for name, is_inside in _components(components, _schema_of(_success(operation))):
            found.setdefault(name, []).append((is_inside, home))
    return {
        name: min(homes, key=lambda each: each[0])[1]
        for name, homes in found.items()
        if len({home for _, home in homes}) > 1
        and len(components[name].get("properties", ())) >= SHARED_FIELDS_MIN
    }


def _components(components: Schema, schema: Schema, *, is_inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the name of each object in an answer, and whether it is only a part of the answer."""
    if name := component_of(schema):
        yield name, is_inside
        schema = components[name]
    for variant in schema.get("oneOf") or schema.get("anyOf") or ():
        yield from _components(components, variant, is_inside=is_inside)
    if "items" in schema:
        yield from _components(components, schema["items"], is_inside=True)
    for field in schema.get("properties", {}).values():
        yield from _components(components, field, is_inside=True)


def _event(request: Request) -> SafeString:
    """Return an event of Stripe with its signature; nothing for any other request."""
    if STRIPE_SIGNATURE not in request.headers:
        return NO_TEXT
    signature = f"{STRIPE_SIGNATURE}: {request.headers[STRIPE_SIGNATURE]}"
    return code(f"{signature}\n\n{json_of(request.body)}")


def _sample(answers: list[Shown], base: str, language: str) -> SafeString:
    """Return the request of the first answer as code; nothing for those that only Stripe sends."""
    if not answers or STRIPE_SIGNATURE in answers[0].exchange.request.headers:
        return NO_TEXT
    sample = Sample(answers[0].exchange.request, base)
    return code({"curl": sample.curl, "python": sample.python, "javascript": sample.javascript}[language]())


def _credentials(operation: Schema) -> Iterator[str]:
    for each in operation.get("security", ()):
        yield from (CREDENTIALS[name] for name in each)


def _success(operation: Schema) -> Schema:
    return next(each for status, each in operation["responses"].items() if status < "300")


def _schema_of(content: Schema) -> Schema:
    """Return the schema of a JSON body; nothing if there is none."""
    return content.get("content", {}).get("application/json", {}).get("schema", {})
