"""Remove an e-mail address from every free text that the apps store.

Each app registers the fields in which staff, Stripe or a reader may have written an address. Amounts, ids and
dates are not changed.

The functions take `spellings`: addresses that name one mailbox. A text may contain the address in one of
these spellings, in its IDNA form, or in its readable form. Upper and lower case, the kind of dots in the
domain, and the form of an accented letter (one character or two) may differ.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import quote

from django.db.models import Model, Q
from django.utils.html import escape

from foundation.mailboxes import forms_of, mailbox_of
from foundation.text import beginning

REMOVED = "(erased)"  # Replaces the address in a text.
# Stripe's fields that hold an e-mail address.
ADDRESSES = ("email", "customer_email", "receipt_email", "customer_email_address")
# Stripe's fields about the same person, in the same object as the e-mail address.
BESIDE_AN_ADDRESS = re.compile(
    r"(customer_|individual_|business_|billing_|shipping_)?(name|phone|address)"
    r"|(customer_)?shipping(_details)?|collected_information"
)
# The dots between the labels of a domain (UTS #46).
DOTS = ".\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH FULL STOP}\N{HALFWIDTH IDEOGRAPHIC FULL STOP}"

_texts: list[tuple[type[Model], str]] = []


def register(model: type[Model], *fields: str) -> None:
    """Register fields of a model that hold free text, or JSON as text."""
    _texts.extend((model, field) for field in fields)


def erase_from_texts(spellings: Collection[str]) -> None:
    """Remove this address from every registered text. This runs in the caller's transaction."""
    pattern = pattern_of(spellings)
    for model, field in _texts:
        for row in model._default_manager.filter(may_hold(spellings, field)).iterator():
            text = getattr(row, field)
            if (without := _without(text, pattern)) != text:
                longest = getattr(model._meta.get_field(field), "max_length", None)
                setattr(row, field, without if longest is None else beginning(without, longest))
                row.save(update_fields=[field])


def pattern_of(spellings: Collection[str]) -> re.Pattern[str]:
    """Return a pattern that matches the address: plain, percent-encoded, or escaped for HTML.

    The pattern of bob@x.co matches nothing in jacob@x.co, bob@x.com and bob@x.co.uk.
    """
    forms = {*map(_written, spellings), *(_usual(mailbox_of(spelling)) for spelling in spellings)}
    return re.compile(rf"(?<![\w.+-])(?:{'|'.join(sorted(forms))})(?![\w-]|\.\w)", re.IGNORECASE)


def _usual(mailbox: str) -> str:
    """Return a pattern of a mailbox. Each label of the domain may be in IDNA form or readable."""
    local_part, _, domain = mailbox.rpartition("@")
    labels = (_any_of(map(_written, forms_of(label))) for label in domain.split("."))
    return _written(f"{local_part}@") + _written(".").join(labels)


def _written(text: str) -> str:
    """Return a pattern of a text in which each character may be encoded, and ü may be u and two dots."""
    return "".join(char if char.isascii() and char.isalnum() else _any_way(char) for char in text)


def _any_way(char: str) -> str:
    ways = {*DOTS} if char == "." else {char, char.upper()}
    ways |= {unicodedata.normalize("NFD", way) for way in ways}
    return _any_of(re.escape(form) for way in ways for form in (way, quote(way, safe=""), escape(way)))


def _any_of(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(set(patterns)))})"


def may_hold(spellings: Collection[str], field: str) -> Q:
    """Return a filter for texts that may contain the address.

    The address may be plain, escaped for HTML, percent-encoded, or written with JSON's \\u00xx.
    """
    [local_part, *others] = {spelling.rpartition("@")[0].lower() for spelling in spellings}
    if others or not local_part.isascii():
        # It can be written in too many ways: every text with an @ may contain the address.
        return Q(**{f"{field}__iregex": r"@|%40|\\u"})
    return (
        Q(**{f"{field}__icontains": f"{local_part}@"})
        | Q(**{f"{field}__icontains": f"{escape(local_part)}@"})
        | Q(**{f"{field}__icontains": f"{quote(local_part, safe='')}%40"})
        | Q(**{f"{field}__iregex": r"\\u00[2-7]"})
    )


def _without(text: str, pattern: re.Pattern[str]) -> str:
    """Return a text without the address. A JSON text is parsed first and then written as JSON again."""
    try:
        value = json.loads(text)
    except ValueError:
        return pattern.sub(REMOVED, text)
    erased = _erased(value, pattern)
    return text if erased == value else json.dumps(erased)


def _erased(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(REMOVED, value)
    if isinstance(value, list):
        return [_erased(item, pattern) for item in value]
    if isinstance(value, dict):
        texts = [value[name] for name in ADDRESSES if isinstance(value.get(name), str)]
        is_the_readers = any(pattern.fullmatch(text) for text in texts)
        return {
            pattern.sub(REMOVED, name): None
            if is_the_readers and BESIDE_AN_ADDRESS.fullmatch(name)
            else _erased(item, pattern)
            for name, item in value.items()
        }
    return value
