"""What a schema says about the fields of a body, an answer or a query, as rows for the page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from django.utils.safestring import SafeString

from misar_billing.reference.prose import inline, without_choices
from misar_billing.reference.words import FIELDS

Schema = Mapping[str, Any]

NO_TEXT = inline("")
FORMATS = {"date-time": "time", "uri": "web address", "uuid": "UUID", "date": "date"}


@dataclass(frozen=True)
class Home:
    """The operation that lists the fields of an object which several operations answer."""

    slug: str
    summary: str


@dataclass(frozen=True)
class Field:
    """A field with its type and limits in words. `fields` are those of an object or of a list's items.

    An object that another operation lists has no `fields` here: `home` says where they are.
    """

    name: str
    kind: str
    is_required: bool
    choices: tuple[str, ...]
    text: SafeString
    fields: tuple["Field", ...]
    home: Home | None = None


@dataclass(frozen=True)
class Shape:
    """One form that a body may have. `text` says which; it is empty if there is only one form."""

    text: SafeString
    is_list: bool
    fields: tuple[Field, ...]
    home: Home | None = None


class Reader:
    """Reads the schemas of one document, which refer to its components.

    `homes` has the components whose fields one operation lists for all; `here` is the operation that is read.
    """

    def __init__(self, document: Schema, homes: Mapping[str, Home] = MappingProxyType({}), here: str = ""):
        self.components: Schema = document["components"]["schemas"]
        self.homes, self.here = homes, here

    def shapes(self, schema: Schema) -> list[Shape]:
        """Return the forms that a body of this schema may have."""
        resolved = self.resolved(schema)
        variants = resolved.get("oneOf") or resolved.get("anyOf")
        if variants:
            texts = (inline(self.resolved(each).get("description", "")) for each in variants)
            return [self._shape(each, text) for each, text in zip(variants, texts, strict=True)]
        if resolved.get("type") == "array":
            return [self._shape(resolved["items"], is_list=True)]
        return [self._shape(schema)]

    def _shape(self, schema: Schema, text: SafeString = NO_TEXT, *, is_list: bool = False) -> Shape:
        home = self.home(schema)
        return Shape(text, is_list, () if home else self.fields(schema), home)

    def home(self, schema: Schema) -> Home | None:
        """Return the other operation that lists the fields of this object, if there is one."""
        home = self.homes.get(component_of(schema))
        return home if home and home.slug != self.here else None

    def fields(self, schema: Schema) -> tuple[Field, ...]:
        """Return the fields of an object; nothing for any other value."""
        schema = self.resolved(schema)
        required = schema.get("required", ())
        return tuple(
            self.field(name, each, is_required=name in required)
            for name, each in schema.get("properties", {}).items()
        )

    def field(self, name: str, schema: Schema, *, is_required: bool) -> Field:
        outer, schema = schema, self.resolved(schema)
        inner = self.resolved(schema["items"]) if schema.get("type") == "array" else schema
        text = without_choices(schema.get("description", ""))
        home = self.home(schema["items"] if schema.get("type") == "array" else outer)
        fields = () if home else self.of_all_variants(inner)
        choices = [str(each) for each in inner.get("enum", ()) if each not in (None, "")]
        return Field(
            name,
            ", ".join(self.kind(schema)),
            is_required,
            tuple(choices),
            inline(text),
            fields,
            home,
        )

    def of_all_variants(self, schema: Schema) -> tuple[Field, ...]:
        """Return the fields of every form of an object. Those that one of the forms lacks may be absent."""
        variants = [self.fields(each) for each in schema.get("oneOf") or schema.get("anyOf") or [schema]]
        variants = [each for each in variants if each]  # A batch also takes an item that is no charge.
        found = {each.name: each for fields in reversed(variants) for each in fields}
        texts: dict[str, set[str]] = {}
        for each in (each for fields in variants for each in fields):
            texts.setdefault(each.name, set()).add(each.text)
        always = [{each.name for each in fields if each.is_required} for fields in variants]
        return tuple(
            replace(
                found[name],
                is_required=all(name in names for names in always),
                # What is true of one form only, such as `allowed` is true, is not said of all of them.
                text=found[name].text if len(texts[name]) == 1 else inline(FIELDS.get(name, "")),
            )
            for name in dict.fromkeys(each.name for fields in variants for each in fields)
        )

    def resolved(self, schema: Schema) -> Schema:
        """Follow references. A description beside a reference says more than the component's own."""
        while "$ref" in schema or len(schema.get("allOf", ())) == 1:
            beside = {name: each for name, each in schema.items() if name not in ("$ref", "allOf")}
            inner = schema["allOf"][0] if "allOf" in schema else self.components[_last(schema["$ref"])]
            schema = {**inner, **beside}
        return schema

    def kind(self, schema: Schema) -> Iterator[str]:
        """Yield the type and each limit in words."""
        kind = schema.get("type", "object" if "properties" in schema else "any value")
        if kind == "array":
            items = self.resolved(schema["items"])
            kind = f"list of {'object' if self.of_all_variants(items) else items.get('type', 'value')}s"
            yield kind
            yield from _range(schema.get("minItems"), schema.get("maxItems"), "items")
        elif schema.get("format") in FORMATS:
            yield FORMATS[schema["format"]]
        else:
            yield kind
        if kind == "string" and "enum" not in schema:
            yield from _range(schema.get("minLength"), schema.get("maxLength"), "characters")
        if kind in ("integer", "number"):
            yield from _range(schema.get("minimum"), schema.get("maximum"))
        if schema.get("default") not in (None, ""):
            default = schema["default"]
            yield f"default {', '.join(default) if isinstance(default, list) else default}"
        if schema.get("nullable"):
            yield "or null"


def _range(least: Any, most: Any, unit: str = "") -> Iterator[str]:
    """Yield limits in words: 1 to 100, at least 1, up to 255 characters."""
    unit = unit and f" {unit}"
    if least is not None and most is not None:
        yield f"{least:,} to {most:,}{unit}"
    elif most is not None:
        yield f"up to {most:,}{unit}"
    elif least is not None:
        yield f"at least {least:,}{unit}"


def component_of(schema: Schema) -> str:
    """Return the name of the component that a schema refers to; empty if it refers to none."""
    if len(schema.get("allOf", ())) == 1:
        schema = schema["allOf"][0]
    return _last(schema.get("$ref", ""))


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
