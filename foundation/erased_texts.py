"""Remove an e-mail address from every free text that the apps store.

Each app registers the fields in which staff, Stripe or a reader may have written an address. Amounts, ids and
dates are not changed.

A text may contain the address in any spelling of its mailbox (foundation/mailboxes.py): plain, or with
characters that are percent-encoded, escaped for HTML, or escaped as in JSON.
"""

import html
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

import regex
from django.db.models import Model, Q

from foundation.mailboxes import mailbox_of
from foundation.text import beginning

REMOVED = "(erased)"  # Replaces the address in a text.
# Stripe's fields that hold an e-mail address.
ADDRESSES = ("email", "customer_email", "receipt_email", "customer_email_address")
# Stripe's fields about the same person, in the same object as the e-mail address.
BESIDE_AN_ADDRESS = re.compile(
    r"(customer_|individual_|business_|billing_|shipping_)?(name|phone|address)"
    r"|(customer_)?shipping(_details)?|collected_information"
)
# One escaped character: %C3%BC, &uuml; or &#252;, \u00fc, \n or \".
ESCAPE = re.compile(
    r"%[0-7][0-9a-f]|%[c-f][0-9a-f](?:%[89ab][0-9a-f]){1,3}"
    r"|&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z0-9]{1,31});"
    r"|\\(?:u[0-9a-f]{4}|[nrt\"/])",
    re.IGNORECASE,
)
# Before an address, no character continues its first part. After it, none continues its domain; a domain
# ignores the soft hyphen and joiners.
BEGINS = regex.compile(r"(?<![\w\p{M}.+-])")
ENDS = regex.compile(r"(?![\xad\u200c\u200d\u2060]*(?:[\w\p{M}-]|\.\w))")
# A spelling has at most four times as many characters as its mailbox: one letter may be a letter and three
# accents.
SPELLING_RATIO_MAX = 4

_texts: list[tuple[type[Model], str, bool]] = []


def register(model: type[Model], *fields: str, redacted: bool = False) -> None:
    """Register fields of a model that hold free text, or JSON as text.

    `redacted` means that a trigger refuses every change of these texts but the replacement of a part with
    `(erased)`. So JSON in them is not parsed and written again.
    """
    _texts.extend((model, field, redacted) for field in fields)


def erase_from_texts(address: str) -> None:
    """Remove this address from every registered text. This runs in the caller's transaction."""
    for model, field, redacted in _texts:
        for row in model._default_manager.filter(may_hold(address, field)).iterator():
            text = getattr(row, field)
            left = without(text, address) if redacted else _without_in_json(text, address)
            if left != text:
                longest = getattr(model._meta.get_field(field), "max_length", None)
                setattr(row, field, left if longest is None else beginning(left, longest))
                row.save(update_fields=[field])


def may_hold(address: str, field: str) -> Q:
    """Return a filter for texts that may contain the address, in any spelling and however it is escaped."""
    local_part, _, _ = mailbox_of(address).rpartition("@")
    if not local_part.isascii():
        # It can be written in too many ways: every text with an @ may contain the address.
        return Q(**{f"{field}__iregex": r"@|%40|&|\\u"})
    written = "".join(char if char.isalnum() else _escaped_or_not(char) for char in f"{local_part}@")
    return Q(**{f"{field}__iregex": rf"{written}|\\u00[2-7]"})


def _escaped_or_not(char: str) -> str:
    return rf"(\\?{re.escape(char)}|%{ord(char):02x}|&[#a-z0-9]+;)"


def holds(text: str, address: str) -> bool:
    """Return whether the text contains the address."""
    return without(text, address) != text


def without(text: str, address: str) -> str:
    """Return the text without the address.

    What looks like an escape may be part of an address (C:\\nora@x.co), so the text is read twice: as it is,
    and without escapes.

    >>> without("Of bob@x.co, jacob@x.co and bob@x.co.uk, ?email=BOB%40x.co", "bob@x.co")
    'Of (erased), jacob@x.co and bob@x.co.uk, ?email=(erased)'
    """
    mailbox = mailbox_of(address)
    text = _cut(text, text, range(len(text)), mailbox)
    return _cut(text, *_unescaped(text), mailbox) if ESCAPE.search(text) else text


def _unescaped(text: str) -> tuple[str, list[int]]:
    """Return the text without escapes, and where each of its characters begins in `text`."""
    chars, begins, at = "", [], 0
    while at < len(text):
        escape = ESCAPE.match(text, at)
        piece = _character(escape[0]) if escape else text[at]
        chars += piece
        begins += [at] * len(piece)
        at = escape.end() if escape else at + 1
    return chars, begins


def _character(escape: str) -> str:
    if escape[0] == "%":
        return unquote(escape)
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[1] in "uU":
        return chr(int(escape[2:], 16))
    return escape[1] if escape[1] in '"/' else "\n"


def _cut(text: str, chars: str, begins: Sequence[int], mailbox: str) -> str:
    """Return the text with each address of the mailbox replaced. `chars` is the text as it is read."""
    kept, end = "", 0
    for first, last in _places(chars, mailbox):
        kept += text[end : begins[first]] + REMOVED
        end = begins[last] if last < len(begins) else len(text)
    return kept + text[end:]


def _places(chars: str, mailbox: str) -> Iterator[tuple[int, int]]:
    """Yield the first character of each address of the mailbox, and the character after it."""
    local_part, _, domain = mailbox.rpartition("@")
    end = 0
    for at in (place for place, char in enumerate(chars) if char == "@"):
        first = max(end, at - SPELLING_RATIO_MAX * len(local_part))
        begins = (
            place
            for place in range(first, at)
            if BEGINS.match(chars, place) and mailbox_of(f"{chars[place:at]}@") == f"{local_part}@"
        )
        if (begin := next(begins, None)) is None:
            continue
        last = min(len(chars), at + 1 + SPELLING_RATIO_MAX * len(domain))
        ends = (
            place
            for place in range(at + 2, last + 1)
            if ENDS.match(chars, place) and mailbox_of(chars[begin:place]) == mailbox
        )
        if (found := next(ends, None)) is not None:
            end = found
            yield begin, end


def _without_in_json(text: str, address: str) -> str:
    """Return a text without the address. A JSON text is parsed first and then written as JSON again."""
    try:
        value = json.loads(text)
        left = _erased(value, address)
        return text if left == value else json.dumps(left)
    except (ValueError, RecursionError):
        return without(text, address)


def _erased(value: Any, address: str) -> Any:
    if isinstance(value, str):
        return without(value, address)
    if isinstance(value, list):
        return [_erased(item, address) for item in value]
    if isinstance(value, dict):
        texts = [value[name] for name in ADDRESSES if isinstance(value.get(name), str)]
        is_the_readers = any(without(text, address).strip() == REMOVED for text in texts)
        return {
            without(name, address): None
            if is_the_readers and BESIDE_AN_ADDRESS.fullmatch(name)
            else _erased(item, address)
            for name, item in value.items()
        }
    return value
